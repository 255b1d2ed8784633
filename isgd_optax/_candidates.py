"""The choice of α among several candidates, all stepped to from one linearisation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from isgd_optax._gauss_newton import Steps
from isgd_optax._proximal import rounding, squared_norm


class Trial(NamedTuple):
    """The candidate that was chosen.

    Attributes:
      params: its point; where ``accepted`` is false, the start.
      learning_rate: its α; where none is acceptable, the smallest.
      accepted: whether there is one.
      num_gradients: gradients' worth of work, int32.
    """

    params: Any
    learning_rate: jax.Array
    accepted: jax.Array
    num_gradients: jax.Array


def largest_trusted_step(
    steps: Steps,
    params: Any,
    center: Any,
    value: jax.Array,
    grad: Any,
    learning_rates: jax.Array,
    min_gain_ratio: float,
) -> Trial:
    r"""The step with the largest α whose gain ratio is at least ``min_gain_ratio``.

    .. math:: \rho = \frac{\phi(\theta) - \phi(p)}{\phi(\theta) - \phi_\mathrm{model}(p)}

    with the proximal objective φ of that α and its linearised one, whose decrease is
    :math:`-\frac12 \langle \nabla\phi(\theta), p - \theta \rangle` at its minimiser. If none is
    trusted, take the one with the lowest loss among those that decrease φ. Larger α are tried first, and no
    more once one is trusted.
    """
    offset = optax.tree.sub(params, center)
    order = jnp.sort(learning_rates, descending=True)

    class Carry(NamedTuple):
        index: jax.Array
        trusted: jax.Array
        best: Any
        best_loss: jax.Array
        best_rate: jax.Array
        num_gradients: jax.Array

    def body(carry: Carry) -> Carry:
        alpha = order[carry.index]
        step = steps.at(alpha)
        loss = step.value.astype(value.dtype)
        slope = optax.tree.vdot(optax.tree.add_scale(grad, 1 / alpha, offset), step.tangent)
        away = squared_norm(optax.tree.sub(step.params, center)) - squared_norm(offset)
        decrease = value - loss - (away / (2 * alpha)).astype(value.dtype)
        predicted = -jnp.asarray(slope).astype(value.dtype) / 2
        finite = jnp.isfinite(loss) & jnp.isfinite(away)
        trusted = finite & (decrease >= min_gain_ratio * predicted) & (decrease > 0)
        better = finite & (decrease >= -rounding(value)) & (loss < carry.best_loss)
        take = trusted | better
        return Carry(
            index=carry.index + 1,
            trusted=trusted,
            best=optax.tree.where(take, step.params, carry.best),
            best_loss=jnp.where(take, loss, carry.best_loss),
            best_rate=jnp.where(take, alpha, carry.best_rate),
            num_gradients=carry.num_gradients + step.num_gradients,
        )

    start = Carry(
        index=jnp.zeros((), jnp.int32),
        trusted=jnp.zeros((), bool),
        best=params,
        best_loss=jnp.full_like(value, jnp.inf),
        best_rate=order[-1],
        num_gradients=jnp.asarray(steps.num_gradients, jnp.int32),
    )
    end = jax.lax.while_loop(lambda c: ~c.trusted & (c.index < order.size), body, start)
    return Trial(end.best, end.best_rate, jnp.isfinite(end.best_loss), end.num_gradients)
