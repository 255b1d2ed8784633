"""Weights of points count a point so many times."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, diagnostics, gauss_newton, implicit_step

# 10 times the point 0 and once the point 1.


def weighted(shape, weight=(10.0, 1.0)):
    y = jnp.array([0.0, 1.0]).reshape((2, *shape))
    return LeastSquares(Residual(lambda p, y: p - y, y, weight=jnp.array(weight)))


def repeated(shape):
    y = jnp.array([0.0] * 10 + [1.0]).reshape((11, *shape))
    return LeastSquares(Residual(lambda p, y: p - y, y))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_weight_counts_a_point_so_many_times(shape):
    p = jnp.full(shape, 0.3)
    loss, other = weighted(shape), repeated(shape)
    assert loss(p).shape == ()
    # Weights do not change the number of points that the mean divides by.
    np.testing.assert_allclose(loss(p), 11 / 2 * other(p), rtol=1e-14)
    np.testing.assert_allclose(loss.losses(p)["block0"], 11 / 2 * other.losses(p)["block0"], rtol=1e-14)
    r, other_r = loss.residuals(p), np.sqrt(11 / 2) * other.residuals(p)
    np.testing.assert_allclose(r, [np.sqrt(10) * other_r[0], other_r[-1]], rtol=1e-14)
    gram, other_gram = diagnostics.gram_matrix(loss, p), diagnostics.gram_matrix(other, p)
    spread = np.array([np.sqrt(10), 1.0])
    expected = 11 / 2 * np.outer(spread, spread) * other_gram[-2:, -2:]
    assert gram.shape == (2, 2)
    np.testing.assert_allclose(gram, expected, rtol=1e-14)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("inner", [gauss_newton(), optax.lbfgs()], ids=["gauss_newton", "lbfgs"])
def test_the_weighted_minimiser_is_found(inner, shape):
    p, loss = jnp.full(shape, 3.0), weighted(shape)
    solver = implicit_step(inner, 1e8, max_inner_steps=20, rtol=1e-10)
    updates, _ = jax.jit(solver.update)(jax.grad(loss)(p), solver.init(p), p, value_fn=loss)
    np.testing.assert_allclose(p + updates, np.full(shape, 1 / 11), rtol=1e-7)


@pytest.mark.parametrize("weight", [np.ones(3), np.ones((2, 1)), [1.0, -1.0], [1.0, np.nan]])
def test_weights_of_another_shape_or_sign_are_an_error(weight):
    with pytest.raises(ValueError, match="weight must be"):
        Residual(lambda p, y: p - y, np.zeros(2), weight=np.asarray(weight))
