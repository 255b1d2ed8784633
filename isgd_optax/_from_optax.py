"""Optax transformations as inner solvers."""

import jax
import optax

from isgd_optax._inner_solver import Evaluation, InnerSolver, Proposal, ProximalProblem
from isgd_optax._landing import is_half, rounded
from isgd_optax._line_search import is_masked, line_search_evaluation, with_whole_parameters

_Query = tuple[ProximalProblem, Evaluation, optax.OptState]


def from_optax(solver: optax.GradientTransformation) -> InnerSolver[optax.OptState, _Query]:
    """An optax transformation as an inner solver: one update on the proximal objective is one proposal.

    A line search in it gets the objective as its ``value_fn``; where it comes last, what it has evaluated at
    its new point is not evaluated again.

    Args:
      solver: Any transformation whose updates are added to the parameters.
    """
    tx = optax.with_extra_args_support(solver)

    def query(problem: ProximalProblem, evaluation: Evaluation, state: optax.OptState) -> _Query:
        return problem, evaluation, state

    def step(learning_rate: jax.Array, query: _Query) -> Proposal:
        problem, evaluation, state = query
        params, value, grad = evaluation.params, evaluation.value, evaluation.grad
        objective = problem.objective(params, learning_rate)
        if problem.learning_rate is None:
            value = value + objective.term(params).astype(value.dtype)
            grad = optax.tree.add(grad, objective.term_gradient(params))
        value_fn = with_whole_parameters(objective, params) if is_masked(state) else objective
        try:
            updates, new_state = tx.update(grad, state, params, value=value, grad=grad, value_fn=value_fn)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            if not is_masked(state):
                error.add_note(
                    "Raised by the inner solver of implicit_step, an optax transformation that is called as "
                    "update(grad, state, params, value=..., grad=..., value_fn=...). What needs other "
                    "arguments, or does not hand these on (optax.contrib.sam, sophia, optax.lookahead), "
                    "cannot stand inside."
                )
                raise
            raise TypeError(
                "the inner solver failed on masked parameters. A line search (optax.lbfgs, "
                "optax.scale_by_zoom_linesearch, ...) inside optax.partition or optax.masked must see the "
                "same part of `grad` as of the parameters: pass mask_compatible_extra_args=True to "
                "optax.partition, take a solver without line search, or freeze parameters by closing over "
                "them in value_fn."
            ) from error
        new_state = optax.tree.cast_like(new_state, state)
        new_params = rounded(optax.apply_updates(params, updates))
        # What a line search found is of a point on the line, which half precision rounds away from it.
        known = None if is_half(params) else line_search_evaluation(new_state, new_params)
        proposal = Proposal(new_params, learning_rate, 0, new_state)
        if known is None:
            return proposal
        value = known.value.astype(value.dtype)
        return proposal._replace(value=value, grad=known.grad, num_gradients=known.num_gradients)

    return InnerSolver(tx.init, query, step, name=getattr(solver, "__name__", type(solver).__name__))


def as_inner_solver(inner: optax.GradientTransformation | InnerSolver) -> InnerSolver:
    """``inner`` itself, or an optax transformation as an inner solver.

    Raises:
      TypeError: ``inner`` is neither.
    """
    if isinstance(inner, InnerSolver):
        return inner
    if not (callable(getattr(inner, "init", None)) and callable(getattr(inner, "update", None))):
        raise TypeError(
            "inner must be an optax gradient transformation, e.g. optax.adam(1e-3) or optax.lbfgs(), or an "
            f"InnerSolver, e.g. gauss_newton(), got {inner!r}."
        )
    return from_optax(inner)
