"""What Gauss–Newton steps refuse: other losses and uses, bad options, and what does not fit into memory."""

import jax
import jax.numpy as jnp
import optax
import pytest

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, linear_solvers

pytestmark = pytest.mark.usefixtures("x64")


def test_another_loss_is_refused():
    params = jnp.ones(2)
    solver = implicit_step(gauss_newton(), 1.0)
    with pytest.raises(TypeError, match="LeastSquares"):
        solver.update(params, solver.init(params), params, value_fn=lambda p: jnp.sum(p**2))


def test_use_outside_an_implicit_step_is_refused(make_problem):
    loss, params = make_problem(2)
    solver = gauss_newton()
    with pytest.raises(TypeError, match="inner solver"):
        solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"linear_solver": "lu"}, "linear_solver"),
        ({"kernel": "columns"}, "kernel"),
        ({"row_block": 0}, "row_block"),
        ({"cg_rtol": 0.0}, "cg_rtol"),
        ({"cg_max_steps": 0}, "cg_max_steps"),
        ({"preconditioner_rank": -1}, "preconditioner_rank"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        gauss_newton(**options)


def test_layers_name_the_parameters_that_have_none(make_problem, one_step):
    loss, params = make_problem(2)
    with pytest.raises(ValueError, match=r"params\['a'\] \(.*mul.*\) in 'curve'|params\['a'\] \(.*\)"):
        one_step(loss, params, 1.0, kernel="layers")


@pytest.mark.parametrize(("linear_solver", "limit"), [("dual", 4000), ("primal", 1700), ("qr", 2000)])
def test_what_does_not_fit_is_refused_with_alternatives(linear_solver, limit, make_problem, one_step):
    loss, params = make_problem(6)
    with pytest.raises(ValueError, match=r"GiB.*cg.*memory_limit"):
        one_step(loss, params, 1.0, linear_solver=linear_solver, memory_limit=limit, preconditioner_rank=0)


def test_masked_parameters_are_refused(make_problem):
    loss, params = make_problem(2)
    inner = optax.partition({"a": gauss_newton(), "b": optax.set_to_zero()}, {"a": "a", "b": "b"})
    solver = implicit_step(inner, 1.0)
    with pytest.raises(TypeError, match="clos"):
        solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)


def test_the_memory_limit_holds_for_an_automatic_choice_of_ones_own(make_problem, one_step):
    loss, params = make_problem(6)
    with pytest.raises(ValueError, match="'auto' needs"):
        one_step(loss, params, 1.0, linear_solver=linear_solvers.auto(), memory_limit=1000)
    limited = linear_solvers.auto(memory_limit=1000, candidates=(linear_solvers.cg(preconditioner_rank=0),))
    one_step(loss, params, 1.0, linear_solver=limited, memory_limit=1000)


def test_a_metric_of_arrays_takes_the_memory_of_all_rows():
    """A number for each entry of a matrix cannot be taken by the products of its factors."""
    width, points = 64, jnp.ones((200, 2))
    params = {"a": jnp.ones((2, width)), "b": jnp.ones((width, width)), "c": jnp.ones(width)}
    fn = lambda p, x: jnp.tanh(jnp.tanh(x @ p["a"]) @ p["b"]) @ p["c"]
    loss = LeastSquares(Residual(fn, points))
    limit = 4 * 2**20  # all rows take 8 · 200 · 4,288 bytes, 6.5 MiB; factors and K 1.2 MiB
    solver = gauss_newton(linear_solver="dual", memory_limit=limit, max_corrections=0)

    def lower(metric):
        step = implicit_step(solver, 1.0, max_inner_steps=1, metric=metric)
        return jax.jit(step.update).lower(params, step.init(params), params, value_fn=loss)

    lower("identity")
    for metric in ("jacobi", jax.tree.map(jnp.ones_like, params)):
        with pytest.raises(ValueError, match="'dual' needs"):
            lower(metric)
