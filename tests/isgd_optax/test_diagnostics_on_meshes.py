"""Diagnostics of points on a mesh whose axes carry their sharding in the types of arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax import LeastSquares, Residual, diagnostics


def line(p, x):
    return p["slope"] * x - p["offset"] - x**2


def measured(loss, params):
    noise = {"block0": loss.blocks[0].weight, "block1": 0.1}
    return (
        diagnostics.contraction(loss, params, params, 1.0),
        diagnostics.covariance(loss, params, pooled=False).standard_error,
        diagnostics.covariance(loss, params, noise_std=noise).standard_error,
        diagnostics.error_estimate(loss, params, lambda p: line(p, jnp.ones(3))),
        loss.gauss_newton_diagonal(params),
    )


@pytest.mark.devices(4)
@pytest.mark.usefixtures("x64")
def test_diagnostics_of_points_on_a_mesh():
    """One block of sharded points and one of replicated ones, which the devices do not divide.

    What does not go together is refused while it is traced.
    """
    points, others = jnp.linspace(0.0, 1.0, 8), jnp.linspace(0.0, 2.0, 3)
    params = {"slope": jnp.asarray(1.0), "offset": jnp.asarray(0.5)}
    mesh = jax.make_mesh((4,), ("points",), axis_types=(jax.sharding.AxisType.Explicit,))
    put = lambda tree, *axes: jax.device_put(tree, jax.NamedSharding(mesh, jax.P(*axes)))
    points = put(points, "points")
    loss = LeastSquares(Residual(line, points, weight=1 + points), Residual(line, put(others)))
    with jax.set_mesh(mesh):
        shapes = jax.eval_shape(measured, loss, put(params))
        assert jax.tree.leaves(shapes)[0].shape == (11,)
        found = diagnostics.gram_matrix(loss, put(params))
    x, w = np.linspace(0.0, 1.0, 8), 1 + np.linspace(0.0, 1.0, 8)
    rows = lambda x, w: np.sqrt(w / len(x))[:, None] * np.stack([x, np.ones_like(x)], axis=1)
    jacobian = np.concatenate([rows(x, w), rows(np.linspace(0.0, 2.0, 3), np.ones(3))])
    np.testing.assert_allclose(found, jacobian @ jacobian.T, rtol=1e-12)
    with pytest.raises(TypeError, match=r"jax\.set_mesh"):
        diagnostics.gram_matrix(loss, params)
