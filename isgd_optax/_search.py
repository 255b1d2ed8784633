"""Searches over the learning rate α, and the one rule by which a step is acceptable."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from isgd_optax._inner_solver import Evaluation, Proposal, Search, Trial
from isgd_optax._norms import rounding
from isgd_optax._rates import usable_bounds
from isgd_optax._sharding import varying_as


def is_descent(decrease: jax.Array, value: jax.Array) -> jax.Array:
    """Whether an objective that was ``value`` has fallen by ``decrease``, up to rounding; false for NaN."""
    return jnp.isfinite(decrease) & (decrease >= -rounding(value))


def backtracking(factor: float, max_trials: int) -> Search:
    """The first α among α, factor·α, factor²·α, ... whose proposal is a descent, else the last of them.

    Args:
      factor: The ratio of successive α, in (0, 1).
      max_trials: The most proposals that are tried.
    """

    def search(learning_rate: jax.Array, trial: Trial, start: Evaluation) -> Proposal:
        def failed(carry: tuple[jax.Array, Proposal]) -> jax.Array:
            count, proposal = carry
            finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(proposal.params)]).all()
            falls = is_descent(jnp.asarray(proposal.decrease), start.value) & finite & proposal.accepted
            return (count == 0) | ((count < max_trials) & ~falls)

        def retry(carry: tuple[jax.Array, Proposal]) -> tuple[jax.Array, Proposal]:
            count, proposal = carry
            # Not the last proposal's own α, which a solver may have lowered further.
            alpha = learning_rate * jnp.asarray(factor, learning_rate.dtype) ** count.astype(
                learning_rate.dtype
            )
            new = trial(alpha)
            new = new._replace(num_gradients=proposal.num_gradients + new.num_gradients)
            return varying_as((count + 1, new), start, learning_rate)

        carry = (jnp.zeros((), jnp.int32), _rejected(trial, start, learning_rate))
        carry = varying_as(carry, start, learning_rate)
        return jax.lax.while_loop(failed, retry, carry)[1]

    return search


class _Walk(NamedTuple):
    """The carry of :func:`trust_region_search`."""

    index: jax.Array
    direction: jax.Array  # 1 up, −1 down, 0 at the first candidate
    done: jax.Array
    best: Proposal
    best_loss: jax.Array  # −inf once a step is trusted: no untrusted one is better
    num_gradients: jax.Array
    at_floor: jax.Array  # of the last candidate


def trust_region_search(
    factors: tuple[float, ...], min_gain_ratio: float, bounds: tuple[float, float]
) -> Search:
    r"""The step with the largest α that can be trusted, among α times several factors.

    A step is trusted if its gain ratio is at least ``min_gain_ratio``:

    .. math::
      \rho = \frac{\phi(\theta) - \phi(p)}{\phi(\theta) - \phi_\mathrm{model}(p)}

    with the proximal objective φ of that α and its linearised one, whose decrease is
    :math:`-\frac12 \langle \nabla\phi(\theta), p - \theta \rangle` at its minimiser. The search starts at
    the factor next to 1; from there it goes up as long as steps are trusted, or down until one is. If
    none is, it takes the one with the lowest loss among those that decrease φ.

    Args:
      factors: The candidates' factors.
      min_gain_ratio: The least gain ratio of a trusted step, in (0, 1).
      bounds: The smallest and the largest α that is tried.
    """
    factors = tuple(sorted(factors))
    first = min(range(len(factors)), key=lambda i: abs(math.log(factors[i])))

    def search(learning_rate: jax.Array, trial: Trial, start: Evaluation) -> Proposal:
        usable = usable_bounds(bounds, learning_rate.dtype)
        rates = jnp.clip(learning_rate * jnp.asarray(factors, learning_rate.dtype), *usable)

        def advance(walk: _Walk) -> _Walk:
            new = trial(rates[walk.index])
            assert new.decrease is not None
            assert new.predicted_decrease is not None
            assert new.loss is not None
            falls = new.accepted & is_descent(new.decrease, start.loss)
            trusted = falls & (new.decrease >= min_gain_ratio * new.predicted_decrease) & (new.decrease > 0)
            trusted |= falls & new.too_small  # of which nothing is known
            take = trusted | (falls & (new.loss < walk.best_loss))
            direction = jnp.where(trusted, 1, -1).astype(jnp.int32)
            index = walk.index + direction
            # A turn means that the boundary between trusted and not trusted lies behind.
            turned = walk.direction * direction < 0
            return _Walk(
                index=index,
                direction=direction,
                done=turned | (index < 0) | (index >= len(factors)),
                best=optax.tree.where(take, new, walk.best),
                best_loss=jnp.where(trusted, -jnp.inf, jnp.where(take, new.loss, walk.best_loss)),
                num_gradients=walk.num_gradients + new.num_gradients,
                at_floor=varying_as(jnp.asarray(new.at_floor), walk.at_floor),
            )

        walk = _Walk(
            index=jnp.asarray(first, jnp.int32),
            direction=jnp.zeros((), jnp.int32),
            done=jnp.zeros((), bool),
            best=_rejected(trial, start, rates[0]),
            best_loss=jnp.full_like(start.loss, jnp.inf),
            num_gradients=jnp.zeros((), jnp.int32),
            at_floor=jnp.zeros((), bool),
        )
        walk = varying_as(walk, start, rates)
        walk = jax.lax.while_loop(lambda walk: ~walk.done, advance, walk)
        best = walk.best._replace(num_gradients=walk.num_gradients)
        return best._replace(at_floor=jnp.where(best.accepted, best.at_floor, walk.at_floor))

    return search


def _rejected(trial: Trial, start: Evaluation, learning_rate: jax.Array) -> Proposal:
    """No step at all, with the shape of a trial's outcome."""
    shapes = jax.eval_shape(trial, learning_rate)
    nothing = optax.tree.zeros_like(shapes)
    if nothing.grad is not None:
        value = start.value.astype(nothing.value.dtype)
        nothing = nothing._replace(value=value, grad=optax.tree.cast_like(start.grad, nothing.grad))
    return nothing._replace(params=start.params, learning_rate=learning_rate, loss=start.loss)
