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
    grad: optax.Updates,
) -> tuple[Evaluation, jax.Array | int]:
    """What a step starts from, with L in ``dtype``, and how many gradients were evaluated for it."""
    renewed = 0
    if isinstance(stored, StoredEvaluation):
        loss, grad, renewed = current_evaluation(loss_fn, params, stored, value, grad)
    else:
        loss = jnp.asarray(loss_fn(params) if value is None else value)
    return Evaluation(params, loss.astype(dtype), loss.astype(dtype), grad), renewed


def current_evaluation(
    loss_fn: Loss,
    params: optax.Params,
    stored: StoredEvaluation,
    value: ArrayLike | None,
    grad: optax.Updates,
) -> tuple[jax.Array, optax.Updates, jax.Array]:
    """L and ∇L at ``params``: those given, unless they may be stored ones of other parameters or data.

    What follows ``implicit_step`` in a chain may have changed the parameters, and fresh points or another
    mini-batch the loss. The first shows in the parameters, the second in the loss, which is evaluated once;
    where either differs from what is stored, both are evaluated anew, which the last result says.
    """
    loss = jnp.asarray(loss_fn(params))
    nothing_stored = ~jnp.isfinite(stored.value)
    # Without a value, the gradient may still be the stored one.
    given = jnp.where(nothing_stored, loss, stored.value.astype(loss.dtype)) if value is None else value
    given = jnp.asarray(given).astype(loss.dtype)
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(stored.point), strict=True)
    same_point = nothing_stored | functools.reduce(jnp.logical_and, [jnp.all(p == q) for p, q in pairs], True)
    # Compiled in another place, the same loss may be rounded otherwise; in half precision even the smallest
    # difference may be that of another mini-batch.
    tolerance = min(100 * float(jnp.finfo(loss.dtype).eps), 1e-3) * jnp.abs(loss)
    same_loss = jnp.abs(given - loss) <= tolerance
    # What is not finite makes a step of zero, as without stored values.
    current = (same_point & same_loss) | ~jnp.isfinite(given) | ~jnp.isfinite(loss)

    def evaluate() -> tuple[jax.Array, optax.Updates]:
        value, grad = jax.value_and_grad(lambda p: jnp.asarray(loss_fn(p)))(params)
        return value.astype(loss.dtype), grad

    return *jax.lax.cond(current, lambda: (given, grad), evaluate), ~current
