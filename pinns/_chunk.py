"""Many training steps as one compiled function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from isgd_optax import ImplicitStepState
from pinns.problems import Points, Problem


class TrainState(NamedTuple):
    """Everything that a run continues from.

    Attributes:
      step: steps taken, int32.
      params: the network's parameters.
      opt_state: the optimiser's state.
      points: the points of every condition.
      order: for conditions that are split into mini-batches, the order of their points in this epoch.
      num_gradients: gradient evaluations so far, float32 (exact up to 2²⁴, then to 7 digits).
    """

    step: jax.Array
    params: Any
    opt_state: Any
    points: Points
    order: dict[str, jax.Array]
    num_gradients: jax.Array


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


class Sampling(NamedTuple):
    """Which points a step sees; see :func:`pinns.fit`."""

    method: str
    batch_size: dict[str, int]
    resample_every: int | None


def start(
    problem: Problem, params: Any, optimizer: Any, sampling: Sampling, key: jax.Array, dtype: Any
) -> TrainState:
    """The state before the first step."""
    points = problem.sample(key, method=sampling.method, dtype=dtype)
    order = {name: jnp.arange(points[name].shape[0]) for name in sampling.batch_size}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=jax.tree.map(jnp.copy, params),  # the state is donated; the caller's arrays are not
        opt_state=jax.tree.map(jnp.copy, optimizer.init(params)),
        points=points,
        order=order,
        num_gradients=jnp.zeros((), jnp.float32),
    )


def make_chunk(
    problem: Problem, model: nnx.Module, optimizer: Any, sampling: Sampling, key: jax.Array
) -> Callable[[TrainState, int], tuple[TrainState, StepRecord]]:
    """``chunk(state, length)``: ``length`` training steps, and a record of each."""
    data_key = jax.random.fold_in(key, 0)

    def resample(state: TrainState) -> Points:
        every = sampling.resample_every
        if every is None:
            return state.points
        dtype = jax.tree.leaves(state.points)[0].dtype
        draw = lambda: problem.sample(
            jax.random.fold_in(data_key, state.step), method=sampling.method, dtype=dtype
        )
        return jax.lax.cond((state.step > 0) & (state.step % every == 0), draw, lambda: state.points)

    def batch(state: TrainState, points: Points) -> tuple[Points, dict[str, jax.Array]]:
        order, chosen = {}, dict(points)
        for i, (name, size) in enumerate(sorted(sampling.batch_size.items())):
            num_points = points[name].shape[0]
            position = state.step % (num_points // size)
            shuffle_key = jax.random.fold_in(jax.random.fold_in(data_key, state.step), i + 1)
            order[name] = jax.lax.cond(
                position == 0,
                lambda k=shuffle_key, n=num_points: jax.random.permutation(k, n),
                lambda name=name: state.order[name],
            )
            index = jax.lax.dynamic_slice_in_dim(order[name], position * size, size)
            chosen[name] = points[name][index]
        return chosen, order

    def step(state: TrainState, _: None) -> tuple[TrainState, StepRecord]:
        points = resample(state)
        chosen, order = batch(state, points)
        loss_fn = problem.loss(model, chosen)
        same_data = not sampling.batch_size and sampling.resample_every is None
        if same_data and _stores_value_and_grad(state.opt_state):
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
            num_gradients=state.num_gradients + evaluated + _gradients_inside(state.opt_state, opt_state),
        )
        return new, _record(jnp.asarray(value), state.opt_state, opt_state)

    def chunk(state: TrainState, length: int) -> tuple[TrainState, StepRecord]:
        return jax.lax.scan(step, state, length=length)

    return chunk


def _stores_value_and_grad(opt_state: Any) -> bool:
    """Whether there is one value and one gradient for ``optax.value_and_grad_from_state``."""
    found = [optax.tree.get_all_with_path(opt_state, name) for name in ("value", "grad")]
    # A line search that does not keep the gradient has None in its place.
    return all(len(entries) == 1 and entries[0][1] is not None for entries in found)


def _find(opt_state: Any, kind: type) -> list[Any]:
    is_kind = lambda x: isinstance(x, kind)
    return [x for x in jax.tree.leaves(opt_state, is_leaf=is_kind) if is_kind(x)]


def _gradients_inside(before: Any, after: Any) -> jax.Array:
    """Gradients evaluated by ``update`` itself, in implicit steps and line searches."""
    total = jnp.zeros((), jnp.float32)
    for old, new in zip(_find(before, ImplicitStepState), _find(after, ImplicitStepState), strict=True):
        total += jnp.where(new.count > old.count, new.num_gradients, 0)
    for search in _find(after, optax.ScaleByZoomLinesearchState):
        total += search.info.num_linesearch_steps
    return total


def _record(value: jax.Array, before: Any, after: Any) -> StepRecord:
    old, new = _find(before, ImplicitStepState), _find(after, ImplicitStepState)
    # Zeros, not NaN, where there is nothing to report: jax_debug_nans would take NaN for a fault.
    fields = [jnp.zeros((), jnp.float32)] * 6
    implicit = jnp.zeros((), bool)
    if len(new) == 1:
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
        fields = [jnp.where(implicit, v.astype(jnp.float32), 0) for v in values]
    return StepRecord(value.astype(jnp.float32), implicit, *fields)
