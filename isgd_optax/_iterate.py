"""The inner iteration: a solver minimises the proximal objective in one ``while_loop``."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._inner_solver import Evaluation, InnerSolver, Proposal, ProximalProblem, Search, complete
from isgd_optax._landing import rounded, value_where_it_lands
from isgd_optax._norms import is_lost_in_rounding, norm
from isgd_optax._search import is_descent
from isgd_optax._sharding import varying_as
from isgd_optax._stuck import falls_along_gradient


class StoppingRule(NamedTuple):
    """When the inner iteration stops, and what it keeps; see :func:`implicit_step`."""

    max_steps: int | jax.Array
    rtol: ArrayLike
    atol: ArrayLike
    safeguard: bool
    keep_grad: bool


class Iterate(NamedTuple):
    """An iterate and how well it solves the implicit equation.

    Attributes:
      at: The evaluation there; ``grad`` is None where nobody asks for it.
      error: ‖(p − c) + αD⁻¹∇L(p)‖_D.
      distance: ‖p − c‖_D.
    """

    at: Evaluation
    error: jax.Array
    distance: jax.Array

    def is_finite(self) -> jax.Array:
        """Whether value, gradient and parameters are."""
        return jnp.isfinite(self.at.value) & jnp.isfinite(self.error) & jnp.isfinite(self.distance)


class Solution(NamedTuple):
    """What the inner iteration found.

    Attributes:
      iterate: The best iterate, or the last one without the safeguard.
      displacement: That point minus the start.
      moved: Whether that point may be returned; if not, stay at the start.
      solved_at_start: Whether the start solves the implicit equation already.
      learning_rate: The step size α; of a single step that its solver damped more, the smaller one.
      proximal_learning_rate: The α of the proximal objective.
      num_steps: Inner steps taken, int32.
      num_gradients: Gradients of L evaluated, int32.
      inner_state: The solver's last state.
      at_floor: Whether the step is lost in the rounding errors of the parameters, or a search over α found
        that of the loss.
      too_small: Whether it is lost in them because α is small.
      finite: Whether the loss and its gradient are numbers at an iterate.
    """

    iterate: Iterate
    displacement: optax.Updates
    moved: jax.Array
    solved_at_start: jax.Array
    learning_rate: jax.Array
    proximal_learning_rate: jax.Array
    num_steps: jax.Array
    num_gradients: jax.Array
    inner_state: optax.OptState
    at_floor: jax.Array
    too_small: jax.Array
    finite: jax.Array


class _Carry(NamedTuple):
    num_steps: jax.Array
    done: jax.Array
    iterate: Iterate
    best: Iterate | None  # None without the safeguard
    lowest: jax.Array  # the lowest value so far, which need not be that of the best iterate
    inner_state: optax.OptState
    num_gradients: jax.Array
    learning_rate: jax.Array
    too_small: jax.Array  # of the first step


def minimize(
    problem: ProximalProblem,
    learning_rate: jax.Array,
    inner: InnerSolver,
    inner_state: optax.OptState,
    start: Evaluation,
    rule: StoppingRule,
    search: Search | None = None,
) -> Solution:
    """Minimises the proximal objective of ``problem`` with ``inner``, from where L is known.

    Args:
      problem: The problem, its α still open.
      learning_rate: The step size α, or where the search for it starts.
      inner: The solver.
      inner_state: The solver's first state.
      start: The start, with L and ∇L for value and gradient.
      rule: The stopping rule.
      search: The search over α that the first inner step makes; None leaves α as it is.
    """
    knows_only_value = has_model = False  # of a solver's proposals: set while they are traced

    def propose(
        problem: ProximalProblem, here: Evaluation, state: optax.OptState, alpha: jax.Array, search: Search
    ) -> Proposal:
        query = inner.query(problem, here, state)

        def trial(rate: jax.Array) -> Proposal:
            nonlocal knows_only_value, has_model
            proposal = inner.step(rate, query)
            has_model |= proposal.predicted_decrease is not None
            knows_only_value |= proposal.loss is None and proposal.value is not None
            return complete(problem, here, proposal)

        found = search(alpha, jax.jit(trial), here)  # traced once, however often it is asked
        return found._replace(num_gradients=found.num_gradients + inner.num_query_gradients(query))

    first = None
    if search is not None:
        first = propose(problem, start, inner_state, learning_rate, search)
        # A search that finds no step has no state of the solver's either.
        first = first._replace(state=optax.tree.where(first.accepted, first.state, inner_state))
    alpha = learning_rate if first is None else first.learning_rate
    at_center = problem.center is None
    problem = problem.decided(start.params, alpha)
    objective = problem.objective(start.params, alpha)
    rtol, atol = jnp.asarray(rule.rtol, alpha.dtype), jnp.asarray(rule.atol, alpha.dtype)

    def measured(at: Evaluation) -> Iterate:
        error, distance = objective.residual_norm(at.grad), objective.distance(at.params)
        return Iterate(at, error.astype(alpha.dtype), distance.astype(alpha.dtype))

    def kept(iterate: Iterate) -> Iterate:
        return iterate if rule.keep_grad else iterate._replace(at=iterate.at._replace(grad=None))

    def is_solved(iterate: Iterate) -> jax.Array:
        return ((rtol > 0) | (atol > 0)) & (iterate.error <= rtol * iterate.distance + atol)

    origin = start
    if not at_center:
        value = start.loss + objective.term(start.params).astype(start.loss.dtype)
        origin = start._replace(
            value=value, grad=optax.tree.add(start.grad, objective.term_gradient(start.params))
        )
    origin = measured(origin)
    if at_center:
        origin = origin._replace(distance=jnp.zeros_like(alpha))

    def descends(value: jax.Array) -> jax.Array:
        return is_descent(origin.at.value - value, origin.at.value)

    def advance(carry: _Carry, proposal: Proposal) -> _Carry:
        num_gradients = carry.num_gradients + proposal.num_gradients
        if proposal.grad is None:
            at = Evaluation(proposal.params, *objective.value_and_grad(proposal.params))
            num_gradients += 1
        else:
            assert proposal.loss is not None
            assert proposal.value is not None
            at = Evaluation(proposal.params, proposal.loss, proposal.value, proposal.grad)
        new = measured(at)
        finite = new.is_finite() & proposal.accepted
        solved = finite & is_solved(new)
        best, lowest = carry.best, carry.lowest
        if best is not None:
            # Within rounding the later iterate is the better one, and one that solves the equation is best.
            lower = is_descent(lowest - new.at.value, lowest) | ~jnp.isfinite(lowest)
            best = optax.tree.where(finite & (lower | (solved & descends(new.at.value))), kept(new), best)
            lowest = jnp.where(finite, jnp.minimum(lowest, new.at.value), lowest)
        return _Carry(
            num_steps=carry.num_steps + 1,
            done=solved | ~finite,
            iterate=optax.tree.where(proposal.accepted, new, carry.iterate),
            best=best,
            lowest=lowest,
            inner_state=proposal.state,
            num_gradients=jnp.asarray(num_gradients, jnp.int32),
            # Several steps approach the equation with the α asked for.
            learning_rate=jnp.where(carry.num_steps == 0, proposal.learning_rate, alpha),
            too_small=jnp.where(carry.num_steps == 0, proposal.too_small, carry.too_small),
        )

    def body(carry: _Carry) -> _Carry:
        new = propose(problem, carry.iterate.at, carry.inner_state, alpha, inner.search)
        return varying_as(advance(carry, new), start, alpha)

    usable = origin.is_finite() & jnp.isfinite(alpha) & (alpha > 0)
    solved_at_start = usable & is_solved(origin)
    carry = _Carry(
        num_steps=jnp.zeros((), jnp.int32),
        done=solved_at_start | ~usable,
        iterate=origin,
        best=kept(origin) if rule.safeguard else None,
        lowest=jnp.full_like(origin.at.value, jnp.inf),
        inner_state=inner_state,
        num_gradients=jnp.zeros((), jnp.int32),
        learning_rate=alpha,
        too_small=jnp.zeros((), bool),
    )
    if first is not None:
        stepped = advance(carry, first)
        carry = optax.tree.where(carry.done, carry._replace(num_gradients=stepped.num_gradients), stepped)
    if first is None or not (isinstance(rule.max_steps, int) and rule.max_steps == 1):
        unfinished = lambda carry: ~carry.done & (carry.num_steps < rule.max_steps)
        carry = jax.lax.while_loop(unfinished, body, varying_as(carry, start, alpha))

    iterate = carry.best or carry.iterate
    displacement = rounded(optax.tree.sub(iterate.at.params, start.params))
    # One at the start is a step only if it solves the equation.
    moved = iterate.is_finite() & (carry.num_steps > 0) & ((norm(displacement) > 0) | (iterate.error == 0))
    if first is not None:
        moved &= first.accepted
    value = value_where_it_lands(objective, start.params, displacement, iterate.at)
    moved &= descends(value) if rule.safeguard else jnp.isfinite(value)
    # Of a point that was reached, be it returned or not.
    at_floor = (carry.num_steps > 0) & is_lost_in_rounding(displacement, start.params, problem.metric)
    at_floor &= jnp.isfinite(carry.lowest) | (not rule.safeguard)
    if first is not None:
        at_floor = jnp.where(first.accepted, at_floor, first.at_floor)
    if not has_model:  # which would know that no step gains: a line search may only have failed
        fell = lambda: falls_along_gradient(objective, start)
        at_floor &= ~jax.lax.cond(at_floor, fell, lambda: jnp.zeros_like(at_floor))
    at_floor |= solved_at_start & (origin.error == 0)
    if rule.keep_grad and knows_only_value:  # φ − ‖p − c‖²/(2α) loses the digits of a small L
        exact = jnp.asarray(problem.value_fn(iterate.at.params)).astype(iterate.at.loss.dtype)
        iterate = iterate._replace(at=iterate.at._replace(loss=exact))
    return Solution(
        iterate=iterate,
        displacement=displacement,
        moved=moved,
        solved_at_start=solved_at_start,
        learning_rate=carry.learning_rate,
        proximal_learning_rate=alpha,
        num_steps=carry.num_steps,
        num_gradients=carry.num_gradients,
        inner_state=carry.inner_state,
        at_floor=at_floor,
        too_small=jnp.where(solved_at_start, at_center & (origin.error > 0), carry.too_small),  # for atol
        finite=carry.iterate.is_finite() | jnp.isfinite(carry.lowest),
    )
