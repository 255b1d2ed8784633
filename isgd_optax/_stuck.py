"""Whether a solver that has not moved could have: it tells a failure from the end of what can be gained."""

import jax
import jax.numpy as jnp

from isgd_optax._inner_solver import Evaluation
from isgd_optax._norms import advanced, as_wide_as, norm, rounding
from isgd_optax._proximal import ProximalObjective


def falls_along_gradient(objective: ProximalObjective, start: Evaluation) -> jax.Array:
    """Whether L falls, by more than rounding, a little way from the start along −D⁻¹∇L.

    Two ways are tried for each dtype, of √ε and ε^¾ of the parameters' norm: longer than their rounding
    errors by far, and no longer than the explicit step α‖∇L‖. Under ``vmap`` they are evaluated at every
    step.

    Args:
      objective: The proximal objective, whose loss, α and metric are taken.
      start: The start, with ∇L for gradient.
    """
    metric = objective.metric
    slope = objective.dual_norm(start.grad)
    longest = objective.learning_rate * slope
    eps = sorted({float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(start.params)})
    shares = jnp.asarray([e**power for e in eps or [0.0] for power in (0.5, 0.75)], slope.dtype)
    size = norm(start.params, metric)
    lengths = jnp.minimum(shares * jnp.where(size > 0, size, longest), longest)
    steps = lengths / jnp.where(slope > 0, slope, 1)
    direction = start.grad
    if metric is not None:
        direction = jax.tree.map(lambda g, d: as_wide_as(g, d) / d, direction, metric)

    def falls(step: jax.Array) -> jax.Array:
        there = advanced(start.params, -step, direction)
        decrease = start.loss - jnp.asarray(objective.value_fn(there))
        return decrease > rounding(start.loss)  # false for NaN

    return jnp.any(jax.lax.map(falls, steps))
