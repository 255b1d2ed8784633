"""Controllers that find the learning rate α of the implicit step by themselves."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from isgd_optax._checks import check_positive
from isgd_optax._learning_rate import LearningRateController, StepOutcome
from isgd_optax._norms import as_wide_as, rounding
from isgd_optax._rates import clip_between, first_rate, last_useful, next_rates


class GainRatioState(NamedTuple):
    """State of :func:`gain_ratio`.

    Attributes:
      next_learning_rate: The α that the next step takes.
      shrink: The number that α is divided by if the next step fails.
      last_useful: The α proposed after the last step that gained more than noise.
    """

    next_learning_rate: jax.Array
    shrink: jax.Array
    last_useful: jax.Array


def gain_ratio(
    initial_learning_rate: float | jax.Array = 1.0,
    *,
    max_growth: float = 3.0,
    min_learning_rate: float = 1e-12,
    max_learning_rate: float = 1e12,
) -> LearningRateController[GainRatioState]:
    r"""α grows where the loss falls as predicted and shrinks where it does not; for any inner solver.

    With :math:`\rho` = actual over predicted decrease of L, Nielsen's rule for the damping 1/(2α):

    .. math::
      \alpha \leftarrow \alpha \, / \max(1/g, \; 1 - (2\rho - 1)^3)

    after a step that was accepted with ρ > 0, where g is ``max_growth``; else α is divided by 2, then
    by 4, 8, ..., at most by 1,000 at once, until a step succeeds.

    Args:
      initial_learning_rate: The first α; it may be traced, then it is not checked.
      max_growth: The most that α grows in one step, g > 1.
      min_learning_rate: The bound below which α never falls.
      max_learning_rate: The bound above which α never rises.

    Returns:
      A :class:`LearningRateController` for :func:`implicit_step`.

    Raises:
      ValueError: A number is out of range.

    Examples:
      >>> import optax
      >>> from isgd_optax import gain_ratio, implicit_step
      >>> solver = implicit_step(optax.lbfgs(), gain_ratio(initial_learning_rate=1e-2))

    References:
      Nielsen, Damping parameter in Marquardt's method, 1999, Eq. 2.5.
    """
    clip = clip_between(initial_learning_rate, min_learning_rate, max_learning_rate)
    if not max_growth > 1:
        raise ValueError(f"max_growth must be greater than 1, got {max_growth}.")

    def update(state: GainRatioState, outcome: StepOutcome) -> GainRatioState:
        ratio = _ratio(outcome)
        ratio = jnp.where(outcome.too_small, 1, ratio)
        success = (outcome.accepted | outcome.too_small) & (ratio > 0)
        # Where only rounding is left to gain, the ratio means nothing.
        predicted, noise = outcome.predicted_decrease, rounding(outcome.value_before)
        nothing = jnp.abs(as_wide_as(predicted, noise)) <= as_wide_as(noise, predicted)
        idle = ((outcome.accepted & nothing) | outcome.at_floor) & ~jnp.asarray(outcome.too_small)
        gentle = jnp.maximum(1 / max_growth, 1 - (2 * ratio - 1) ** 3)
        gentle, failed = as_wide_as(gentle, state.shrink), as_wide_as(state.shrink, gentle)
        divisor = jnp.where(success, gentle, failed)
        rate = as_wide_as(outcome.learning_rate, divisor) / divisor
        rate = clip(rate).astype(state.next_learning_rate.dtype)
        useful = jnp.where(idle, state.last_useful, last_useful(outcome, rate, state.last_useful))
        shrink = jnp.where(success | idle, 2.0, jnp.minimum(2 * state.shrink, 1e3))
        return GainRatioState(jnp.where(idle, useful, rate), shrink.astype(state.shrink.dtype), useful)

    return LearningRateController(
        init=lambda: GainRatioState(
            first_rate(initial_learning_rate), jnp.asarray(2.0), first_rate(initial_learning_rate)
        ),
        propose=lambda state, count, value, grad_norm: state.next_learning_rate,
        update=update,
        bounds=(min_learning_rate, max_learning_rate),
    )


class SwitchedEvolutionState(NamedTuple):
    """State of :func:`switched_evolution_relaxation`.

    Attributes:
      next_learning_rate: The α that the next step takes.
      last_useful: The α proposed after the last step that gained more than noise.
    """

    next_learning_rate: jax.Array
    last_useful: jax.Array


def switched_evolution_relaxation(
    initial_learning_rate: float | jax.Array = 1.0,
    *,
    exponent: float = 0.5,
    increment: float = 1.1,
    shrink: float = 0.1,
    min_learning_rate: float = 1e-12,
    max_learning_rate: float = 1e12,
) -> LearningRateController[SwitchedEvolutionState]:
    r"""α grows as the loss falls: pseudo-transient continuation.

    .. math::
      \alpha_{n+1} = \kappa \, \alpha_n \left( \frac{L(\theta_n)}{L(\theta_{n+1})} \right)^{q}

    For a least-squares loss and q = 1/2 this is the ratio of the residuals' norms ‖r‖, so that α ∝ 1/‖r‖.
    After a rejected step α is multiplied by ``shrink``. Cheap, and for any inner solver.

    Args:
      initial_learning_rate: The first α; it may be traced, then it is not checked.
      exponent: The exponent q > 0.
      increment: The growth κ ≥ 1 on top, so that a small α grows out of the way (1.1 as in PETSc).
      shrink: The factor after a rejected step, in (0, 1).
      min_learning_rate: The bound below which α never falls.
      max_learning_rate: The bound above which α never rises.

    Returns:
      A :class:`LearningRateController` for :func:`implicit_step`.

    Raises:
      ValueError: A number is out of range.

    Examples:
      >>> import optax
      >>> from isgd_optax import implicit_step, switched_evolution_relaxation
      >>> solver = implicit_step(optax.lbfgs(), switched_evolution_relaxation(1e-2))

    References:
      Mulder and van Leer, Experiments with implicit upwind methods for the Euler equations, 1985; Kelley
      and Keyes, Convergence analysis of pseudo-transient continuation, 1998, Eq. 1.5.
    """
    clip = clip_between(initial_learning_rate, min_learning_rate, max_learning_rate)
    check_positive("exponent", exponent)
    if not increment >= 1:
        raise ValueError(f"increment must be at least 1, got {increment}.")
    if not 0 < shrink < 1:
        raise ValueError(f"shrink must lie between 0 and 1, got {shrink}.")

    def update(state: SwitchedEvolutionState, outcome: StepOutcome) -> SwitchedEvolutionState:
        fall = outcome.value_before / outcome.value_after
        # Of a loss below zero the ratio says nothing, and of a smaller one the opposite.
        negative = (outcome.value_before < 0) | (outcome.value_after < 0)
        usable = jnp.isfinite(fall) & (fall > 0) & ~negative
        growth = jnp.where(usable, increment * jnp.where(usable, fall, 1) ** exponent, 1)
        growth = jnp.where(negative, increment, growth)
        factor = jnp.where(outcome.accepted, growth, shrink)
        factor = jnp.where(outcome.too_small, 10, factor)
        return SwitchedEvolutionState(*next_rates(outcome, factor, clip, state.last_useful))

    return LearningRateController(
        init=lambda: SwitchedEvolutionState(
            first_rate(initial_learning_rate), first_rate(initial_learning_rate)
        ),
        propose=lambda state, count, value, grad_norm: state.next_learning_rate,
        update=update,
        bounds=(min_learning_rate, max_learning_rate),
    )


def _ratio(outcome: StepOutcome) -> jax.Array:
    """Actual over predicted decrease; 0 where none was predicted."""
    fall, predicted = outcome.value_before - outcome.value_after, outcome.predicted_decrease
    actual, predicted = as_wide_as(fall, predicted), as_wide_as(predicted, fall)
    usable = jnp.isfinite(actual) & (predicted > 0)
    return jnp.where(usable, actual / jnp.where(usable, predicted, 1), 0)
