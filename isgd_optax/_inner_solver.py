"""The protocol of inner solvers, which minimise the proximal objective."""

from collections.abc import Callable
from typing import Generic, NamedTuple, NoReturn, TypeVar

import jax
import jax.numpy as jnp
import optax

from isgd_optax._norms import as_wide_as, is_lost_in_rounding, rounding, vdot
from isgd_optax._proximal import Loss, ProximalObjective

State = TypeVar("State")
Query = TypeVar("Query")


class ProximalProblem(NamedTuple):
    """What an inner solver is to minimise, with what may not be decided yet left open.

    Attributes:
      value_fn: The loss L.
      center: The centre c of the proximal term; None for the point where the solver is asked.
      learning_rate: The step size α; None while it is still searched for.
      metric: The diagonal D of the proximal term, None for the identity.
    """

    value_fn: Loss
    center: optax.Params | None
    learning_rate: jax.Array | None
    metric: optax.Params | None

    def objective(self, params: optax.Params, learning_rate: jax.Array) -> ProximalObjective:
        """The proximal objective; ``params`` and ``learning_rate`` take the place of what is left open."""
        center = params if self.center is None else self.center
        alpha = learning_rate if self.learning_rate is None else self.learning_rate
        return ProximalObjective(self.value_fn, center, alpha, self.metric)

    def decided(self, params: optax.Params, learning_rate: jax.Array) -> "ProximalProblem":
        """The problem with ``params`` and ``learning_rate`` for what is left open."""
        center = params if self.center is None else self.center
        return self._replace(center=center, learning_rate=learning_rate)


class Evaluation(NamedTuple):
    """A point and what is known there.

    Attributes:
      params: The point p.
      loss: L(p).
      value: The proximal objective φ(p); L(p) while α is still searched for.
      grad: ∇φ(p), or ∇L(p) while α is still searched for.
    """

    params: optax.Params
    loss: jax.Array
    value: jax.Array
    grad: optax.Updates


class Proposal(NamedTuple):
    """A point that an inner solver proposes. What it does not know is None, or False, and computed for it.

    Attributes:
      params: The point p.
      learning_rate: The α whose step it is, smaller than the one asked for where a solver damps more.
      num_gradients: Gradients' worth of work that it has cost beyond the query, int32.
      state: The solver's state afterwards.
      loss: L(p).
      value: The proximal objective φ(p).
      grad: ∇φ(p).
      predicted_decrease: The decrease of φ that the solver's model predicts.
      decrease: The actual decrease of φ, free of the rounding of φ.
      accepted: Whether it is a step at all; a search that finds none returns the start. Where it is none, the
        inner iteration ends at the point before.
      at_floor: Whether the step is lost in rounding errors, of the loss or of the parameters, whatever α.
      too_small: Whether it is lost in them because α is small.
    """

    params: optax.Params
    learning_rate: jax.Array
    num_gradients: jax.Array | int
    state: optax.OptState
    loss: jax.Array | None = None
    value: jax.Array | None = None
    grad: optax.Updates | None = None
    predicted_decrease: jax.Array | None = None
    decrease: jax.Array | None = None
    accepted: jax.Array | bool = True
    at_floor: jax.Array | bool = False
    too_small: jax.Array | bool = False


Trial = Callable[[jax.Array], Proposal]  # a complete proposal for an α
Search = Callable[[jax.Array, Trial, Evaluation], Proposal]  # from the α asked for, trials and the start


def take_it(learning_rate: jax.Array, trial: Trial, start: Evaluation) -> Proposal:
    """The proposal at the α that is asked for."""
    del start
    return trial(learning_rate)


