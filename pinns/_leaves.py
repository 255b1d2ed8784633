"""What may be trained: arrays of real numbers."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

HOW = (
    "A model is a Flax NNX module, a callable pytree that holds its parameters (Equinox), a pair (apply, "
    "params) with apply(params, x) (Linen: (module.apply, variables); Haiku; plain functions), or several of "
    "these by name in a dictionary."
)


def check_collections(variables: Any) -> None:
    """Raises TypeError for variables of a Linen module that are not to be trained."""
    if isinstance(variables, Mapping) and "params" in variables and len(variables) > 1:
        others = ", ".join(sorted(set(variables) - {"params"}))
        raise TypeError(
            f"the variables hold {others} beside params, which would be trained too. Close over them: "
            "(lambda params, x: module.apply({**variables, 'params': params}, x), variables['params'])."
        )


def checked(params: Any) -> Any:
    """``params``, if they are a tree of arrays of real numbers; else TypeError."""
    leaves = jax.tree.leaves_with_path(params)
    wrong = [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves if not is_real(leaf)]
    if wrong or not leaves:
        described = {
            f"{type(leaf).__name__}{f' of {leaf.dtype}' if is_array(leaf) else ''} (at {path or 'its root'})"
            for path, leaf in wrong
        }
        what = f"holds {', '.join(sorted(described))}" if leaves else "is empty"
        raise TypeError(
            f"parameters must be arrays of real numbers; the tree {what}. Make an array of what is to be "
            f"trained, jnp.asarray(1.0), and close over the rest. {HOW}"
        )
    return params


def without_complex(model: Any) -> Any:
    """A callable pytree, if it holds no complex arrays, which nothing here trains; else TypeError."""
    leaves = jax.tree.leaves_with_path(model)
    found = [p for p, x in leaves if is_array(x) and jnp.issubdtype(x.dtype, jnp.complexfloating)]
    if found:
        names = ", ".join(jax.tree_util.keystr(path) or "its root" for path in found)
        raise TypeError(
            f"{type(model).__name__} holds complex arrays (at {names}), which are not trained: hold real and "
            "imaginary part as two arrays. Complex constants belong where they are no leaves, in a static "
            "field or in the function."
        )
    return model


def is_leaf(x: Any) -> bool:
    """Whether ``x`` is no pytree node."""
    return jax.tree.structure(x) == jax.tree.structure(0)


def is_array(x: Any) -> bool:
    """Whether ``x`` is an array or stands for one."""
    return isinstance(x, (jax.Array, jax.ShapeDtypeStruct, np.ndarray, np.generic))


def is_real(x: Any) -> bool:
    """Whether ``x`` is an array of real numbers."""
    return is_array(x) and jnp.issubdtype(x.dtype, jnp.floating)
