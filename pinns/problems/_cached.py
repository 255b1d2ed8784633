"""Cached properties of problems, whose values are numbers wherever they are first asked for."""

import functools
from typing import Any

import jax


class Cached(functools.cached_property):
    """A cached property that a residual may ask for first: what is traced would be kept beyond its trace."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        with jax.ensure_compile_time_eval():
            return super().__get__(instance, owner)


def keep_numbers(cls: type[Any]) -> None:
    """Makes a :class:`Cached` of every ``functools.cached_property`` that a class itself defines."""
    for name, found in list(vars(cls).items()):
        if type(found) is functools.cached_property:
            cached = Cached(found.func)
            cached.__set_name__(cls, name)
            setattr(cls, name, cached)
