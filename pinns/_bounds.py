"""Indices beyond an axis: JAX takes the last entry instead, and a residual is then another equation."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal


def _spread(x: np.ndarray, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], **_: Any) -> Any:
    kept = np.ones(len(shape), int)
    kept[list(broadcast_dimensions)] = np.shape(x)
    return np.broadcast_to(np.reshape(x, kept), shape)


# What JAX does to an index before it takes from an array.
_OF_INTEGERS = {
    "lt": lambda x, y, **_: np.less(x, y),
    "add": lambda x, y, **_: np.add(x, y),
    "select_n": lambda which, no, yes, **_: np.where(which, yes, no),
    "convert_element_type": lambda x, **_: x,
    "broadcast_in_dim": _spread,
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


def out_of_bounds(jaxpr: Jaxpr, consts: Sequence[Any] = ()) -> OutOfBounds | None:
    """The first constant index of a program that lies beyond its axis, or None.

    Args:
      jaxpr: The program.
      consts: The values of its constants.
    """
    known: dict[Any, Any] = {
        var: np.asarray(value)
        for var, value in zip(jaxpr.constvars, consts, strict=False)
        if not isinstance(value, Tracer) and hasattr(value, "dtype") and _is_whole(value)
    }
    for equation in jaxpr.eqns:
        values: list[Any] = [
            atom.val if isinstance(atom, Literal) else known.get(atom) for atom in equation.invars
        ]
        name = equation.primitive.name
        if name in _OF_INTEGERS and all(value is not None and _is_whole(value) for value in values):
            known[equation.outvars[0]] = _OF_INTEGERS[name](*values, **equation.params)
        elif (beyond := _beyond(name, equation, values)) is not None:
            shape = tuple(getattr(equation.invars[0].aval, "shape", ()))
            return OutOfBounds(*beyond, shape, str(equation.source_info.name_stack))
        for inner in inner_programs(equation.params):
            closed = isinstance(inner, ClosedJaxpr)
            found = out_of_bounds(inner.jaxpr, inner.consts) if closed else out_of_bounds(inner)
            if found:
                return found._replace(scope=f"{equation.source_info.name_stack}/{found.scope}")
    return None


def _is_whole(value: Any) -> bool:
    dtype = jnp.result_type(value)  # of random keys too, which NumPy does not take
    return jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.bool_)


def _beyond(name: str, equation: Any, values: Sequence[Any]) -> tuple[int, int] | None:
    """The first known index of a slice or a gather that is too large or too small, and the axis' length."""
    if name == "dynamic_slice":
        axes, starts = range(len(values) - 1), values[1:]
    elif name == "gather" and values[1] is not None:
        if equation.params["mode"] != jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS:
            return None  # others are asked for, or give NaN, which is seen
        axes = equation.params["dimension_numbers"].start_index_map
        starts = np.moveaxis(np.asarray(values[1]), -1, 0)
    else:
        return None
    for axis, start in zip(axes, starts, strict=True):
        size = equation.invars[0].aval.shape[axis]
        last = size - equation.params["slice_sizes"][axis]
        for index in [] if start is None else np.ravel(start):
            if not 0 <= int(index) <= last:
                return int(index), size
    return None


def inner_programs(params: dict[str, Any]) -> list[ClosedJaxpr | Jaxpr]:
    """The programs inside of an operation."""
    values = [v for p in params.values() for v in (p if isinstance(p, (tuple, list)) else [p])]
    return [v for v in values if isinstance(v, (ClosedJaxpr, Jaxpr))]
