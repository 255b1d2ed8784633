"""The controller that takes the largest of several α whose step can be trusted."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from isgd_optax._checks import check_positive
from isgd_optax._learning_rate import LearningRateController, StepOutcome
from isgd_optax._rates import clip_between, first_rate, next_rates
from isgd_optax._search import trust_region_search


class LargestTrustedState(NamedTuple):
    """State of :func:`largest_trusted`.

    Attributes:
      next_learning_rate: The α from which the next search starts.
      last_useful: The α of the last step that gained more than noise.
    """

    next_learning_rate: jax.Array
    last_useful: jax.Array


def largest_trusted(
    initial_learning_rate: float | jax.Array = 1.0,
    *,
    factors: tuple[float, ...] = (0.03, 0.2, 1.0, 3.0, 10.0, 30.0),
    min_gain_ratio: float = 0.1,
    min_learning_rate: float = 1e-12,
    max_learning_rate: float = 1e16,
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
      factors: The factors of the candidates, at least two, not all above 1 nor all below.
      min_gain_ratio: The least gain ratio of a trusted step, in (0, 1).
      min_learning_rate: The smallest α that is tried.
      max_learning_rate: The largest α that is tried; ``info.at_bound`` says when α stands at a bound.

    Returns:
      A :class:`LearningRateController` for :func:`implicit_step`.

    Raises:
      ValueError: A number is out of range, or there are fewer than two factors, or all on one side of 1.

    Examples:
      >>> from isgd_optax import gauss_newton, implicit_step, largest_trusted
      >>> solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)

    References:
      The rule that aims at a gain ratio: Webb, Jerad and Cartis, DSGNAR, 2026.
    """
    clip = clip_between(initial_learning_rate, min_learning_rate, max_learning_rate)
    if len(factors) < 2:
        raise ValueError(f"factors must be at least two, e.g. (0.1, 1.0, 10.0), got {factors}.")
    for factor in factors:
        check_positive("each factor", factor)
    if not min(factors) <= 1 <= max(factors):
        raise ValueError(
            f"factors must not lie all on one side of 1, e.g. (0.1, 1.0, 10.0), got {factors}: α could only "
            "rise, or only fall."
        )
    if not 0 < min_gain_ratio < 1:
        raise ValueError(f"min_gain_ratio must lie between 0 and 1, got {min_gain_ratio}.")

    def update(state: LargestTrustedState, outcome: StepOutcome) -> LargestTrustedState:
        # An accepted step has the α that the search found, as has one that was too small to be a step.
        factor = jnp.where(outcome.accepted | outcome.too_small, 1.0, 0.1)
        # Where the search took an α at which there is no gradient, it must not come back to it.
        factor = jnp.where(outcome.finite, factor, 0.1 * min(factors))
        return LargestTrustedState(*next_rates(outcome, factor, clip, state.last_useful))

    return LearningRateController(
        init=lambda: LargestTrustedState(
            first_rate(initial_learning_rate), first_rate(initial_learning_rate)
        ),
        propose=lambda state, count, value, grad_norm: state.next_learning_rate,
        update=update,
        search=trust_region_search(tuple(factors), min_gain_ratio, (min_learning_rate, max_learning_rate)),
        bounds=(min_learning_rate, max_learning_rate),
    )
