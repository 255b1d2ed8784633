"""Functions and classes as pytrees, so that they can be arguments of compiled functions."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

ArrayTree = optax.Params  # any pytree of arrays, as optax has it
Tree = TypeVar("Tree")
Given = ParamSpec("Given")
Result = TypeVar("Result")


def as_pytree(fn: Callable[Given, Result]) -> Callable[Given, Result]:
    """``fn`` itself if it is a pytree of arrays already, else wrapped so that it is one.

    Leaves that are no arrays, such as the activation in a module of Equinox, are then static.
    """
    leaves, structure = jax.tree.flatten(fn)
    if structure == jax.tree.structure(0):
        return jax.tree_util.Partial(fn)
    return fn if all(map(is_array, leaves)) else _WithStaticLeaves(fn)


def is_array(leaf: object) -> bool:
    """Whether a leaf is an array or a number, which compiled functions take."""
    return isinstance(leaf, (bool, int, float, complex)) or (
        hasattr(leaf, "shape") and hasattr(leaf, "dtype")
    )


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


def _is_cached(cls: type, name: str) -> bool:
    """Whether an attribute is computed again where it is missing, or is Python's own."""
    return name.startswith("__") or isinstance(getattr(cls, name, None), functools.cached_property)


class FieldsAsLeaves:
    """Makes a pytree of a class: the attributes in ``_leaves`` are children, those in ``_static`` are not.

    Unlike ``jax.tree_util.register_dataclass`` it does not call ``__init__`` when it puts an object
    together again, so a constructor may check its arguments. Other attributes, which would be lost, are a
    TypeError.
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
        own = {name for name in vars(self) if not _is_cached(type(self), name)}
        if lost := sorted(own - {*self._leaves, *self._static}):
            raise TypeError(
                f"a {type(self).__name__} would lose {', '.join(lost)} in JAX, to which it is a pytree of "
                f"{', '.join((*self._leaves, *self._static))}: name attributes of arrays in _leaves of the "
                "class and hashable ones in _static, beside those of its base class."
            )
        children = tuple(getattr(self, name) for name in self._leaves)
        return children, tuple(getattr(self, name) for name in self._static)

    @classmethod
    def _unflatten(cls, static, children):
        self = object.__new__(cls)
        for names, values in ((cls._leaves, children), (cls._static, static)):
            for name, value in zip(names, values, strict=True):
                setattr(self, name, value)
        return self


class _WithStaticLeaves(FieldsAsLeaves):
    """A function that is a pytree, of whose leaves those that are no arrays are compared by equality."""

    _leaves = ("arrays",)
    _static = ("structure", "others")

    def __init__(self, fn: Callable[..., Any]):
        leaves, self.structure = jax.tree.flatten(fn)
        self.arrays = [leaf if is_array(leaf) else None for leaf in leaves]
        self.others = tuple(None if is_array(leaf) else leaf for leaf in leaves)

    @property
    def func(self) -> Callable[..., Any]:
        """The function that was given."""
        leaves = [a if o is None else o for a, o in zip(self.arrays, self.others, strict=True)]
        return jax.tree.unflatten(self.structure, leaves)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.func(*args, **kwargs)
