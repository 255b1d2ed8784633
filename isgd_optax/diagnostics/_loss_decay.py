"""The change of a loss in one step, against the paper's formulas."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from isgd_optax._checks import check_count
from isgd_optax._proximal import Loss


class LossDecay(NamedTuple):
    """The change of the loss in one step, and the paper's formula for it; scalars.

    Attributes:
      actual: The change L(θₙ₊₁) − L(θₙ).
      predicted: The right-hand side of Eq. 10 (gradient descent) or Eq. 11 (implicit).
      gradient_term: The term α‖∇L‖², at θₙ for gradient descent and at θₙ₊₁ for an implicit step.
      curvature: The sum Σλᵢyᵢ²: the Hessian along the step, averaged as Taylor's theorem has it.
    """

    actual: jax.Array
    predicted: jax.Array
    gradient_term: jax.Array
    curvature: jax.Array


def loss_decay(
    value_fn: Loss,
    params: optax.Params,
    new_params: optax.Params,
    learning_rate: ArrayLike,
    *,
    implicit: bool = True,
    num_nodes: int = 8,
) -> LossDecay:
    r"""The change of the loss from ``params`` to ``new_params`` against paper Eq. 11, or Eq. 10.

    .. math::
      L(\theta_{n+1}) - L(\theta_n) = \alpha \lVert \nabla L \rVert^2
      \left( -1 \mp \tfrac12 \alpha \sum_i \lambda_i y_i^2 \right)

    with the gradient at :math:`\theta_{n+1}` and − for an implicit step, at :math:`\theta_n` and + for
    a step of gradient descent. The paper's Hessian at an unknown ξ is here its mean over the step with
    Taylor's weights, by Gauss–Legendre quadrature, so that the formula holds to quadrature error for a
    step that solves its equation; what is missing is then how far it does not.

    Args:
      value_fn: The loss L, any twice differentiable function of the parameters.
      params: The parameters θₙ before the step.
      new_params: The parameters θₙ₊₁ after it.
      learning_rate: The step size α.
      implicit: Whether the step is an implicit one, else one of gradient descent.
      num_nodes: The number of Gauss–Legendre nodes that average the Hessian along the step.

    Returns:
      A :class:`LossDecay`.

    Raises:
      ValueError: ``num_nodes`` is below 1 or no whole number.

    Examples:
      >>> import jax.numpy as jnp
      >>> from isgd_optax import diagnostics
      >>> loss = lambda p: jnp.sum(2.0 * p**2)  # curvature 4
      >>> decay = diagnostics.loss_decay(loss, jnp.array([1.0]), jnp.array([0.2]), 1.0)
      >>> print(decay.actual.round(4), decay.predicted.round(4), decay.curvature.round(4))
      -1.92 -1.92 4.0

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Eqs. 10 and 11.
    """
    num_nodes = check_count("num_nodes", num_nodes, 1)
    learning_rate = jnp.asarray(learning_rate)
    step = optax.tree.sub(new_params, params)
    base, sign = (new_params, -1) if implicit else (params, 1)
    grad_fn = jax.grad(lambda p: jnp.asarray(value_fn(p)))
    gradient_term = learning_rate * jnp.asarray(optax.tree.norm(grad_fn(base), squared=True))
    # L(base + t h) = L + h·∇L + ∫₀¹ (1 − s) hᵀH(base + s h)h ds with h leading away from base.
    away = optax.tree.scale(sign, step)
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    nodes, weights = (nodes + 1) / 2, weights / 2

    def along(s: jax.Array) -> jax.Array:
        point = optax.tree.cast_like(optax.tree.add_scale(base, s, away), base)
        return jnp.asarray(optax.tree.vdot(away, jax.jvp(grad_fn, (point,), (away,))[1]))

    length = jnp.asarray(optax.tree.norm(step, squared=True))
    values = jax.lax.map(along, jnp.asarray(nodes, length.dtype))
    curvature = 2 * jnp.sum(jnp.asarray(weights * (1 - nodes), length.dtype) * values)
    curvature = jnp.where(length > 0, curvature / jnp.where(length > 0, length, 1), 0)
    actual = jnp.asarray(value_fn(new_params)) - jnp.asarray(value_fn(params))
    predicted = gradient_term * (-1 + sign * learning_rate * curvature / 2)
    return LossDecay(actual, predicted, gradient_term, curvature)
