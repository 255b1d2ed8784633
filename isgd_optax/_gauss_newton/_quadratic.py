"""The second-order model of a convex loss of a residual, as a sum of squares."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from isgd_optax._norms import dot

ConvexLoss = Callable[[jax.Array], jax.Array]


class QuadraticModel(NamedTuple):
    r"""The model of a convex loss ℓ around a residual r of M numbers.

    .. math:: \ell(r + \delta) \approx \ell(r) - \lVert s \rVert^2
      + \lVert s + B \delta \rVert^2 + 2 \langle v, \delta \rangle

    with :math:`B^T B = \frac12 \nabla^2 \ell` and :math:`2 (B^T s + v) = \nabla \ell`. For ℓ = ‖r‖² it is
    s = r, B = I and v = 0.

    Attributes:
      residual: The residual s of the model, shape (M,).
      root: The factor B, shape (M, M).
      slope: The part v of the gradient along which ℓ has no curvature, or next to none, shape (M,).
    """

    residual: jax.Array
    root: jax.Array
    slope: jax.Array


def quadratic_model(loss: ConvexLoss, residual: jax.Array) -> QuadraticModel:
    """The model of ``loss`` around ``residual``, of shape (M,).

    Where ``loss`` is not convex, the directions of negative curvature count as straight, so that the
    matrix of the model is positive semidefinite for any loss.

    References:
      Schraudolph, Fast curvature matrix-vector products for second-order gradient descent, 2002 (the
      generalised Gauss–Newton matrix).
    """
    value, gradient = jax.value_and_grad(loss)(residual)
    hessian = jax.hessian(loss)(residual)
    eps = jnp.finfo(residual.dtype).eps
    if residual.size == 1:
        curvatures, vectors = hessian[0], jnp.ones_like(hessian)
    else:
        curvatures, vectors = jnp.linalg.eigh((hessian + hessian.T) / 2)
    largest = jnp.max(jnp.abs(curvatures))
    # Below this a curvature is the rounding error of a larger one.
    curved = curvatures > residual.size * eps * largest
    safe = jnp.where(curved, curvatures, 1)
    components = jnp.matmul(vectors.T, gradient, precision="highest")
    root = jnp.where(curved, jnp.sqrt(safe / 2), 0)
    # A gradient of moderate size over a tiny curvature (a saturated softmax) would be an s beside which the
    # other points' are lost; what is beyond this bound, far above √ℓ, is left to v.
    bound = 100 * jnp.sqrt(jnp.abs(value) + jnp.abs(dot(gradient, numbers(residual))))
    full = components / jnp.sqrt(2 * safe)
    model_residual = jnp.where(curved, jnp.clip(full, -bound, bound), 0)
    # The gradient's rounding error along straight directions, divided by a small damping, would be a step.
    straight = ~curved & (jnp.abs(components) > 16 * residual.size * eps * jnp.max(jnp.abs(gradient)))
    rest = jnp.where(straight | (curved & (jnp.abs(full) > bound)), components / 2 - root * model_residual, 0)
    return QuadraticModel(
        residual=model_residual,
        root=root[:, None] * vectors.T,
        slope=jnp.matmul(vectors, rest, precision="highest"),
    )


def numbers(residuals: jax.Array) -> jax.Array:
    """0 for what is not finite: where the loss is, that is a masked class, which has no part in it."""
    return jnp.where(jnp.isfinite(residuals), residuals, 0)
