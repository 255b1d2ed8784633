"""One output of a network set against several numbers, or several against one: demands that contradict.

JAX gives no error there.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Literal

VALUE = 79 / 128
"""What stands for each measured number where a residual is traced: by it a program's constants are known.

No equation has it, and every dtype has it exactly.
"""


class Sum(NamedTuple):
    """A sum of numbers that depend on a program's inputs with numbers that do not, each with each.

    Attributes:
      scope: The names under which it was traced.
      outputs: How many different numbers depend on the inputs.
      numbers: How many do not.
      measured: Whether these are made of measured values.
    """

    scope: str
    outputs: int
    numbers: int
    measured: bool

    @property
    def size(self) -> int:
        """How many numbers come of it."""
        return max(self.outputs, self.numbers)


class _Array(NamedTuple):
    """What is known of an array: whether it depends on inputs, on measured values, and is one number."""

    dependent: bool
    measured: bool
    one: bool


_OF_EACH = ("broadcast_in_dim", "convert_element_type", "neg", "reshape", "squeeze", "slice")
_OF_EACH += ("add", "sub", "mul", "div", "copy")
"""Operations by which one number, however often it is repeated, stays one."""
_SUMS = ("add", "sub")
_CALLS = ("jit", "pjit")
"""Operations that are a program of their own, by their names in different versions of JAX."""


def broadcasts(program: ClosedJaxpr) -> list[Sum]:
    """Sums of one number with several: an output with what is known, or outputs with a measured value."""
    found: list[Sum] = []
    _follow(program, [_Array(True, False, _size(atom) == 1) for atom in program.jaxpr.invars], "", found)
    return found


def _follow(program: ClosedJaxpr, given: Sequence[_Array], scope: str, found: list[Sum]) -> list[_Array]:
    """What is known of a program's results; the sums in it are added to ``found``."""
    jaxpr = program.jaxpr
    arrays: dict[Any, _Array] = dict(zip(jaxpr.constvars, map(_constant, program.consts), strict=True))
    arrays |= zip(jaxpr.invars, given, strict=True)
    known = lambda atom: _constant(atom.val) if isinstance(atom, Literal) else arrays[atom]
    for equation in jaxpr.eqns:
        inputs = [known(atom) for atom in equation.invars]
        name, here = equation.primitive.name, f"{scope}/{equation.source_info.name_stack}"
        if name in _SUMS:
            found += _sums(inputs, [_size(atom) for atom in equation.invars], here)
        if name in _CALLS and isinstance(inner := equation.params.get("jaxpr"), ClosedJaxpr):
            arrays |= zip(equation.outvars, _follow(inner, inputs, here, found), strict=True)
            continue
        dependent, measured = (any(array[i] for array in inputs) for i in (0, 1))
        one = name in _OF_EACH and all(array.one for array in inputs)
        arrays |= {atom: _Array(dependent, measured, one or _size(atom) == 1) for atom in equation.outvars}
    return [known(atom) for atom in jaxpr.outvars]


def _sums(pair: Sequence[_Array], sizes: Sequence[int], scope: str) -> Iterator[Sum]:
    for i, j in ((0, 1), (1, 0)):
        if pair[i].dependent and not pair[j].dependent:
            outputs, numbers = (1 if pair[k].one else sizes[k] for k in (i, j))
            if outputs == 1 < numbers or (pair[j].measured and numbers == 1 < outputs):
                yield Sum(scope, outputs, numbers, pair[j].measured)


def _constant(value: Any) -> _Array:
    if isinstance(value, Tracer):  # of a trace around this one: parameters of another network
        return _Array(True, False, np.size(value) == 1)
    readable = getattr(value, "is_fully_addressable", True)
    if not readable or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        return _Array(False, False, np.size(value) == 1)
    array = np.asarray(value)
    measured = array.size > 0 and bool((array == VALUE).all())
    return _Array(False, measured, array.size == 1)


def outer_broadcast(call: Callable[[], Any]) -> str | None:
    """Shapes of two arrays that ``call`` combines each number with each, though nobody wrote a new axis.

    Such as (n,) and (n, 1), whose product is (n, n). Only the first arrays of different ranks are seen.
    """
    try:
        with jax.numpy_rank_promotion("raise"):
            call()
    except ValueError as error:
        call()  # what comes after these arrays may fail
        promoted = re.search(r"on shapes (.*?) and with .*rank_promotion", str(error))
        texts = re.findall(r"\(.*?\)", promoted[1]) if promoted else []
        shapes = [tuple(map(int, re.findall(r"\d+", text))) for text in texts]
        if shapes and math.prod(np.broadcast_shapes(*shapes)) > max(map(math.prod, shapes)):
            return " and ".join(map(str, shapes))
    return None


def _size(atom: Any) -> int:
    return math.prod(atom.aval.shape)
