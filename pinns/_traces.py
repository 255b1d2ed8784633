"""What functions compute, by their programs, whatever they are called and whatever they call."""

import re
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

from pinns._bounds import inner_programs
from pinns._identity import digest


def trace_digest(fn: Callable[..., Any], *args: Any) -> str:
    """What tells the program that a function has now: traced anew, not JAX's kept trace of an equal one."""
    trace = jax.make_jaxpr(lambda *args: fn(*args))(*args)
    return digest([program_text(trace), constants(trace)])


def program_text(closed: ClosedJaxpr) -> str:
    """What a program says, the same wherever its functions lie in memory."""
    # JAX colours what it prints in a terminal and in a notebook, where the run may have begun or go on.
    return re.sub(r" at 0x[0-9a-f]+", "", closed.jaxpr.pretty_print(use_color=False))


def constants(program: ClosedJaxpr | Jaxpr) -> list[Any]:
    """The arrays in a program and in those inside of it, which are not printed with it."""
    closed = isinstance(program, ClosedJaxpr)
    found = list(program.consts) if closed else []
    for equation in (program.jaxpr if closed else program).eqns:
        for inner in inner_programs(equation.params):
            found += constants(inner)
    return found
