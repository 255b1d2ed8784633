"""The loss and gradient that a step leaves for the next one, and whether they are still current."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike, DTypeLike

from isgd_optax._inner_solver import Evaluation
from isgd_optax._norms import scalar_dtype
from isgd_optax._proximal import Loss
from isgd_optax._sharding import check_varies_as


class StoredEvaluation(NamedTuple):
    """The loss and its gradient at the new parameters, where ``optax.value_and_grad_from_state`` finds them.

    Attributes:
      value: L there; infinite while there is none.
      grad: ∇L there.
      point: The parameters that they belong to.
    """

    value: jax.Array
    grad: optax.Updates
    point: optax.Params

    @classmethod
    def nothing(cls, params: optax.Params, dtype: jnp.dtype | None = None) -> "StoredEvaluation":
        """None yet; ``optax.value_and_grad_from_state`` then evaluates. The dtype is that of the value."""
        infinite = jnp.full((), jnp.inf, scalar_dtype(params) if dtype is None else dtype)
        return cls(infinite, optax.tree.zeros_like(params), optax.tree.zeros_like(params))


def as_stored_dtype(store_grad: bool | DTypeLike) -> tuple[bool, jnp.dtype | None]:
    """Whether a step leaves its evaluation, and in which dtype the value; None if the parameters decide.

    Raises:
      TypeError: Neither a boolean nor a real floating-point dtype.
    """
    if isinstance(store_grad, (bool, np.bool_)):
        return bool(store_grad), None
    try:
        dtype = jnp.dtype(store_grad)
    except TypeError:
        dtype = None
    if store_grad is None or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            "store_grad must be True, False or the dtype that value_fn returns, e.g. jnp.bfloat16, got "
            f"{store_grad!r}."
        )
    return True, jax.dtypes.canonicalize_dtype(dtype)


def starting_evaluation(
    loss_fn: Loss,
    dtype: jnp.dtype,
    params: optax.Params,
    stored: optax.OptState,
    value: ArrayLike | None,
    updates: optax.Updates,
    grad: optax.Updates | None,
) -> tuple[Evaluation, jax.Array | int, StoredEvaluation | None]:
    """What a step starts from, with L in ``dtype``.

    Args:
      loss_fn: The loss L.
      dtype: The dtype of L.
      params: The parameters.
      stored: What the last step has left, () where steps leave nothing.
      value: L at ``params`` if the caller knows it.
      updates: The gradient there, or what earlier transformations have made of it.
      grad: The gradient itself, where the caller has handed it on.

    Returns:
      The start; how many gradients were evaluated for it; and what to leave for the next step if this one
      does not move.
    """
    given = jax.tree.map(lambda g, p: jnp.asarray(g, p.dtype), updates if grad is None else grad, params)
    if not isinstance(stored, StoredEvaluation):
        loss = jnp.asarray(loss_fn(params) if value is None else value).astype(dtype)
        check_varies_as(given, lambda: loss_fn(params))
        return Evaluation(params, loss, loss, given), 0, None
    exact = grad is not None
    loss, start_grad, renewed = current_evaluation(loss_fn, params, stored, value, given, exact=exact)
    # Updates that nobody calls the gradient may be what a chain has made of it: those are not stored.
    known = renewed | ~jnp.isfinite(stored.value) if exact else renewed
    start = StoredEvaluation(loss.astype(stored.value.dtype), start_grad, params)
    unmoved = optax.tree.where(known, start, stored)
    loss = loss.astype(dtype)
    return Evaluation(params, loss, loss, start_grad), renewed.astype(jnp.int32), unmoved


def current_evaluation(
    loss_fn: Loss,
    params: optax.Params,
    stored: StoredEvaluation,
    value: ArrayLike | None,
    grad: optax.Updates,
    *,
    exact: bool = False,
) -> tuple[jax.Array, optax.Updates, jax.Array]:
    """L and ∇L at ``params``: those given, unless they may be stored ones of other parameters or data.

    What follows ``implicit_step`` in a chain may have changed the parameters, and fresh points or another
    mini-batch the loss. The first shows in the parameters, the second in the loss, which is evaluated once;
    where either differs from what is stored, both are evaluated anew, which the last result says. A value
    that agrees with the loss does not tell that the gradient is not the stored one; where it is ``exact``, no
    multiple of one, its numbers do.
    """
    loss = jnp.asarray(loss_fn(params))
    check_varies_as(grad, lambda: loss)
    nothing_stored = ~jnp.isfinite(stored.value)
    given = loss if value is None else jnp.asarray(value).astype(loss.dtype)
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(stored.point), strict=True)
    same_point = functools.reduce(jnp.logical_and, [jnp.all(p == q) for p, q in pairs], True)
    # Compiled in another place, the same loss may be rounded otherwise; in half precision even the smallest
    # difference may be that of another mini-batch.
    tolerance = min(100 * float(jnp.finfo(loss.dtype).eps), 1e-3) * jnp.abs(loss)
    is_loss = lambda number: jnp.abs(number - loss) <= tolerance
    current = nothing_stored | (same_point & is_loss(stored.value.astype(loss.dtype)))
    if exact:
        pairs = zip(jax.tree.leaves(grad), jax.tree.leaves(stored.grad), strict=True)
        current |= functools.reduce(jnp.logical_or, [jnp.any(g != s) for g, s in pairs], False)
    current &= is_loss(given)
    # What is not finite makes a step of zero, as without stored values.
    is_number = jnp.isfinite(given) & jnp.isfinite(loss)
    given = jnp.where(jnp.isfinite(loss), given, loss)  # the stored one may be finite

    def evaluate() -> tuple[jax.Array, optax.Updates]:
        value, grad = jax.value_and_grad(lambda p: jnp.asarray(loss_fn(p)))(params)
        return value.astype(loss.dtype), grad

    anew = is_number & ~current
    return *jax.lax.cond(anew, evaluate, lambda: (given, grad)), anew
