"""Linear solvers as values: each gives the dense minimiser, brings its costs and is chosen by them."""

import logging
import pathlib
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax.linear_solvers import (
    Sizes,
    as_linear_solver,
    auto,
    cg,
    check_memory,
    dual,
    nystrom,
    primal,
    qr,
)

SOLVERS = {
    "dual": dual(),
    "primal": primal(),
    "qr": qr(),
    "cg": cg(rtol=1e-13),
    "cg, no preconditioner": cg(rtol=1e-13, preconditioner=None),
    "cg, rank 2": cg(rtol=1e-13, preconditioner=nystrom(2)),
    "auto": auto(),
}


class Matrix:
    """A Jacobian that is a matrix already, all that a linear solver needs."""

    def __init__(self, matrix):
        self.matrix = jnp.asarray(matrix)
        self.num_residuals, self.num_params = self.matrix.shape
        self.dtype = self.matrix.dtype
        self.sizes = Sizes(self.num_residuals, self.num_params, self.dtype.itemsize)

    def mv(self, v):
        return self.matrix @ v

    def rmv(self, y):
        return self.matrix.T @ y

    def gram(self):
        return self.matrix @ self.matrix.T

    def normal(self):
        return self.matrix.T @ self.matrix

    def rows(self):
        return self.matrix


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5)], ids=["wide", "tall", "square"])
def test_one_init_solves_for_several_dampings_and_data(name, shape, x64, damped):
    rng = np.random.default_rng(0)
    matrix, data = rng.normal(size=shape), rng.normal(size=(2, shape[0]))
    solve = jax.jit(SOLVERS[name].init(Matrix(matrix)))
    for damping, s in zip((1e-3, 10.0), data, strict=True):
        e, num_products = solve(jnp.asarray(damping), jnp.asarray(s))
        np.testing.assert_allclose(e, damped(s, matrix, damping), rtol=1e-8, atol=1e-10)
        assert num_products.dtype == jnp.int32
        assert (num_products == 0) == (name == "qr")


@pytest.mark.parametrize("name", ["dual", "primal", "qr", "cg"])
def test_a_matrix_that_is_not_finite_has_no_finite_step(name, x64):
    matrix = np.ones((3, 4))
    matrix[1, 2] = np.nan
    e, _ = SOLVERS[name].init(Matrix(matrix))(jnp.asarray(1.0), jnp.ones(3))
    assert not jnp.isfinite(e).all()


def test_conjugate_gradients_count_their_products_and_keep_to_their_limit(x64):
    rng = np.random.default_rng(1)
    jacobian = Matrix(rng.normal(size=(8, 20)))
    for limit in (1, 3):
        solve = cg(rtol=1e-14, max_steps=limit, preconditioner=None).init(jacobian)
        assert solve(jnp.asarray(1e-6), jnp.asarray(rng.normal(size=8)))[1] == limit + 1


def test_the_preconditioner_of_full_rank_leaves_one_step(x64):
    rng = np.random.default_rng(2)
    matrix, data = rng.normal(size=(8, 20)) * np.geomspace(1, 1e3, 8)[:, None], rng.normal(size=8)
    solve = lambda p: cg(rtol=1e-8, preconditioner=p).init(Matrix(matrix))(jnp.asarray(1e-2), data)[1]
    assert solve(nystrom(8)) <= 3
    assert solve(None) > 6
    assert cg(preconditioner_rank=8).num_init_products(Sizes(8, 20)) == 8
    assert cg(preconditioner_rank=0).num_init_products(Sizes(8, 20)) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cg(rtol=0.0), "rtol"),
        (lambda: cg(max_steps=0), "max_steps"),
        (lambda: cg(preconditioner_rank=-1), "preconditioner_rank"),
        (lambda: cg(preconditioner=nystrom(3), preconditioner_rank=3), "not both"),
        (lambda: nystrom(0), "rank"),
        (lambda: auto(candidates=()), "candidate"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_names_and_values_become_solvers():
    assert [as_linear_solver(name).name for name in ("auto", "dual", "primal", "qr", "cg")] == [
        "auto",
        "dual",
        "primal",
        "qr",
        "cg",
    ]
    mine = dual()._replace(name="mine")
    assert as_linear_solver(mine) is mine


def test_what_is_no_solver_is_refused():
    with pytest.raises(ValueError, match=r"'dual'.*'cg'.*got 'lu'"):
        as_linear_solver("lu")
    with pytest.raises(TypeError, match=r"Call it: cg\(\)"):
        as_linear_solver(cg)
    with pytest.raises(TypeError, match="got 3"):
        as_linear_solver(3)


# Of 100 residuals and 1,000 parameters the dual form is the cheapest, of 1,000 and 100 the primal one.
WIDE, TALL = Sizes(100, 1_000), Sizes(1_000, 100)


def test_a_solver_that_needs_too_much_memory_names_those_that_fit():
    limit = cg().num_bytes(WIDE)
    check_memory(dual(), WIDE, dual().num_bytes(WIDE))
    with pytest.raises(ValueError, match=r"'dual' needs .*100 residuals and 1,000 parameters") as error:
        check_memory(dual(), WIDE, limit)
    assert "linear_solver='cg'" in str(error.value)
    assert "linear_solver='primal'" not in str(error.value)
    with pytest.raises(ValueError, match="Take fewer points per step, or raise memory_limit"):
        check_memory(cg(), WIDE, 10)


def take(sizes, caplog, **options):
    """The solver that ``auto`` takes, from what it logs, and at which level."""
    jacobian = Matrix(np.ones((2, 2), np.float32))
    jacobian.sizes = sizes
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="isgd_optax"):
        auto(**options).init(jacobian)
    (record,) = caplog.records
    return record.getMessage().split("takes '")[1].split("'")[0], record


