"""The second-order model of a convex loss of a residual, as a sum of squares."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from isgd_optax._norms import dot
from isgd_optax._tree import ArrayTree


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


class _Expansion(NamedTuple):
    """Value, gradient and eigendecomposition of the Hessian of ℓ around the residual of one point."""

    value: jax.Array
    gradient: jax.Array
    curvatures: jax.Array
    vectors: jax.Array


def quadratic_models(
    loss_at: Callable[[jax.Array, ArrayTree], jax.Array], residuals: jax.Array, points: ArrayTree
) -> QuadraticModel:
    """The models of ``loss_at(residual, point)`` around the residuals of N points, shape (N, ...).

    Where a loss is not convex, the directions of negative curvature count as straight, so that the
    matrix of the model is positive semidefinite for any loss.

    References:
      Schraudolph, Fast curvature matrix-vector products for second-order gradient descent, 2002 (the
      generalised Gauss–Newton matrix).
    """

    def expand(residual: jax.Array, point: ArrayTree) -> _Expansion:
        loss = lambda flat: loss_at(flat.reshape(residual.shape), point)
        flat = residual.reshape(-1)
        value, gradient = jax.value_and_grad(loss)(flat)
        hessian = jax.hessian(loss)(flat)
        if flat.size == 1:
            return _Expansion(value, gradient, hessian[0], jnp.ones_like(hessian))
        return _Expansion(value, gradient, *jnp.linalg.eigh((hessian + hessian.T) / 2))

    expansions = jax.vmap(expand)(residuals, points)
    size = _largest_size(expansions)
    flat = residuals.reshape(residuals.shape[0], -1)
    return jax.vmap(functools.partial(_model, size=size))(expansions, flat)


def _largest_size(expansions: _Expansion) -> jax.Array:
    """|s| of a point with the largest gradient and curvature there are; infinite where nothing is curved."""
    gradient = jnp.max(numbers(jnp.abs(expansions.gradient)))
    curvature = jnp.max(numbers(jnp.abs(expansions.curvatures)))
    root = jnp.sqrt(2.0) * jnp.sqrt(jnp.where(curvature > 0, curvature, 1))
    return jnp.where(curvature > 0, gradient / root.astype(gradient.dtype), jnp.inf)


def _model(expansion: _Expansion, residual: jax.Array, size: jax.Array) -> QuadraticModel:
    value, gradient, curvatures, vectors = expansion
    eps = jnp.finfo(residual.dtype).eps
    largest = jnp.max(jnp.abs(curvatures))
    # Below this a curvature is the rounding error of a larger one.
    curved = curvatures > residual.size * eps * largest
    safe = jnp.where(curved, curvatures, 1)
    components = jnp.matmul(vectors.T, gradient, precision="highest")
    root = jnp.where(curved, jnp.sqrt(safe / 2), 0)
    # A gradient of moderate size over a tiny curvature (a saturated softmax) would be an s beside which the
    # other points' are lost; what is beyond this bound, far above √ℓ and theirs, is left to v.
    own = jnp.sqrt(jnp.abs(value) + jnp.abs(dot(gradient, numbers(residual))))
    bound = 100 * jnp.maximum(own, size)
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
