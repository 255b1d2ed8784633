"""Controllers that find the learning rate α of the implicit step by themselves."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from isgd_optax._checks import check_positive
from isgd_optax._learning_rate import LearningRateController, StepOutcome
from isgd_optax._norms import rounding
from isgd_optax._search import trust_region_search


class GainRatioState(NamedTuple):
    """State of :func:`gain_ratio`.

    Attributes:
      next_learning_rate: the next α.
      shrink: what α is divided by if the next step fails.
    """

    next_learning_rate: jax.Array
    shrink: jax.Array


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
    by 4, 8, ... until a step succeeds.

    Args:
      initial_learning_rate: The first α; it may be traced, then it is not checked.
      max_growth: The most that α grows in one step, g > 1.
      min_learning_rate: The bound below which α never falls.
      max_learning_rate: The bound above which α never rises.

    Returns:
      A :class:`LearningRateController` for :func:`implicit_step`.

    Raises:
      ValueError: a number out of range.

    Examples:
      >>> import optax
      >>> from isgd_optax import gain_ratio, implicit_step
      >>> solver = implicit_step(optax.lbfgs(), gain_ratio(initial_learning_rate=1e-2))

    References:
      Nielsen, Damping parameter in Marquardt's method, 1999, Eq. 2.5.
    """
    clip = _clip(initial_learning_rate, min_learning_rate, max_learning_rate)
    if not max_growth > 1:
        raise ValueError(f"max_growth must be greater than 1, got {max_growth}.")

    def update(state: GainRatioState, outcome: StepOutcome) -> GainRatioState:
        ratio = _ratio(outcome)
        success = outcome.accepted & (ratio > 0)
        # Where only rounding is left to gain, the ratio means nothing.
        nothing = outcome.predicted_decrease <= rounding(outcome.value_before)
        idle = (outcome.accepted & nothing) | outcome.at_floor
        divisor = jnp.where(success, jnp.maximum(1 / max_growth, 1 - (2 * ratio - 1) ** 3), state.shrink)
        rate = clip(outcome.learning_rate / jnp.where(idle, 1, divisor))
        shrink = jnp.where(success | idle, 2.0, jnp.minimum(2 * state.shrink, 1e3))
        return GainRatioState(rate.astype(state.next_learning_rate.dtype), shrink.astype(state.shrink.dtype))

    return LearningRateController(
        init=lambda: GainRatioState(_first(initial_learning_rate), jnp.asarray(2.0)),
        propose=lambda state, count, value, grad_norm: state.next_learning_rate,
        update=update,
        bounds=(min_learning_rate, max_learning_rate),
    )


