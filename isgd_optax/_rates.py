"""What controllers of α have in common: its bounds, and the last α that was of use."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike, DTypeLike

from isgd_optax._checks import check_positive
from isgd_optax._learning_rate import StepOutcome
from isgd_optax._norms import as_wide_as

_ROOM = 1e3  # for the factors by which a search multiplies α


def clip_between(initial: float | jax.Array, lower: float, upper: float) -> Callable[[jax.Array], jax.Array]:
    """Checks the three learning rates; returns the function that keeps α between the last two."""
    check_positive("initial_learning_rate", initial)
    check_positive("min_learning_rate", lower)
    if not lower <= upper:  # also where the first α is traced
        raise ValueError(f"max_learning_rate must be at least min_learning_rate, got {upper} and {lower}.")
    if not isinstance(initial, Tracer) and not lower <= initial <= upper:
        raise ValueError(
            "initial_learning_rate must lie between min_learning_rate and max_learning_rate, got "
            f"{initial}, {lower} and {upper}."
        )
    return lambda rate: jnp.clip(rate, *usable_bounds((lower, upper), rate.dtype))


def usable_bounds(bounds: tuple[float, float], dtype: DTypeLike) -> tuple[float, float]:
    """``bounds`` of α within which it and its reciprocal are numbers of ``dtype``; they may be infinite."""
    limits = jnp.finfo(dtype)
    return max(bounds[0], _ROOM * float(limits.tiny)), min(bounds[1], float(limits.max) / _ROOM)


def as_rate(alpha: ArrayLike, bounds: tuple[float, float], dtype: DTypeLike) -> jax.Array:
    """α in ``dtype``; one that is finite stays finite."""
    alpha, upper = jnp.asarray(alpha), usable_bounds(bounds, dtype)[1]
    if jnp.issubdtype(alpha.dtype, jnp.floating):
        upper = min(upper, float(jnp.finfo(alpha.dtype).max))
    largest = jnp.minimum(alpha, upper)
    return jnp.where(jnp.isfinite(alpha), largest, alpha).astype(dtype)


def first_rate(initial: float | jax.Array) -> jax.Array:
    """The first α, in the widest float."""
    return jnp.asarray(initial, jax.dtypes.canonicalize_dtype(jnp.float64))


def last_useful(outcome: StepOutcome, rate: jax.Array, before: jax.Array) -> jax.Array:
    """``rate`` after a step that gained more than noise, else the ``before`` of earlier steps.

    It is where a controller returns when nothing is left to gain: on the way there a few steps fail, or
    succeed by chance, at ever smaller α, which says nothing about the α that suits the loss.
    """
    gain = outcome.value_before - outcome.value_after
    noise = jnp.sqrt(jnp.finfo(outcome.value_before.dtype).eps) * jnp.abs(outcome.value_before)
    useful = outcome.accepted & ~jnp.asarray(outcome.at_floor) & (gain > noise)
    return jnp.where(useful, rate, before)


def next_rates(
    outcome: StepOutcome, factor: jax.Array, clip: Callable[[jax.Array], jax.Array], useful: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The next α, ``factor`` times this one, or the last useful one at the floor; and the last useful one."""
    asked = outcome.learning_rate
    rate = clip(as_wide_as(asked, factor) * as_wide_as(factor, asked)).astype(useful.dtype)
    useful = last_useful(outcome, rate, useful)
    return jnp.where(outcome.at_floor, useful, rate), useful
