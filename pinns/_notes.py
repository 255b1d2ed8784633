"""What is added to an error that a residual raises."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.errors import (
    ConcretizationTypeError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
)

from pinns.problems import Problem


def is_measured(x: Any) -> bool:
    """Whether a point comes with a value; a region of one's own may name other arrays."""
    return isinstance(x, Mapping) and {"x", "value"} <= set(x)


def where(name: str, x: Any, problem: Problem) -> str:
    """What a residual was given when it failed."""
    if is_measured(x):
        given = "a dictionary, because its region has values: x['x'] is the point and x['value'] its value"
    elif not hasattr(x, "shape"):
        given = f"what its region has for one point, of shapes {jax.tree.map(lambda leaf: leaf.shape, x)}"
    else:
        given = f"one point of shape {x.shape}; the domain has {problem.domain.dim} coordinates"
    return f"In the residual of condition {name!r}. It is given {given}."


def meant(error: Exception, problem: Problem) -> str:
    """What a residual that failed in this way most often lacks."""
    text = str(error)
    if isinstance(error, TracerBoolConversionError):
        return " Choose by jnp.where(condition, a, b) instead of if."
    if isinstance(error, TracerArrayConversionError):
        return " Write it with jax.numpy; what only NumPy or SciPy can do, tabulate: pinns.Interpolated."
    if isinstance(error, TracerIntegerConversionError):
        return " Make an array of JAX of what is indexed: jnp.asarray(table)[i]."
    if isinstance(error, ConcretizationTypeError) and "`float` function" in text:
        return " It is compiled before there are numbers: leave out float(), write jnp.sin for math.sin."
    unknowns = sorted(problem.unknowns())
    asked, name = (getattr(error, part, None) for part in ("obj", "name"))
    if unknowns and isinstance(asked, dict) and asked.keys() == set(unknowns):
        return f" Unknowns are chosen by name: u.unknowns[{name!r}], of {unknowns}."
    if "attribute 'unknowns'" in text:
        return " There are u.unknowns where the problem declares them: def unknowns(self)."
    if isinstance(error, KeyError) and unknowns:
        return f" The problem's unknowns are {unknowns}."
    if "not subscriptable" in text:
        return " u has names, u['a'], where fit is given several networks as a dictionary."
    if "contracting dimension" in text:
        return " Does the network take as many inputs?"
    return ""
