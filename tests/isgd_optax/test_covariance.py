"""Covariance against textbook formulas and Monte Carlo."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from isgd_optax import (
    LeastSquares,
    Residual,
    diagnostics,
)

RNG = np.random.default_rng(0)
DESIGN = RNG.normal(size=(15, 2, 3))  # two residuals at each of 15 points
TARGET = RNG.normal(size=(15, 2))
WEIGHTS = RNG.uniform(0.5, 2.0, size=15)
PRIOR = RNG.normal(size=(4, 3))


def linear(p, point):
    return point["x"] @ jnp.concatenate([p["a"], p["b"][None]]) - point["y"]


def regression(dtype, weights=WEIGHTS):
    """Weighted regression of two blocks, at its minimum; its scaled design and residuals."""
    cast = lambda x: jnp.asarray(x, dtype)
    loss = LeastSquares(
        Residual(linear, {"x": cast(DESIGN), "y": cast(TARGET)}, weight=cast(weights), name="data"),
        Residual(linear, {"x": cast(PRIOR), "y": cast(np.ones(4))}, weight=3.0, name="more"),
    )
    scale = np.sqrt(np.concatenate([np.repeat(weights / 15, 2), np.full(4, 3 / 4)]))
    design = scale[:, None] * np.concatenate([DESIGN.reshape(-1, 3), PRIOR])
    target = scale * np.concatenate([TARGET.reshape(-1), np.ones(4)])
    fitted = np.linalg.lstsq(design, target)[0]
    params = {"a": cast(fitted[:2]), "b": cast(fitted[2])}
    return loss, params, design, target - design @ fitted


def test_regression_is_the_textbooks(dtype):
    loss, params, design, residual = regression(dtype)
    result = jax.jit(diagnostics.covariance)(loss, params)
    variance = residual @ residual / (34 - 3)
    expected = variance * np.linalg.inv(design.T @ design)
    rtol = 1e-10 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(result.covariance, expected, rtol=rtol, atol=rtol * expected.max())
    np.testing.assert_allclose(result.standard_error["a"], np.sqrt(np.diag(expected))[:2], rtol=rtol)
    assert result.standard_error["b"].shape == ()
    np.testing.assert_allclose(result.degrees_of_freedom, 31, rtol=rtol)
    np.testing.assert_allclose(result.noise_std["data"], np.sqrt(variance * 15 / WEIGHTS), rtol=rtol)
    np.testing.assert_allclose(result.noise_std["more"], np.sqrt(variance * 4 / 3), rtol=rtol)
    low, high = result.intervals(0.9)
    half = scipy.stats.t.ppf(0.95, 31) * np.sqrt(expected[2, 2])
    np.testing.assert_allclose([low["b"], high["b"]], params["b"] + half * np.array([-1, 1]), rtol=10 * rtol)
    assert result.undetermined() == ()


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_points_of_weight_zero_do_not_count():
    weights = np.where(np.arange(15) < 5, 0.0, WEIGHTS)
    loss, params, design, residual = regression("float64", weights)
    result = diagnostics.covariance(loss, params)
    expected = residual @ residual / (24 - 3) * np.linalg.inv(design.T @ design)
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(result.degrees_of_freedom, 21, rtol=1e-10)
    assert np.isinf(result.noise_std["data"][:5]).all()


@pytest.mark.usefixtures("x64")
def test_a_selection_has_its_part_of_the_whole_covariance():
    loss, params, _, _ = regression("float64")
    whole = diagnostics.covariance(loss, params).covariance
    chosen = diagnostics.covariance(loss, params, select=lambda p: (p["b"], p["a"][:1]))
    np.testing.assert_allclose(chosen.covariance, whole[np.ix_([2, 0], [2, 0])], rtol=1e-10)
    assert [e.shape for e in chosen.standard_error] == [(), (1,)]
    same = diagnostics.covariance(loss, params, select=lambda p: (p["b"], p["a"].at[:1].get()))
    np.testing.assert_array_equal(same.covariance, chosen.covariance)


def constrained(weight=0.7):
    """Twelve numbers with noise-free equations between them and a coefficient; eight noisy measurements."""
    rng = np.random.default_rng(1)
    equations, measurements = rng.normal(size=(10, 13)), rng.normal(size=(8, 12))
    loss = lambda noise: LeastSquares(
        Residual(lambda p, e: e[:12] @ p["net"] + e[12] * p["k"], jnp.asarray(equations), weight, "pde"),
        Residual(
            lambda p, q: q["m"] @ p["net"] - q["noise"],
            {"m": jnp.asarray(measurements), "noise": jnp.asarray(noise)},
            name="data",
        ),
    )
    scaled = np.concatenate(
        [
            np.sqrt(weight / 10) * equations,
            np.sqrt(1 / 8) * np.concatenate([measurements, np.zeros((8, 1))], axis=1),
        ]
    )
    return loss, scaled


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_a_sandwich_is_the_covariance_of_many_draws():
    loss, design = constrained()
    noise = 0.3 * np.random.default_rng(2).normal(size=(8, 40000))
    targets = np.concatenate([np.zeros((10, 40000)), np.sqrt(1 / 8) * noise])
    fitted = np.linalg.lstsq(design, targets)[0]
    drawn = np.std(fitted[12])

    at = lambda i: {"net": jnp.asarray(fitted[:12, i]), "k": jnp.asarray(fitted[12, i])}
    of = lambda i, **given: diagnostics.covariance(
        loss(noise[:, i]), at(i), select=lambda p: p["k"], noisy=("data",), **given
    )
    given = of(0, noise_std=0.3)
    np.testing.assert_allclose(given.standard_error, drawn, rtol=0.02)
    assert np.isinf(given.degrees_of_freedom)
    same = of(0, noise_std={"data": jnp.full(8, 0.3)})
    np.testing.assert_allclose(same.standard_error, given.standard_error, rtol=1e-12)

    # The estimate of the variance has the right mean, though the equations take up part of the noise.
    estimated = of(0)
    misfit = np.sum((8**-0.5 * noise - design[10:] @ fitted) ** 2, axis=0)
    variances = misfit * (estimated.noise_std["data"] ** 2 / misfit[0])
    np.testing.assert_allclose(np.mean(variances), 0.09, rtol=0.02)
    chi2 = 2 * np.mean(variances) ** 2 / np.var(variances)
    np.testing.assert_allclose(estimated.degrees_of_freedom, chi2, rtol=0.05)


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_undetermined_parameters_are_named_and_others_keep_their_errors():
    x = jnp.linspace(0.0, 1.0, 20)
    fn = lambda p, x: p["a"] * x + (p["b"] + 2 * p["c"][0]) * x**2 + p["c"][1] - jnp.sin(9 * x)
    params = {"a": jnp.ones(()), "b": jnp.ones(()), "c": jnp.ones(2), "unused": jnp.ones(2)}
    loss = LeastSquares(Residual(fn, x))
    result = diagnostics.covariance(loss, params)
    assert result.undetermined() == ("['b']", "['c'][0]", "['unused']")
    assert result.covariance[1, 2] == -jnp.inf  # more of b, less of c
    low, high = result.intervals()
    assert (low["b"], high["b"]) == (-jnp.inf, jnp.inf)
    known = lambda p, x: fn({**params, "a": p["a"], "b": p["b"], "c": jnp.array([1.0, p["d"]])}, x)
    less = LeastSquares(Residual(known, x))
    fewer = diagnostics.covariance(less, {"a": params["a"], "b": params["b"], "d": params["c"][1]})
    np.testing.assert_allclose(result.standard_error["a"], fewer.standard_error["a"], rtol=1e-9)
    assert not jnp.isnan(result.covariance).any()
    # Also against parameters that are not chosen, and in any unit.
    tiny = LeastSquares(Residual(lambda p, x: fn({**p, "b": 1e-9 * p["b"], "a": 1e-9 * p["a"]}, x), x))
    select = lambda p: [p["a"], p["b"]]
    chosen = diagnostics.covariance(tiny, params, select=select, noise_std=fewer.noise_std["block0"])
    assert chosen.undetermined() == ("[1]",)
    np.testing.assert_allclose(chosen.standard_error[0], 1e9 * fewer.standard_error["a"], rtol=1e-9)


@pytest.mark.usefixtures("x64")
def test_without_a_residual_left_for_the_noise_all_errors_are_infinite():
    loss = LeastSquares(Residual(lambda p, x: p[0] * x + p[1] - x**2, jnp.array([1.0, 2.0])))
    result = diagnostics.covariance(loss, jnp.array([3.0, -2.0]))
    assert np.isinf(result.standard_error).all()
    assert result.degrees_of_freedom == 0
    assert not jnp.isnan(jnp.stack(result.intervals())).any()
    given = diagnostics.covariance(loss, jnp.array([3.0, -2.0]), noise_std=0.1)
    np.testing.assert_allclose(given.covariance, [[0.02, -0.03], [-0.03, 0.05]], rtol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noisy": ("date",)}, "names of blocks"),
        ({"noisy": "data"}, "sequence of names"),
        ({"noisy": ()}, "names of blocks"),
        ({"noisy": ("data",), "noise_std": {"more": 1.0}}, "entry for each noisy block"),
        ({"noise_std": {"data": 1.0}}, "entry for each noisy block"),
        ({"noise_std": {"data": jnp.ones(3), "more": 1.0}}, "one for each of its 15 points"),
        ({"select": lambda p: {}}, "picked no parameters"),
        ({"select": lambda p: 2 * p["a"]}, "compute nothing"),
        ({"select": lambda p: (p["a"], p["a"])}, "each once"),
    ],
)
def test_unfit_options_are_refused(options, message):
    loss, params, _, _ = regression("float32")
    with pytest.raises(ValueError, match=message):
        diagnostics.covariance(loss, params, **options)


def test_other_losses_than_squares_are_refused():
    block = Residual(lambda p, x: p * x, jnp.ones(2), loss=lambda r: jnp.cosh(r), name="robust")
    with pytest.raises(TypeError, match="'robust' has a loss that is no sum of squares"):
        diagnostics.covariance(LeastSquares(block), jnp.ones(()))
    with pytest.raises(TypeError, match="LeastSquares"):
        diagnostics.covariance(lambda p: p, jnp.ones(()))


@pytest.mark.long
def test_float32_with_free_parameters_says_that_it_needs_float64():
    loss, params, design, residual = regression("float32")
    with pytest.warns(UserWarning, match="needs float64"):
        result = diagnostics.covariance(loss, params, select=lambda p: p["a"])
    expected = residual @ residual / 31 * np.linalg.inv(design.T @ design)[:2, :2]
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-4)
