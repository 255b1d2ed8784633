"""The estimated error of a solution against the true one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, diagnostics

MODES = np.arange(1, 6) * np.pi


def sines(p, x):
    return jnp.sin(MODES * x) @ p["c"]


def poisson(points, weight=1.0):
    """−u'' = π² sin πx, whose solution is sin πx, for five sines."""
    fn = lambda p, x: jnp.sin(MODES * x) @ (MODES**2 * p["c"]) - np.pi**2 * jnp.sin(np.pi * x)
    return LeastSquares(Residual(fn, points, weight=weight))


@pytest.mark.usefixtures("x64")
def test_of_a_linear_problem_that_the_model_can_solve_the_error_is_exact():
    x = jnp.linspace(0.0, 1.0, 7)
    params = {"c": jnp.array([1.0, 0.3, 0.0, -0.1, 0.2])}
    predict = lambda p: jax.vmap(lambda x: sines(p, x))(x)
    estimate = jax.jit(lambda p: diagnostics.error_estimate(poisson(jnp.linspace(0.0, 1.0, 20)), p, predict))
    result = estimate(params)
    error = jnp.sin(np.pi * x) - predict(params)
    np.testing.assert_allclose(result.change, error, atol=1e-12)
    np.testing.assert_allclose(
        result.relative, jnp.linalg.norm(error) / jnp.linalg.norm(predict(params)), rtol=1e-10
    )


@pytest.mark.usefixtures("x64")
def test_new_points_show_the_error_that_the_points_of_the_training_hide():
    few = poisson(jnp.array([0.25, 0.5]))
    wrong = {"c": jnp.array([1.0, 0.0, 0.0, 0.5, 0.0])}  # sin 4πx vanishes at both points
    assert few(wrong) < 1e-20
    predict = lambda p: jax.vmap(lambda x: sines(p, x))(jnp.linspace(0.0, 1.0, 50))
    assert diagnostics.error_estimate(few, wrong, predict).relative < 1e-10
    found = diagnostics.error_estimate(poisson(jnp.linspace(0.0, 1.0, 50)), wrong, predict)
    np.testing.assert_allclose(found.relative, 0.5 / np.sqrt(1.25), rtol=1e-6)


def test_flat_losses_and_zero_predictions_give_no_nan(dtype):
    loss = LeastSquares(Residual(lambda p, x: 0 * p[0] * x + 1, jnp.ones(3, dtype)))
    result = diagnostics.error_estimate(loss, jnp.zeros(2, dtype), lambda p: p)
    np.testing.assert_array_equal(result.change, 0)
    assert result.change.dtype == dtype
    assert result.relative == jnp.inf
    several = diagnostics.error_estimate(loss, jnp.zeros(2, dtype), lambda p: {"u": p, "v": [p[0], 1.0]})
    assert jax.tree.map(jnp.shape, several.change) == {"u": (2,), "v": [(), ()]}
    assert several.relative == 0
    with pytest.raises(TypeError, match="LeastSquares"):
        diagnostics.error_estimate(lambda p: p, jnp.zeros(2), lambda p: p)


@pytest.mark.long
def test_points_on_which_a_loss_is_straight_ask_for_their_correction_too(x64):
    """Huber's loss far from the data: its gradient counts, though it has no curvature there."""
    x = jnp.linspace(0.0, 1.0, 9)
    fn = lambda p, x: p[0] + p[1] * x - jnp.where(x > 0.6, 50.0, 0.1 * x)
    robust = LeastSquares(Residual(fn, x, loss=lambda r: optax.huber_loss(r, delta=1.0)))
    params = jnp.array([0.2, -0.1])
    estimate = diagnostics.error_estimate(robust, params, lambda p: p)
    hessian, gradient = jax.hessian(robust)(params), jax.grad(robust)(params)
    np.testing.assert_allclose(estimate.change, -jnp.linalg.solve(hessian, gradient), rtol=1e-8)
