"""Factors of residuals' derivatives: of which residuals, parameters and points there are any."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax._gauss_newton._factors import block_factors
from isgd_optax._gauss_newton._rows import rows

NUM_POINTS = 5
H = 4  # width


def test_complex_residuals_and_parameters_are_to_be_split():
    with pytest.raises(TypeError, match=r"residuals must be real.*real and imaginary"):
        block_factors(lambda p, x: p * jnp.exp(1j * x), jnp.ones(()), jnp.ones(3))
    with pytest.raises(TypeError, match="parameters must be real"):
        block_factors(lambda p, x: jnp.abs(p * x), jnp.ones((), jnp.complex64), jnp.ones(3))


def test_no_parameters_is_an_error():
    with pytest.raises(ValueError, match="no leaves"):
        block_factors(lambda p, x: x, None, jnp.ones(3))


def test_residuals_of_no_parameter_have_rows_of_zeros():
    factors = block_factors(lambda p, x: jnp.stack([x, 2]), {"a": jnp.ones(2), "b": jnp.ones(3)}, jnp.ones(4))
    np.testing.assert_array_equal(rows(factors, jnp.ones(()), jnp.float32), jnp.zeros((8, 5)))


def test_functions_with_arrays_of_their_own_and_points_of_many_arrays(draw, dense_jacobian):
    offset = jnp.arange(2.0)
    fn = jax.tree_util.Partial(lambda c, p, point: jnp.tanh((point["x"] + c) @ p) * point["t"], offset)
    points = {"x": draw(0, NUM_POINTS, 2), "t": draw(1, NUM_POINTS)}
    factors = jax.jit(lambda p, points: block_factors(fn, p, points))(draw(2, 2, H), points)
    dense = dense_jacobian(fn, draw(2, 2, H), points)
    np.testing.assert_allclose(rows(factors, jnp.ones(()), jnp.float32), dense, rtol=1e-5, atol=1e-6)