def switched_evolution_relaxation(
    initial_learning_rate: float | jax.Array = 1.0,
    *,
    exponent: float = 0.5,
    increment: float = 1.1,
    shrink: float = 0.1,
    min_learning_rate: float = 1e-12,
    max_learning_rate: float = 1e12,
) -> LearningRateController[jax.Array]:
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
      ValueError: a number out of range.

    Examples:
      >>> import optax
      >>> from isgd_optax import implicit_step, switched_evolution_relaxation
      >>> solver = implicit_step(optax.lbfgs(), switched_evolution_relaxation(1e-2))

    References:
      Mulder and van Leer, Experiments with implicit upwind methods for the Euler equations, 1985; Kelley
      and Keyes, Convergence analysis of pseudo-transient continuation, 1998, Eq. 1.5.
    """
    clip = _clip(initial_learning_rate, min_learning_rate, max_learning_rate)
    check_positive("exponent", exponent)
    if not increment >= 1:
        raise ValueError(f"increment must be at least 1, got {increment}.")
    if not 0 < shrink < 1:
        raise ValueError(f"shrink must lie between 0 and 1, got {shrink}.")

    def update(state: jax.Array, outcome: StepOutcome) -> jax.Array:
        fall = outcome.value_before / outcome.value_after
        growth = jnp.where(jnp.isfinite(fall) & (fall > 0), increment * fall**exponent, 1)
        factor = jnp.where(outcome.accepted, growth, jnp.where(outcome.at_floor, 1, shrink))
        return clip(outcome.learning_rate * factor).astype(state.dtype)

    return LearningRateController(
        init=lambda: _first(initial_learning_rate),
        propose=lambda state, count, value, grad_norm: state,
        update=update,
        bounds=(min_learning_rate, max_learning_rate),
    )


class LargestTrustedState(NamedTuple):
    """State of :func:`largest_trusted`.

    Attributes:
      next_learning_rate: where the next search starts.
      last_useful: the α of the last step that gained more than rounding errors.
    """

    next_learning_rate: jax.Array
    last_useful: jax.Array


def largest_trusted(
    initial_learning_rate: float | jax.Array = 1.0,
    *,
    factors: tuple[float, ...] = (0.03, 0.2, 1.0, 3.0, 10.0, 30.0),
    min_gain_ratio: float = 0.1,
    min_learning_rate: float = 1e-12,
    max_learning_rate: float = 1e12,
) -> LearningRateController[LargestTrustedState]:
    r"""The largest of several α whose step can be trusted; made for :func:`gauss_newton`.

    At every step α times several ``factors`` is tried from one preparation of the inner solver (one
    linearisation of :func:`gauss_newton`). A step is trusted if the proximal objective falls by
    ``min_gain_ratio`` of what the solver's model predicts. From the factor next to 1 the search goes up as
    long as steps are trusted, or down until one is; failing that, it takes the one with the lowest loss; if
    none decreases it, the step is rejected and α becomes a tenth of the smallest one tried. The α taken is
    where the next step starts; where nothing is left to gain, it goes back to the last useful one. Of an
    optax solver, the first inner step of each α decides.

    Args:
      initial_learning_rate: The first α; it may be traced, then it is not checked.
      factors: The factors of the candidates, at least two.
      min_gain_ratio: The least gain ratio of a trusted step, in (0, 1).
      min_learning_rate: The smallest α that is tried.
      max_learning_rate: The largest α that is tried; ``info.at_bound`` says when α stands at a bound.

    Returns:
      A :class:`LearningRateController` for :func:`implicit_step`.

    Raises:
      ValueError: a number out of range, or fewer than two factors.

    Examples:
      >>> from isgd_optax import gauss_newton, implicit_step, largest_trusted
      >>> solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)

    References:
      The rule that aims at a gain ratio: Webb, Jerad and Cartis, DSGNAR, 2026.
    """
    clip = _clip(initial_learning_rate, min_learning_rate, max_learning_rate)
    if len(factors) < 2:
        raise ValueError(f"factors must be at least two, e.g. (0.1, 1.0, 10.0), got {factors}.")
    for factor in factors:
        check_positive("each factor", factor)
    if not 0 < min_gain_ratio < 1:
        raise ValueError(f"min_gain_ratio must lie between 0 and 1, got {min_gain_ratio}.")

    def update(state: LargestTrustedState, outcome: StepOutcome) -> LargestTrustedState:
        # Where nothing is left to gain, a rejection says nothing about α: go back to the last useful one.
        useful = outcome.accepted & ~jnp.asarray(outcome.at_floor)
        rate = clip(outcome.learning_rate * jnp.where(useful, 1.0, 0.1)).astype(
            state.next_learning_rate.dtype
        )
        last_useful = jnp.where(useful, rate, state.last_useful)
        return LargestTrustedState(jnp.where(outcome.at_floor, last_useful, rate), last_useful)

    return LearningRateController(
        init=lambda: LargestTrustedState(_first(initial_learning_rate), _first(initial_learning_rate)),
        propose=lambda state, count, value, grad_norm: state.next_learning_rate,
        update=update,
        search=trust_region_search(tuple(factors), min_gain_ratio, (min_learning_rate, max_learning_rate)),
        bounds=(min_learning_rate, max_learning_rate),
    )


def _clip(initial: float | jax.Array, lower: float, upper: float) -> Callable[[jax.Array], jax.Array]:
    """Checks the three learning rates; returns the function that keeps α between the last two."""
    check_positive("initial_learning_rate", initial)
    check_positive("min_learning_rate", lower)
    if not isinstance(initial, Tracer) and not lower <= initial <= upper:
        raise ValueError(
            "initial_learning_rate must lie between min_learning_rate and max_learning_rate, got "
            f"{initial}, {lower} and {upper}."
        )
    return lambda rate: jnp.clip(rate, lower, upper)


def _first(initial: float | jax.Array) -> jax.Array:
    """The first α, in the widest float."""
    return jnp.asarray(initial, jax.dtypes.canonicalize_dtype(jnp.float64))


def _ratio(outcome: StepOutcome) -> jax.Array:
    """Actual over predicted decrease; 0 where none was predicted."""
    actual = outcome.value_before - outcome.value_after
    predicted = outcome.predicted_decrease
    usable = jnp.isfinite(actual) & (predicted > 0)
    return jnp.where(usable, actual / jnp.where(usable, predicted, 1), 0)
