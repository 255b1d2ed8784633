"""Noise of several blocks, of a variance each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from isgd_optax import LeastSquares, Residual, diagnostics


def two_instruments(many, few):
    """A constant each, measured by two instruments, and one that both measure."""
    shared = lambda i: lambda p, y: p["own"][i] + p["both"] - y
    blocks = [
        Residual(shared(0), jnp.asarray(many), name="many"),
        Residual(lambda p, y: p["both"] - y, jnp.asarray(few), name="few", weight=5.0),
    ]
    both = np.mean(few)
    return LeastSquares(*blocks), {"own": jnp.array([np.mean(many) - both]), "both": jnp.asarray(both)}


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
