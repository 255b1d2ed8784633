"""Standard errors in float32, of many points and of designs that are nearly dependent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax import LeastSquares, Residual, diagnostics


def polynomial(x, dtype=jnp.float32):
    """A polynomial through noise: its loss, and the textbook's errors of its coefficients for noise 0.1."""
    powers = np.stack([x**k for k in range(3)], axis=1)
    loss = LeastSquares(Residual(lambda p, row: row @ p - 1, jnp.asarray(powers, dtype)))
    return loss, 0.1 * np.sqrt(np.diag(np.linalg.inv(powers.T @ powers)))


@pytest.mark.long
def test_errors_of_many_points_in_float32_are_the_textbooks():
    loss, expected = polynomial(np.random.default_rng(0).uniform(size=100_000))
    found = diagnostics.covariance(loss, jnp.ones(3), noise_std=0.1)
    np.testing.assert_allclose(found.standard_error, expected, rtol=1e-3)
    # A wrong third coefficient, 1 instead of 0, damped by no more than rounding.
    predict = lambda p: p[2]
    change = diagnostics.error_estimate(loss, jnp.array([1.0, 0.0, 1.0]), predict).change
    np.testing.assert_allclose(change, -1, rtol=1e-3)


def test_a_small_part_in_what_is_not_determined_makes_an_error_infinite():
    """Nothing changes along (1, −1, part), in which the third coefficient has a part, too."""
    a, b, c = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 3)))[0].T

    def errors(*columns):
        rows = jnp.asarray(np.stack(columns, axis=1), jnp.float32)
        loss = LeastSquares(Residual(lambda p, row: row @ p - 1, rows))
        return diagnostics.covariance(loss, jnp.ones(len(columns)), noise_std=0.1).standard_error

    for part in (0.03, 1e-3):
        assert np.isinf(errors(a, a + part * c, c)).all()
    np.testing.assert_allclose(errors(a, a, b), [np.inf, np.inf, 0.1], rtol=1e-5)


def test_half_precision_is_refused_and_very_many_parameters_in_float32_are_said():
    loss, _ = polynomial(np.linspace(0, 1, 20))
    half = jnp.ones(3, jnp.bfloat16)
    with pytest.raises(TypeError, match=r"covariance needs float64.* bfloat16"):
        diagnostics.covariance(loss, half)
    with pytest.raises(TypeError, match=r"error_estimate needs float64.* bfloat16"):
        diagnostics.error_estimate(loss, half, lambda p: p)
    points = jax.ShapeDtypeStruct((1000, 1000), jnp.float32)
    many = lambda x: LeastSquares(Residual(lambda p, row: row @ p, x))
    with pytest.warns(UserWarning, match="needs float64 for 1000 parameters"):
        jax.eval_shape(lambda x: diagnostics.covariance(many(x), jnp.ones(1000)).standard_error, points)
