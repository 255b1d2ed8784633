"""The choice of α among several candidates, all stepped to from one linearisation."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from isgd_optax._gauss_newton import Steps
from isgd_optax._learning_rate import LearningRateController
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


class _Search(NamedTuple):
    index: jax.Array
    direction: jax.Array  # 1 up, −1 down, 0 at the first candidate
    done: jax.Array
    best: Any
    best_loss: jax.Array  # −inf once a step is trusted: no untrusted one is better
    best_rate: jax.Array
    accepted: jax.Array
    num_gradients: jax.Array


def largest_trusted_step(
    steps: Steps,
    params: Any,
    center: Any,
    value: jax.Array,
    learning_rate: jax.Array,
    controller: LearningRateController,
) -> Trial:
    r"""The step with the largest α that can be trusted, among the controller's candidates.

    A step is trusted if its gain ratio is at least the controller's ``min_gain_ratio``:

    .. math::
      \rho = \frac{\phi(\theta) - \phi(p)}{\phi(\theta) - \phi_\mathrm{model}(p)}

    with the proximal objective φ of that α and its linearised one, whose decrease is
    :math:`-\frac12 \langle \nabla\phi(\theta), p - \theta \rangle` at its minimiser. The search starts at
    the factor next to 1; from there it goes up as long as steps are trusted, or down until one is. If
    none is, it takes the one with the lowest loss among those that decrease φ.
    """
    factors = tuple(sorted(controller.factors))
    first = min(range(len(factors)), key=lambda i: abs(math.log(factors[i])))
    lower, upper = controller.min_learning_rate, controller.max_learning_rate
    rates = jnp.clip(learning_rate * jnp.asarray(factors, learning_rate.dtype), lower, upper)
    offset = optax.tree.sub(params, center)

    def body(search: _Search) -> _Search:
        alpha = rates[search.index]
        step = steps.at(alpha)
        loss = step.value.astype(value.dtype)
        slope = optax.tree.vdot(optax.tree.add_scale(steps.grad, 1 / alpha, offset), step.tangent)
        away = squared_norm(optax.tree.sub(step.params, center)) - squared_norm(offset)
        decrease = value - loss - (away / (2 * alpha)).astype(value.dtype)
        predicted = -jnp.asarray(slope).astype(value.dtype) / 2
        finite = jnp.isfinite(loss) & jnp.isfinite(away)
        trusted = finite & (decrease >= controller.min_gain_ratio * predicted) & (decrease > 0)
        take = trusted | (finite & (decrease >= -rounding(value)) & (loss < search.best_loss))
        direction = jnp.where(trusted, 1, -1).astype(jnp.int32)
        index = search.index + direction
        # A turn means that the boundary between trusted and not trusted lies behind.
        turned = search.direction * direction < 0
        return _Search(
            index=index,
            direction=direction,
            done=turned | (index < 0) | (index >= len(factors)),
            best=optax.tree.where(take, step.params, search.best),
            best_loss=jnp.where(trusted, -jnp.inf, jnp.where(take, loss, search.best_loss)),
            best_rate=jnp.where(take, alpha, search.best_rate),
            accepted=search.accepted | take,
            num_gradients=search.num_gradients + step.num_gradients,
        )

    search = _Search(
        index=jnp.asarray(first, jnp.int32),
        direction=jnp.zeros((), jnp.int32),
        done=jnp.zeros((), bool),
        best=params,
        best_loss=jnp.full_like(value, jnp.inf),
        best_rate=rates[0],
        accepted=jnp.zeros((), bool),
        num_gradients=jnp.asarray(steps.num_gradients, jnp.int32),
    )
    search = jax.lax.while_loop(lambda search: ~search.done, body, search)
    return Trial(search.best, search.best_rate, search.accepted, search.num_gradients)
