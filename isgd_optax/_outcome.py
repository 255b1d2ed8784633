"""What a controller asks for, what a solved step tells it, and what that leaves for the next step."""

import jax
import jax.numpy as jnp
import optax

from isgd_optax._inner_solver import Evaluation, ProximalProblem
from isgd_optax._iterate import Solution
from isgd_optax._learning_rate import LearningRateController, StepOutcome
from isgd_optax._norms import as_wide_as, norm, rounding, vdot
from isgd_optax._rates import as_rate
from isgd_optax._sharding import varying_as
from isgd_optax._state import ImplicitStepState
from isgd_optax._stored import StoredEvaluation


def asked_for(
    controller: LearningRateController, state: ImplicitStepState, start: Evaluation, dtype: jnp.dtype
) -> tuple[jax.Array, Evaluation]:
    """The α that the controller asks for, in ``dtype``, and the start, both varying alike over devices."""
    alpha = controller.propose(state.controller_state, state.count, start.loss, norm(start.grad))
    alpha = as_rate(alpha, controller.bounds, dtype)
    return varying_as((alpha, start), alpha, start)


def outcome_of(
    problem: ProximalProblem,
    start: Evaluation,
    solution: Solution,
    learning_rate: jax.Array,
    before: ImplicitStepState,
) -> tuple[StepOutcome, jax.Array]:
    """What the step tells a controller, and the loss at which nothing was left to gain; 0 elsewhere.

    Args:
      problem: The proximal problem.
      start: The start of the step.
      solution: What the inner iteration found.
      learning_rate: The α that was asked for.
      before: The state before the step.
    """
    iterate = solution.iterate
    # ½⟨∇L(θₙ) + ∇L(p), θₙ − p⟩ with ∇L(p) = D(c − p)/α.
    used = problem.objective(start.params, solution.learning_rate)
    slope = optax.tree.sub(start.grad, used.term_gradient(iterate.at.params))
    predicted = -vdot(slope, solution.displacement) / 2
    noise = as_wide_as(rounding(start.loss), predicted)
    at_floor = solution.at_floor | (solution.moved & (jnp.abs(as_wide_as(predicted, noise)) <= noise))
    # Lost in rounding, but as long as an explicit step: a larger α would gain, unless it has just failed.
    explicit = solution.learning_rate * used.dual_norm(start.grad)
    too_small = solution.too_small | (at_floor & solution.moved & (iterate.distance > 0.9 * explicit))
    # There only a gain is news: steps that fail, or gain by chance, do so again and again.
    tolerance = jnp.sqrt(jnp.finfo(start.loss.dtype).eps) * jnp.abs(start.loss)
    floor = jnp.asarray(before.floor)
    loss, floor = as_wide_as(start.loss, floor), as_wide_as(floor, start.loss)
    known = before.info.at_floor & (jnp.abs(loss - floor) <= as_wide_as(tolerance, floor))
    at_floor |= known & ~(solution.moved & (start.loss - iterate.at.loss > tolerance))
    too_small &= ~known & (solution.learning_rate >= jnp.maximum(learning_rate, before.info.learning_rate))
    at_floor = (at_floor | solution.too_small) & ~too_small
    residual = iterate.error / jnp.where(iterate.error == 0, 1, iterate.distance)
    outcome = StepOutcome(
        learning_rate=solution.learning_rate,
        accepted=solution.moved | solution.solved_at_start,
        value_before=start.loss,
        value_after=iterate.at.loss,
        predicted_decrease=predicted.astype(solution.learning_rate.dtype),
        residual=jnp.where(jnp.isnan(residual), jnp.inf, residual),  # 0/0 where α is 0
        num_inner_steps=solution.num_steps,
        at_floor=at_floor,
        too_small=too_small,
        finite=solution.finite,
    )
    return outcome, jnp.where(at_floor, jnp.where(known, floor, loss), 0)


def informed(
    controller: LearningRateController, state: optax.OptState, start: Evaluation, outcome: StepOutcome
) -> optax.OptState:
    """The controller's next state; a start whose loss or gradient is no number says nothing about α."""
    finite = jnp.isfinite(start.loss) & jnp.isfinite(norm(start.grad))
    return optax.tree.where(finite, controller.update(state, outcome), state)


def stored_evaluation(
    problem: ProximalProblem,
    start: Evaluation,
    solution: Solution,
    delta: optax.Updates,
    unmoved: StoredEvaluation | None,
) -> StoredEvaluation | tuple[()]:
    """L and ∇L at the new parameters; ``unmoved`` where these are the old ones; () where nothing is kept."""
    if unmoved is None:
        return ()
    at = solution.iterate.at
    solved = problem.objective(start.params, solution.proximal_learning_rate)
    grad = optax.tree.sub(at.grad, solved.term_gradient(at.params))
    value = at.loss.astype(unmoved.value.dtype)
    new = StoredEvaluation(value, grad, optax.apply_updates(start.params, delta))
    return optax.tree.where(solution.moved, new, unmoved)
