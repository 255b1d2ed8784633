"""Many training steps as one compiled function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from isgd_optax import ImplicitStepState
from pinns._placement import copied
from pinns._points import Loss, Order, PointSource
from pinns._programs import Program
from pinns._weights import WeightRule, Weights
from pinns.problems import Points


class TrainState(NamedTuple):
    """Everything that a run continues from.

    Attributes:
      step: Steps taken, int32.
      params: The trained parameters.
      opt_state: The optimiser's state.
      points: The points of every condition.
      order: For conditions that are split into mini-batches, the order of their points in this epoch.
      num_gradients: Gradient evaluations so far, int32 of shape (2,), see :func:`as_number`.
      weights: Weights of the conditions, where they follow the training.
    """

    step: jax.Array
    params: optax.Params
    opt_state: optax.OptState
    points: Points
    order: Order
    num_gradients: jax.Array
    weights: Weights


class StepRecord(NamedTuple):
    """What one step reports; what follows ``implicit`` means something where an implicit step was made."""

    loss: jax.Array
    implicit: jax.Array
    learning_rate: jax.Array
    residual: jax.Array
    num_inner_steps: jax.Array
    accepted: jax.Array
    at_bound: jax.Array
    at_floor: jax.Array


_Record = tuple[jax.Array, tuple[jax.Array, ...]]  # numbers that no step has are not stored step by step
Chunk = Callable[[TrainState, int], tuple[TrainState, StepRecord]]


def start(
    params: optax.Params,
    optimizer: optax.GradientTransformationExtraArgs,
    source: PointSource,
    rule: WeightRule,
    key: jax.Array,
) -> TrainState:
    """The state before the first step."""
    points = Program(source.draw)(key)  # not operation by operation
    params = source.placement.whole(params)  # which may lie on other devices, those of another run
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=copied(params),  # the state is donated; the caller's arrays are not
        opt_state=copied(optimizer.init(params)),
        points=points,
        order=source.first_order(points),
        num_gradients=jnp.zeros(2, jnp.int32),
        weights=rule.first(source.dtype),
    )
    return _whole(source, state)


def make_chunk(
    loss: Loss, optimizer: optax.GradientTransformationExtraArgs, source: PointSource, rule: WeightRule
) -> Chunk:
    """``chunk(state, length)``: ``length`` training steps, and a record of each.

    Args:
      loss: ``loss(points, weights)``, a function of the parameters.
      optimizer: Any optimiser.
      source: Where the points of every step come from.
      rule: How the weights of conditions follow the training.
    """

    def step(state: TrainState, _: None) -> tuple[TrainState, _Record]:
        points = source.at(state.step, state.params, state.points)
        chosen, order = source.batch(state.step, points, state.order)
        weights = rule.at(state.step, state.params, chosen, state.weights)
        loss_fn = loss(chosen, weights)
        stores = source.constant and rule.constant and _stores_value_and_grad(state.opt_state)
        if stores and _same_dtype(loss_fn, state):
            value, grad = optax.value_and_grad_from_state(loss_fn)(state.params, state=state.opt_state)
            evaluated = ~jnp.isfinite(optax.tree.get(state.opt_state, "value"))  # else it was stored
        else:
            value, grad = jax.value_and_grad(loss_fn)(state.params)
            evaluated = jnp.ones((), bool)
        updates, opt_state = optimizer.update(
            grad, state.opt_state, state.params, value=value, grad=grad, value_fn=loss_fn
        )
        new = TrainState(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            opt_state=opt_state,
            points=points,
            order=order,
            num_gradients=_added(
                state.num_gradients, evaluated + _gradients_inside(state.opt_state, opt_state)
            ),
            weights=weights,
        )
        record = _record(jnp.asarray(value), state.opt_state, opt_state)
        return _whole(source, new), source.placement.whole(record)

    def chunk(state: TrainState, length: int) -> tuple[TrainState, StepRecord]:
        state, (value, implicit) = jax.lax.scan(step, state, length=length)
        # Zeros, not NaN, where there is nothing to report: jax_debug_nans would take NaN for a fault.
        nothing = [jnp.zeros(length, bool), *[jnp.zeros(length, jnp.float32)] * 6]
        return state, source.placement.whole(StepRecord(value, *(implicit or nothing)))

    return chunk


_BASE = 2**24


def _added(count: jax.Array, number: jax.Array) -> jax.Array:
    """A count in two digits to the base 2²⁴, plus ``number``: one int32 would overflow, a float32 stall."""
    low = count[1] + number.astype(jnp.int32)
    return jnp.stack([count[0] + low // _BASE, low % _BASE])


def as_number(count: jax.Array) -> float:
    """The number that such a count is."""
    high, low = (int(digit) for digit in count)
    return float(high * _BASE + low)


def _whole(source: PointSource, state: TrainState) -> TrainState:
    """The state with all but its points on every device."""
    return source.placement.whole(state._replace(points={}))._replace(points=state.points)


def _stores_value_and_grad(opt_state: Any) -> bool:
    """Whether there is one value and one gradient for ``optax.value_and_grad_from_state``."""
    found = [optax.tree.get_all_with_path(opt_state, name) for name in ("value", "grad")]
    # A line search that does not keep the gradient has None in its place.
    return all(len(entries) == 1 and entries[0][1] is not None for entries in found)


def _same_dtype(loss_fn: Any, state: TrainState) -> bool:
    """Whether the stored value has the dtype of the loss; optax cannot read it otherwise."""
    stored = optax.tree.get(state.opt_state, "value")
    return jnp.result_type(stored) == jax.eval_shape(loss_fn, state.params).dtype


def _find(opt_state: Any, kind: type) -> list[Any]:
    is_kind = lambda x: isinstance(x, kind)
    return [x for x in jax.tree.leaves(opt_state, is_leaf=is_kind) if is_kind(x)]


def _gradients_inside(before: Any, after: Any) -> jax.Array:
    """Gradients evaluated by ``update`` itself, in implicit steps and line searches."""
    total = jnp.zeros((), jnp.int32)
    for old, new in zip(_find(before, ImplicitStepState), _find(after, ImplicitStepState), strict=True):
        total += jnp.where(new.count > old.count, new.num_gradients, 0)
    for search in _find(after, optax.ScaleByZoomLinesearchState):
        total += search.info.num_linesearch_steps
    # That of the point which it chose, if it is to be stored.
    stored = [s for s in _find(after, optax.ScaleByBacktrackingLinesearchState) if s.grad is not None]
    return total + len(stored)


def _record(value: jax.Array, before: Any, after: Any) -> _Record:
    """The loss, and the other fields of a :class:`StepRecord`: none without implicit steps."""
    old, new = _find(before, ImplicitStepState), _find(after, ImplicitStepState)
    value = value.astype(jnp.float32)
    if len(new) != 1:
        return value, ()
    info = new[0].info
    implicit = new[0].count > old[0].count
    values = (
        info.learning_rate,
        info.residual,
        info.num_inner_steps,
        info.accepted,
        info.at_bound,
        info.at_floor,
    )
    return value, (implicit, *(jnp.where(implicit, v.astype(jnp.float32), 0) for v in values))
