"""One output of a network set against several numbers: demands that contradict, without an error."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, Literal


def broadcasts(jaxpr: Jaxpr) -> Iterator[tuple[str, int]]:
    """Sums of one number that depends on the program's inputs with several that do not.

    Yields:
      The names under which it was traced, and how many numbers there are.
    """
    dependent: set[Any] = set(jaxpr.invars)
    spread: set[Any] = set()  # one dependent number, repeated
    alike: set[Any] = set()  # several equal numbers
    for equation in jaxpr.eqns:
        given = [atom for atom in equation.invars if not isinstance(atom, Literal)]
        name, out = equation.primitive.name, equation.outvars[0] if equation.outvars else None
        if name == "broadcast_in_dim" and (not given or _size(given[0]) == 1):
            (spread if given and given[0] in dependent else alike).add(out)
        if name in ("add", "sub") and len(given) == 2:
            for one, other in (given, given[::-1]):
                is_one = one in dependent and (_size(one) == 1 or one in spread)
                if is_one and other not in dependent and other not in alike and _size(other) > 1:
                    yield str(equation.source_info.name_stack), _size(other)
        if any(atom in dependent for atom in given):
            dependent.update(equation.outvars)


def outer_broadcast(call: Callable[[], Any]) -> str | None:
    """Shapes of two arrays that ``call`` combines each number with each, though nobody wrote a new axis.

    Such as (n,) and (n, 1), whose product is (n, n). Only the first arrays of different ranks are seen.
    """
    try:
        with jax.numpy_rank_promotion("raise"):
            call()
    except ValueError as error:
        promoted = re.search(r"on shapes (.*?) and with .*rank_promotion", str(error))
        texts = re.findall(r"\(.*?\)", promoted[1]) if promoted else []
        shapes = [tuple(map(int, re.findall(r"\d+", text))) for text in texts]
        if shapes and math.prod(np.broadcast_shapes(*shapes)) > max(map(math.prod, shapes)):
            return " and ".join(map(str, shapes))
    return None


def _size(atom: Any) -> int:
    return math.prod(atom.aval.shape)