class InnerSolver(NamedTuple, Generic[State, Query]):
    """A solver of the proximal problem that can propose points for several α from one preparation.

    Pure functions, called inside ``jit``.

    Attributes:
      init: ``init(params) -> state``.
      query: ``query(problem, evaluation, state) -> query``: all that does not depend on α, from a
        :class:`ProximalProblem` and an :class:`Evaluation`. It may hold functions.
      step: ``step(α, query) -> proposal``, a :class:`Proposal`.
      search: ``search(α, trial, start) -> proposal``, how the solver falls back from an α whose step fails;
        by default it takes α.
      name: What messages call it.
      num_query_gradients: ``num_query_gradients(query) -> int``: gradients' worth of work that the query
        has cost; by default none.

    Examples:
      Gradient descent on the proximal objective, with step size α/(1 + α):

      >>> import jax, jax.numpy as jnp
      >>> from isgd_optax import InnerSolver, Proposal, implicit_step
      >>> def step(alpha, query):
      ...     evaluation, state = query
      ...     move = lambda p, g: p - alpha / (1 + alpha) * g
      ...     return Proposal(jax.tree.map(move, evaluation.params, evaluation.grad), alpha, 0, state)
      >>> descent = InnerSolver(
      ...     init=lambda params: (),
      ...     query=lambda problem, evaluation, state: (evaluation, state),
      ...     step=step,
      ... )
      >>> loss = lambda p: 0.5 * jnp.sum(p**2)
      >>> solver = implicit_step(descent, learning_rate=1.0)
      >>> params = jnp.ones(2)
      >>> updates, state = solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)
      >>> print(params + updates)
      [0.5 0.5]
    """

    init: Callable[[optax.Params], State]
    query: Callable[[ProximalProblem, Evaluation, State], Query]
    step: Callable[[jax.Array, Query], Proposal]
    search: Search = take_it
    name: str = "an InnerSolver"
    num_query_gradients: Callable[[Query], int] = lambda query: 0

    def update(self, *args: object, **kwargs: object) -> NoReturn:
        """Raises TypeError: in a chain it would lose its search for α."""
        del args, kwargs
        raise TypeError(
            f"{self.name} is an inner solver, not a gradient transformation: it must be `inner` itself, as "
            f"in implicit_step({self.name}(), learning_rate), not part of optax.chain, optax.partition or "
            "another wrapper. Put further transformations around implicit_step; freeze parameters by closing "
            "over them in the loss."
        )


def complete(problem: ProximalProblem, start: Evaluation, proposal: Proposal) -> Proposal:
    """``proposal`` with its loss, φ and the decreases of φ filled in."""
    objective = problem.objective(start.params, proposal.learning_rate)
    loss, value, grad = proposal.loss, proposal.value, proposal.grad
    num_gradients = proposal.num_gradients
    if loss is None and value is None:
        loss, value, grad = objective.value_and_grad(proposal.params)
        num_gradients += 1
    elif loss is None:
        assert value is not None
        loss = value - objective.term(proposal.params).astype(value.dtype)
    elif value is None:
        value = loss + objective.term(proposal.params).astype(loss.dtype)
    displacement = optax.tree.sub(proposal.params, start.params)
    start_grad = start.grad
    if problem.learning_rate is None and problem.center is not None:
        start_grad = optax.tree.add(start_grad, objective.term_gradient(start.params))
    predicted = proposal.predicted_decrease
    if predicted is None:
        predicted = -vdot(start_grad, displacement) / 2
    predicted = jnp.asarray(predicted, start.loss.dtype)
    longer = objective.squared_distance_gain(proposal.params, start.params)
    decrease = proposal.decrease
    if decrease is None:
        decrease = start.loss - loss - (longer / (2 * objective.learning_rate)).astype(start.loss.dtype)
    negligible = (jnp.abs(predicted) <= rounding(start.loss)) | is_lost_in_rounding(
        displacement, start.params, problem.metric
    )
    # A step along the gradient, α∇φ, promises ½α‖∇φ‖²; what is not shorter would gain by a larger α.
    slope = objective.dual_norm(start_grad)  # whose square may be too small for a number
    steepest = proposal.learning_rate * jnp.square(slope) / 2
    at_floor, too_small = jnp.asarray(proposal.at_floor), jnp.asarray(proposal.too_small)
    promised = as_wide_as(predicted, steepest) >= as_wide_as(0.9 * steepest, predicted)
    straight = promised & (slope > 0) & jnp.isfinite(steepest)
    return proposal._replace(
        loss=loss,
        value=value,
        grad=grad,
        num_gradients=jnp.asarray(num_gradients, jnp.int32),
        predicted_decrease=predicted,
        decrease=jnp.asarray(decrease, start.loss.dtype),
        accepted=jnp.asarray(proposal.accepted),
        at_floor=at_floor | (negligible & ~straight & ~too_small),
        too_small=too_small | (negligible & straight & ~at_floor),
    )
