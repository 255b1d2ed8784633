"""What line searches of optax leave behind at their new point, and what they need in front of masks."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

_LINE_SEARCH_STATES = (optax.ScaleByZoomLinesearchState, optax.ScaleByBacktrackingLinesearchState)


class LineSearchEvaluation(NamedTuple):
    """A value, a gradient, and how many gradients they cost."""

    value: jax.Array
    grad: optax.Updates
    num_gradients: jax.Array


def line_search_evaluation(state: optax.OptState, params: optax.Params) -> LineSearchEvaluation | None:
    """What the line search that comes last in ``state`` left behind, or None if that is unusable.

    Unusable: no line search, one after which the update is changed once more (clipped, scaled, frozen in
    part), one that stores no gradient, or one that saw only a part of the parameters (inside
    ``optax.partition``). Decided by structure, at trace time.
    """
    search = _last(state)
    if search is None or search.grad is None:
        return None
    if jax.tree.structure(search.grad) != jax.tree.structure(params):
        return None
    # Zoom evaluates value and gradient at each trial point; backtracking values only, then the
    # gradient once, at the accepted point.
    zoom = isinstance(search, optax.ScaleByZoomLinesearchState)
    num_gradients = search.info.num_linesearch_steps if zoom else 1
    grad = optax.tree.cast_like(search.grad, params)
    return LineSearchEvaluation(search.value, grad, jnp.asarray(num_gradients, jnp.int32))


def is_masked(state: optax.OptState) -> bool:
    """Whether a line search in ``state`` stands behind a mask, as in ``optax.partition``."""
    masks = jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, optax.MaskedState))
    inside = [mask for mask in masks if isinstance(mask, optax.MaskedState)]
    return any(_is_search(x) for x in jax.tree.leaves(inside, is_leaf=_is_search))


def with_whole_parameters(
    value_fn: Callable[[optax.Params], jax.Array], params: optax.Params
) -> Callable[[optax.Params], jax.Array]:
    """``value_fn`` of parameters of which a mask has left out some, too: these are from ``params``."""
    is_left_out = lambda leaf: isinstance(leaf, optax.MaskedNode)
    whole = lambda part: jax.tree.map(
        lambda new, old: old if is_left_out(new) else new, part, params, is_leaf=is_left_out
    )
    return lambda part: value_fn(whole(part))


def _last(state: Any) -> Any:
    """The state of the last transformation if that is a line search, else None."""
    while not _is_search(state):
        chain = list(state) if type(state) is tuple else []
        # Else hyperparameters are injected, or updates that are not finite left out.
        state = chain[-1] if chain else getattr(state, "inner_state", None)
        if state is None:
            return None
    return state


def _is_search(node: object) -> bool:
    return isinstance(node, _LINE_SEARCH_STATES)