def test_the_choice_of_the_cheapest_is_logged_as_information(caplog):
    for sizes, name in ((WIDE, "dual"), (TALL, "primal"), (WIDE._replace(gram_flops=1e12), "primal")):
        taken, record = take(sizes, caplog)
        assert (taken, record.levelno) == (name, logging.INFO)
    assert "100 residuals and 1,000 parameters in 64-bit numbers" in record.getMessage()


def test_a_few_more_residuals_than_parameters_are_solved_by_the_normal_matrix(caplog):
    """Plane elasticity and Kovasznay's flow: steps by "dual" took 1.2 and 2.2 times as long."""
    for n, p in ((2280, 2012), (5220, 3523)):
        assert take(Sizes(n, p, gram_flops=n**2 * p), caplog)[0] == "primal"
    assert take(Sizes(2012, 2280, gram_flops=2012**2 * 2280), caplog)[0] == "dual"


def test_memory_that_forces_a_dearer_solver_is_a_warning(caplog):
    taken, record = take(WIDE, caplog, memory_limit=dual().num_bytes(WIDE) - 1)
    assert (taken, record.levelno) == ("cg", logging.WARNING)
    assert "The cheaper 'dual' needs" in record.getMessage()
    taken, record = take(WIDE, caplog, memory_limit=dual().num_bytes(WIDE) - 1, candidates=(dual(), cg()))
    assert (taken, record.levelno) == ("cg", logging.WARNING)


def test_where_nothing_fits_the_last_is_taken_with_a_warning(caplog):
    taken, record = take(WIDE, caplog, memory_limit=1)
    assert (taken, record.levelno) == ("cg", logging.WARNING)
    taken, record = take(WIDE, caplog, memory_limit=1, candidates=(dual(),))
    assert "Nothing fits" in record.getMessage()


def test_auto_has_the_costs_of_what_it_takes():
    exact = auto(candidates=(dual(), primal()))
    assert exact.num_flops(WIDE) == dual().num_flops(WIDE)
    assert exact.num_bytes(TALL) == primal().num_bytes(TALL)
    assert auto().num_flops is None  # conjugate gradients have no estimate
    assert auto(memory_limit=1).num_init_products(WIDE) == cg().num_init_products(WIDE)
    assert auto().num_init_products(WIDE) == 0


@pytest.mark.parametrize(
    "configured", [False, True], ids=["plain script", "application with a log of its own"]
)
def test_the_choice_is_shown_once_as_the_documentation_says(configured, monkeypatch, capsys):
    logger, root = logging.getLogger("isgd_optax"), logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(sys.stderr)] if configured else [])
    page = pathlib.Path(__file__).parents[3] / "docs" / "concepts" / "inner_solvers.md"
    (recipe,) = re.findall(
        r"^```python\n(import logging\n.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    )
    exec(recipe, {})
    auto().init(Matrix(np.ones((2, 2), np.float32)))
    assert capsys.readouterr().err.count("takes 'dual'") == 1
