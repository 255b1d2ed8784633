"""Cached properties of problems, whose values are numbers wherever they are first asked for."""

import functools
import inspect
from typing import Any

import jax
from jax.errors import JAXTypeError


class Cached(functools.cached_property):
    """A cached property that a residual may ask for first: what is traced would be kept beyond its trace."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        try:
            with jax.ensure_compile_time_eval():
                return super().__get__(instance, owner)
        except JAXTypeError:  # it depends on what is traced: on a field of the problem
            pass
        return super().__get__(instance, owner)


def keep_numbers(cls: type[Any]) -> None:
    """Makes a :class:`Cached` of every ``functools.cached_property`` of a class, those of its bases too."""
    for name in dir(cls):
        found = inspect.getattr_static(cls, name)
        if type(found) is functools.cached_property:
            cached = Cached(found.func)
            cached.__set_name__(cls, name)
            setattr(cls, name, cached)
