"""Value and gradient that a line search has already computed at its new point."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

_LINE_SEARCH_STATES = (optax.ScaleByZoomLinesearchState, optax.ScaleByBacktrackingLinesearchState)


class Evaluation(NamedTuple):
    """A value, a gradient, and how many gradients they cost."""

    value: jax.Array
    grad: Any
    num_gradients: jax.Array


def line_search_evaluation(state: Any, params: Any) -> Evaluation | None:
    """What the only line search in ``state`` left behind, or None if that is unusable.

    Unusable: no line search or several, one that stores no gradient, or one that saw only a part
    of the parameters (inside ``optax.partition``). Like ``optax.value_and_grad_from_state`` this
    trusts the line search to come last in its chain. Decided by structure, at trace time.
    """
    is_search = lambda x: isinstance(x, _LINE_SEARCH_STATES)
    searches = [x for x in jax.tree.leaves(state, is_leaf=is_search) if is_search(x)]
    if len(searches) != 1 or searches[0].grad is None:
        return None
    (search,) = searches
    if jax.tree.structure(search.grad) != jax.tree.structure(params):
        return None
    # Zoom evaluates value and gradient at each trial point; backtracking values only, then the
    # gradient once, at the accepted point.
    zoom = isinstance(search, optax.ScaleByZoomLinesearchState)
    num_gradients = search.info.num_linesearch_steps if zoom else 1
    grad = optax.tree.cast_like(search.grad, params)
    return Evaluation(search.value, grad, jnp.asarray(num_gradients, jnp.int32))
