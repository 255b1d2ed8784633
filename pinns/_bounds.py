"""Indices beyond an axis: JAX takes the last entry instead, and a residual is then another equation."""

from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

_OF_INTEGERS = {
    "lt": np.less,
    "add": np.add,
    "select_n": lambda which, no, yes: np.where(which, yes, no),
    "convert_element_type": lambda x: x,
    "broadcast_in_dim": lambda x: x,
}


class OutOfBounds(NamedTuple):
    """An index that lies beyond its axis.

    Attributes:
      index: The index.
      size: The length of the axis.
      shape: The shape of the array.
      scope: The names under which it was traced.
    """

    index: int
    size: int
    shape: tuple[int, ...]
    scope: str


def out_of_bounds(jaxpr: Jaxpr) -> OutOfBounds | None:
    """The first constant index of a program that lies beyond its axis, or None."""
    known: dict[Any, Any] = {}
    for equation in jaxpr.eqns:
        values: list[Any] = [
            atom.val if isinstance(atom, Literal) else known.get(atom) for atom in equation.invars
        ]
        name = equation.primitive.name
        if name in _OF_INTEGERS and all(value is not None and np.size(value) == 1 for value in values):
            known[equation.outvars[0]] = _OF_INTEGERS[name](*(np.ravel(v) for v in values))
        elif name == "dynamic_slice":
            shape = tuple(getattr(equation.invars[0].aval, "shape", ()))
            for size, taken, start in zip(shape, equation.params["slice_sizes"], values[1:], strict=True):
                if start is not None and not 0 <= int(np.ravel(start)[0]) <= size - taken:
                    scope = str(equation.source_info.name_stack)
                    return OutOfBounds(int(np.ravel(start)[0]), size, shape, scope)
        for inner in inner_programs(equation.params):
            found = out_of_bounds(inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner)
            if found:
                return found
    return None


def inner_programs(params: dict[str, Any]) -> list[ClosedJaxpr | Jaxpr]:
    """The programs inside of an operation."""
    values = [v for p in params.values() for v in (p if isinstance(p, (tuple, list)) else [p])]
    return [v for v in values if isinstance(v, (ClosedJaxpr, Jaxpr))]
