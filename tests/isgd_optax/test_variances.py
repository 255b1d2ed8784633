"""Noise of several blocks, of a variance each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from isgd_optax import LeastSquares, Residual, diagnostics
from isgd_optax.diagnostics._maker import Grams, maker_of, shares_of, spread_of


def two_instruments(many, few):
    """A constant each, measured by two instruments, and one that both measure."""
    shared = lambda i: lambda p, y: p["own"][i] + p["both"] - y
    blocks = [
        Residual(shared(0), jnp.asarray(many), name="many"),
        Residual(lambda p, y: p["both"] - y, jnp.asarray(few), name="few", weight=5.0),
    ]
    both = np.mean(few)
    return LeastSquares(*blocks), {"own": jnp.array([np.mean(many) - both]), "both": jnp.asarray(both)}


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_blocks_may_have_a_variance_each():
    draws = np.random.default_rng(0)
    many, few = 2 + 0.01 * draws.normal(size=60), 1 + 10 * draws.normal(size=8)
    loss, params = two_instruments(many, few)
    result = diagnostics.covariance(loss, params, pooled=False)
    np.testing.assert_allclose(result.noise_std["many"], np.std(many, ddof=1), rtol=1e-9)
    np.testing.assert_allclose(result.noise_std["few"], np.std(few, ddof=1), rtol=1e-9)
    error = np.std(few, ddof=1) / np.sqrt(8)
    np.testing.assert_allclose(result.standard_error["both"], error, rtol=1e-9)
    np.testing.assert_allclose(result.degrees_of_freedom["both"], 7, rtol=1e-9)
    low, high = result.intervals(0.9)
    half = scipy.stats.t.ppf(0.95, 7) * error
    np.testing.assert_allclose(
        [low["both"], high["both"]], params["both"] + half * np.array([-1, 1]), rtol=1e-9
    )
    # The weights say nothing of these two: one variance is ten times too small for the few.
    assert diagnostics.covariance(loss, params).standard_error["both"] < error / 2


@pytest.mark.usefixtures("x64")
def test_variances_of_coupled_blocks_have_the_right_means():
    draws = np.random.default_rng(1)
    design = draws.normal(size=(30, 4))
    stds, sizes = (0.5, 1.0), (12, 18)  # the first without the second would come out a third too large
    noise = draws.normal(size=(400, 30)) * np.repeat(stds, sizes)
    of = lambda i: lambda p, point: point["x"] @ p - point["y"]

    @jax.jit
    def estimated(y):
        rows = jnp.asarray(design)
        points = [{"x": rows[:12], "y": y[:12]}, {"x": rows[12:], "y": y[12:]}]
        blocks = [Residual(of(i), p, weight=len(p["y"]), name=f"b{i}") for i, p in enumerate(points)]
        fitted = jnp.linalg.lstsq(rows, y)[0]
        return diagnostics.covariance(LeastSquares(*blocks), fitted, pooled=False).noise_std

    found = jax.vmap(estimated)(jnp.asarray(noise))
    for name, std in zip(("b0", "b1"), stds, strict=True):
        np.testing.assert_allclose(np.mean(np.square(found[name])), std**2, rtol=0.1)


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_a_block_without_a_residual_left_makes_its_own_parameters_infinite_alone():
    loss, params = two_instruments(np.array([2.0, 2.1, 1.9]), np.array([1.0]))
    result = diagnostics.covariance(loss, params, pooled=False)
    assert result.undetermined() == ("['both']", "['own']")
    fixed = LeastSquares(
        Residual(lambda p, y: p["a"] - y, jnp.array([2.0, 2.1, 1.9]), name="many"),
        Residual(lambda p, y: p["b"] - y, jnp.ones(1), name="one"),
    )
    found = diagnostics.covariance(fixed, {"a": jnp.asarray(2.0), "b": jnp.asarray(1.0)}, pooled=False)
    assert found.undetermined() == ("['b']",)
    np.testing.assert_allclose(found.standard_error["a"], 0.1 / np.sqrt(3), rtol=1e-9)
    assert not jnp.isnan(found.covariance).any()


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_instruments_whose_noise_cannot_be_parted_are_told():
    """A free value at each place, measured twice: the difference of the two is all that is left."""
    first, second = np.random.default_rng(0).normal(size=(2, 30))
    free = lambda p, point: p["free"][point["i"]] + p["c"] * point["on"] - point["y"]
    points = lambda y, on: {"i": jnp.arange(30), "y": jnp.asarray(y), "on": jnp.full(30, on)}
    loss = LeastSquares(
        Residual(free, points(first, 0.0), name="a"), Residual(free, points(second, 1.0), name="b")
    )
    offset = np.mean(second - first)
    params = {"free": jnp.asarray((first + second - offset) / 2), "c": jnp.asarray(offset)}
    pick = lambda p: p["c"]
    apart = diagnostics.covariance(loss, params, select=pick, pooled=False)
    assert np.isinf(apart.standard_error)
    assert np.isinf(apart.noise_std["a"])
    together = diagnostics.covariance(loss, params, select=pick)
    np.testing.assert_allclose(
        together.standard_error, np.std(second - first, ddof=1) / np.sqrt(30), rtol=1e-9
    )
    np.testing.assert_allclose(together.degrees_of_freedom, 29, rtol=1e-9)


@pytest.mark.usefixtures("x64")
def test_degrees_of_freedom_count_residuals_once():
    """Three points of a line, a block each: one residual is left, however many variances there are."""
    line = lambda p, point: p["a"] + p["b"] * point["x"] - point["y"]
    at = lambda x, y: {"x": jnp.full(1, x), "y": jnp.full(1, y)}
    data = [(0.0, 0.1), (1.0, 0.8), (2.0, 2.3)]
    loss = LeastSquares(*(Residual(line, at(*point), name=f"i{i}") for i, point in enumerate(data)))
    slope, offset = np.polyfit(*np.transpose(data), 1)
    result = diagnostics.covariance(loss, {"a": jnp.asarray(offset), "b": jnp.asarray(slope)}, pooled=False)
    assert np.isinf(result.standard_error["b"])
    assert result.degrees_of_freedom["b"] == 0


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_intervals_of_two_instruments_cover_the_truth():
    draws = np.random.default_rng(3)
    rows = jnp.asarray(draws.normal(size=(16, 3)))
    stds = np.repeat([0.3, 1.0], 8)

    @jax.jit
    def ends(y):
        points = [{"x": rows[s], "y": y[s]} for s in (slice(8), slice(8, None))]
        fn = lambda p, point: point["x"] @ p - point["y"]
        loss = LeastSquares(*(Residual(fn, p, name=f"i{i}", weight=8.0) for i, p in enumerate(points)))
        return diagnostics.covariance(loss, jnp.linalg.lstsq(rows, y)[0], pooled=False).intervals(0.9)

    low, high = jax.vmap(ends)(jnp.asarray(draws.normal(size=(2000, 16)) * stds))
    covered = np.mean((low < 0) & (high > 0), axis=0)
    np.testing.assert_allclose(covered, 0.9, atol=0.04)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_residual_that_is_no_number_is_no_small_error(pooled):
    loss = LeastSquares(Residual(lambda p, y: p - y, jnp.array([1.0, jnp.nan, 2.0])))
    result = diagnostics.covariance(loss, jnp.asarray(1.5), pooled=pooled)
    assert np.isnan(result.standard_error)
    assert np.isnan(result.intervals()[0])


@pytest.mark.parametrize("unit", [1e-15, 1.0, 1e12])
def test_degrees_of_freedom_do_not_depend_on_units(unit):
    loss, params = two_instruments(unit * np.array([2.0, 2.2, 1.7]), unit * np.array([1.0, 1.4, 0.8]))
    loss = LeastSquares(*loss.blocks)
    result = diagnostics.covariance(loss, params, pooled=False)
    np.testing.assert_allclose(result.degrees_of_freedom["both"], 2, rtol=1e-3)
    assert np.isfinite(result.intervals()[1]["both"])


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_values_that_are_left_out_by_a_factor_are_no_measurements():
    measured = jnp.asarray([1.0, 1.3, 0.8, 1.1])
    points = {"y": jnp.append(measured, jnp.zeros(6)), "there": jnp.append(jnp.ones(4), jnp.zeros(6))}
    loss = LeastSquares(
        Residual(lambda p, point: (p["a"] - point["y"]) * point["there"], points, weight=10.0, name="data"),
        Residual(lambda p, y: 0 * (p["a"] - y), jnp.ones(3), name="empty"),
    )
    result = diagnostics.covariance(loss, {"a": jnp.mean(measured)}, pooled=False)
    np.testing.assert_allclose(result.standard_error["a"], np.std(measured, ddof=1) / 2, rtol=1e-9)
    np.testing.assert_allclose(result.degrees_of_freedom["a"], 3, rtol=1e-9)
    np.testing.assert_allclose(result.noise_std["data"], np.std(measured, ddof=1), rtol=1e-9)
    assert result.noise_std["empty"] == np.inf


def test_no_array_is_as_large_as_the_square_of_the_number_of_residuals():
    """Two instruments of 300 points each and three parameters: 360,000 numbers were formed and multiplied."""
    points = {"x": jnp.ones((300, 3)), "y": jnp.ones(300)}
    fn = lambda p, point: point["x"] @ p - point["y"]
    loss = LeastSquares(Residual(fn, points, name="a"), Residual(fn, points, name="b"))
    found = jax.make_jaxpr(lambda p: diagnostics.covariance(loss, p, pooled=False).covariance)(jnp.ones(3))

    def largest(program):
        sizes = [variable.aval.size for equation in program.eqns for variable in equation.outvars]
        held = [jax.tree.leaves(e.params, is_leaf=lambda v: hasattr(v, "eqns")) for e in program.eqns]
        inner = [getattr(value, "jaxpr", value) for values in held for value in values]
        return max([*sizes, *(largest(program) for program in inner if hasattr(program, "eqns")), 0])

    assert largest(found.jaxpr) <= 600 * 3 * 3


@pytest.mark.usefixtures("x64")
def test_sums_by_groups_are_those_of_the_matrix():
    """Of many residuals they come from Gram matrices; a value that is fitted exactly leaves nothing."""
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(14, 3))
    columns[-1] = 0
    basis = np.zeros((15, 4))
    basis[:14, :3] = np.linalg.qr(columns)[0]
    basis[14, 3] = 1
    counted, members = np.arange(15) != 13, np.eye(2)[[0] * 14 + [1]]
    matrix = np.diag(1.0 * counted) - basis @ basis.T
    by_groups = lambda m: members.T @ m**2 @ members
    maker = maker_of(jnp.asarray(basis), counted, jnp.asarray(members))
    assert isinstance(maker, Grams)
    np.testing.assert_allclose(shares_of(maker), by_groups(matrix), atol=1e-13)
    assert shares_of(maker)[1, 1] == 0
    variances = np.array([0.3, 1.0])
    spread = by_groups((matrix * (members @ variances)) @ matrix)
    np.testing.assert_allclose(spread_of(maker, variances), spread, atol=1e-13)
