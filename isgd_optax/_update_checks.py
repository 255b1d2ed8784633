"""Checks of what ``update`` is given: the gradient and the state, in the user's words."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

_CALL = "call update(grad, state, params, value_fn=loss)"


def check_evaluation(value: object, grad: object, params: optax.Params) -> None:
    """Raises TypeError or ValueError unless they are a loss, or None, and a gradient at ``params``."""
    _check_value(value)
    _check_gradient(grad, params)


def _check_gradient(grad: object, params: optax.Params) -> None:
    """Raises TypeError or ValueError unless ``grad`` is a pytree of arrays like ``params``."""
    if grad is None:
        raise TypeError(f"the gradient is None: {_CALL} with grad = jax.grad(loss)(params).")
    expected = jax.tree.structure(params)
    if jax.tree.structure(grad) != expected:
        hint = ""
        if isinstance(grad, tuple) and len(grad) == 2 and jax.tree.structure(grad[1]) == expected:
            hint = " It looks like what jax.value_and_grad returns: value, grad = ..., then hand over grad."
        elif hasattr(grad, "_fields") and not hasattr(params, "_fields"):
            hint = " It looks like a state: the gradient comes first."
        raise TypeError(
            f"the gradient is a {type(grad).__name__} of another structure than params: {_CALL} with "
            f"grad = jax.grad(loss)(params).{hint}"
        )
    pairs = zip(jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(grad), strict=True)
    for (path, p), g in pairs:
        if jnp.shape(p) != jnp.shape(g):
            where = jax.tree_util.keystr(path)
            raise ValueError(
                f"the gradient{where} has shape {jnp.shape(g)} and params{where} {jnp.shape(p)}: it must be "
                "the gradient at these parameters."
            )


def _check_value(value: Any) -> None:
    """Raises TypeError unless ``value`` is one real number, or None."""
    if value is None:
        return
    leaves = jax.tree.leaves(value)
    if len(leaves) == 1 and leaves[0] is value and jnp.shape(value) == ():
        return
    if len(leaves) == 1 and leaves[0] is value:
        raise TypeError(f"value must be the loss, one number, got an array of shape {jnp.shape(value)}.")
    raise TypeError(
        f"value must be the loss, one number, got a {type(value).__name__}. With has_aux=True unpack it: "
        "(value, aux), grad = jax.value_and_grad(loss, has_aux=True)(params)."
    )


def check_state(state: object, expected: tuple) -> None:
    """Raises TypeError unless ``state`` is one that ``init(params)`` of this solver, ``expected``, makes."""
    names = type(expected)._fields  # pyright: ignore[reportAttributeAccessIssue]
    if type(state) is not type(expected):
        raise TypeError(
            f"the state is a {type(state).__name__}, not one of implicit_step: {_CALL} with "
            "state = solver.init(params), of this very solver."
        )
    assert isinstance(state, tuple)
    for name, there, here in zip(names, state, expected, strict=True):
        if jax.tree.structure(there) != jax.tree.structure(here):
            raise TypeError(
                f"the state was made by a solver of other options, or for other parameters: its {name} has "
                "another structure. Make it anew by solver.init(params); options that shape it are "
                "learning_rate, store_grad, momentum, metric and reset_inner."
            )
        for a, b in zip(jax.tree.leaves(there), jax.tree.leaves(here), strict=True):
            if jnp.shape(a) != jnp.shape(b):
                raise ValueError(
                    f"the state belongs to other parameters: an array of its {name} has shape "
                    f"{jnp.shape(a)}, these need {jnp.shape(b)}. Make it anew by solver.init(params)."
                )
