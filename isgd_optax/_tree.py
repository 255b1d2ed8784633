"""Functions and classes as pytrees, so that they can be arguments of compiled functions."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

ArrayTree = optax.Params  # any pytree of arrays, as optax has it
Tree = TypeVar("Tree")
Given = ParamSpec("Given")
Result = TypeVar("Result")


def as_pytree(fn: Callable[Given, Result]) -> Callable[Given, Result]:
    """``fn`` itself if it is a pytree node already, else wrapped so that it is one."""
    is_leaf = jax.tree.structure(fn) == jax.tree.structure(0)
    return jax.tree_util.Partial(fn) if is_leaf else fn


def own(tree: Tree) -> Tree:
    """``tree`` with every array copied, so that it may be donated, and no weak types, which recompile."""

    def copy(leaf: object) -> object:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
            return jnp.copy(leaf)  # a random key
        if isinstance(leaf, (jax.Array, np.ndarray, np.generic, bool, int, float)):
            return jnp.array(leaf, dtype=jnp.asarray(leaf).dtype)
        return leaf  # a placeholder of optax or the shape of an array

    return jax.tree.map(copy, tree)


def without_names(tree: ArrayTree) -> ArrayTree:
    """``tree`` with plain tuples for its named ones, so that ``optax.tree.get`` finds nothing in it."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return tuple(without_names(child) for child in tree)
    if isinstance(tree, (tuple, list, dict)):
        return jax.tree.map(without_names, tree, is_leaf=lambda node: node is not tree)
    return tree


class FieldsAsLeaves:
    """Makes a pytree of a class: the attributes in ``_leaves`` are children, those in ``_static`` are not.

    Unlike ``jax.tree_util.register_dataclass`` it does not call ``__init__`` when it puts an object
    together again, so a constructor may check its arguments.
    """

    _leaves: tuple[str, ...] = ()
    _static: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        jax.tree_util.register_pytree_with_keys(cls, cls._flatten_with_keys, cls._unflatten, cls._flatten)

    def _flatten_with_keys(self):
        children, static = self._flatten()
        keys = (jax.tree_util.GetAttrKey(name) for name in self._leaves)
        return tuple(zip(keys, children, strict=True)), static

    def _flatten(self):
        children = tuple(getattr(self, name) for name in self._leaves)
        return children, tuple(getattr(self, name) for name in self._static)

    @classmethod
    def _unflatten(cls, static, children):
        self = object.__new__(cls)
        for names, values in ((cls._leaves, children), (cls._static, static)):
            for name, value in zip(names, values, strict=True):
                setattr(self, name, value)
        return self
