"""Functions and classes as pytrees, so that they can be arguments of compiled functions."""

from collections.abc import Callable
from typing import Any

import jax


def as_pytree(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn`` itself if it is a pytree node already, else wrapped so that it is one."""
    is_leaf = jax.tree.structure(fn) == jax.tree.structure(0)
    return jax.tree_util.Partial(fn) if is_leaf else fn


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
