"""What functions compute, by their programs, whatever they are called and whatever they call."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.errors import UnexpectedTracerError
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
    found: list[Any] = []
    if isinstance(program, ClosedJaxpr):
        check_kept(program)
        found += program.consts
        program = program.jaxpr
    for equation in program.eqns:
        for inner in inner_programs(equation.params):
            found += constants(inner)
    return found


def check_kept(program: ClosedJaxpr) -> None:
    """Raises ValueError for a value in a program that was kept while another one was traced."""
    for constant in program.consts:
        if not isinstance(constant, Tracer):
            continue
        try:
            jnp.copy(constant)
        except UnexpectedTracerError as error:
            place = re.search(r"created on line (.*\))", str(error))
            raise ValueError(
                f"a value{f' computed at {place[1]}' if place else ''} is kept from one call to the next "
                "(functools.cache, a cached_property of another object than the problem, a global), and was "
                "first asked for while a program was traced, so that it is no number. Compute it before, in "
                "__post_init__ or where its module is loaded, or with NumPy, or under "
                "jax.ensure_compile_time_eval()."
            ) from error
