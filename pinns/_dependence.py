"""What in a program depends on some of its arguments, read from its jaxpr."""

from collections.abc import Sequence
from typing import Any

from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from pinns._bounds import inner_programs

_MARK = "pinns asks "
Found = set[tuple[str, bool]]


def marked(x: Any, name: str) -> Any:
    """``x`` itself, under a name by which :func:`dependences` finds it; also inside of derivatives."""
    return checkpoint_name(x, _MARK + name)


def dependences(closed: ClosedJaxpr, moved: Sequence[bool]) -> Found:
    """The names of what is marked in a program, each with whether it depends on the arguments in question.

    Args:
      closed: The program.
      moved: Which of its arguments are in question.
    """
    found: Found = set()
    _follow(closed.jaxpr, moved, found)
    return found


def _follow(jaxpr: Jaxpr, moved: Sequence[bool], found: Found) -> list[bool]:
    """Which results of a program depend on its ``moved`` arguments."""
    depend = {var for var, is_moved in zip(jaxpr.invars, moved, strict=True) if is_moved}
    depends = lambda atom: not isinstance(atom, Literal) and atom in depend
    for equation in jaxpr.eqns:
        given = [depends(atom) for atom in equation.invars]
        name = equation.params.get("name")
        if equation.primitive.name == "name" and str(name).startswith(_MARK):
            found.add((str(name).removeprefix(_MARK), given[0]))
        results = _inside(equation, given, found)
        depend |= {var for var, is_moved in zip(equation.outvars, results, strict=True) if is_moved}
    return [depends(atom) for atom in jaxpr.outvars]


def _inside(equation: Any, given: list[bool], found: Found) -> list[bool]:
    """Which results of an operation depend, through the programs inside of it if there are any."""
    kind, params = equation.primitive.name, equation.params
    everywhere = [any(given)] * len(equation.outvars)
    if kind == "scan":
        body = params["jaxpr"].jaxpr
        # What is scanned over has an axis more outside; the parameters that tell it are not those of all JAX.
        carry = _num_alike(equation.outvars, body.outvars)
        consts = _num_alike(equation.invars, body.invars) - carry
        return _loop(params["jaxpr"], given, consts, carry, found)
    if kind == "while":
        of_condition, of_body = params["cond_nconsts"], params["body_nconsts"]
        carried = _loop(params["body_jaxpr"], given[of_condition:], of_body, len(everywhere), found)
        ends = _follow(params["cond_jaxpr"].jaxpr, [*given[:of_condition], *carried], found)
        return [True] * len(carried) if any(ends) else carried
    if kind == "cond":
        branches = [_follow(branch.jaxpr, given[1:], found) for branch in params["branches"]]
        return [given[0] or any(of_each) for of_each in zip(*branches, strict=True)]
    results = everywhere
    for inner in inner_programs(params):
        program = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
        known = len(program.invars) == len(given)
        of_inner = _follow(program, given if known else [any(given)] * len(program.invars), found)
        results = of_inner if known and len(of_inner) == len(everywhere) else everywhere
    return results


def _num_alike(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    return sum(a.aval.ndim == b.aval.ndim for a, b in zip(outside, inside, strict=True))


def _loop(body: ClosedJaxpr, given: list[bool], consts: int, carry: int, found: Found) -> list[bool]:
    """The results of a loop: what depends after one round does so in the next."""
    while True:
        last: Found = set()
        results = _follow(body.jaxpr, given, last)
        after = [one or other for one, other in zip(given[consts : consts + carry], results, strict=False)]
        if after == given[consts : consts + carry]:
            found |= last
            return results
        given = [*given[:consts], *after, *given[consts + carry :]]
