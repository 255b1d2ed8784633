"""What a function does with data alone is done once, ahead of a loop that calls it."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
from jax.extend.core import JaxprEqn, Literal, Var

Out = TypeVar("Out")


def ahead(fn: Callable[[jax.Array], Out], example: jax.Array) -> Callable[[jax.Array], Out]:
    """``fn``, of which all that does not depend on its argument is computed now.

    XLA takes such operations out of a loop on CPUs; its passes for GPUs have none that does.

    Args:
      fn: A function of one array, whose form does not change.
      example: An array of that form; its numbers are not used.
    """
    closed, out = jax.make_jaxpr(fn, return_shape=True)(example)
    known: dict[Var, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    later = []
    for eqn in closed.jaxpr.eqns:
        if not eqn.effects and all(isinstance(atom, Literal) or atom in known for atom in eqn.invars):
            evaluate(eqn, known)
        else:
            later.append(eqn)

    def rest(argument: jax.Array) -> Out:
        values = known | dict(zip(closed.jaxpr.invars, [argument], strict=True))
        for eqn in later:
            evaluate(eqn, values)
        results = [atom.val if isinstance(atom, Literal) else values[atom] for atom in closed.jaxpr.outvars]
        return jax.tree.unflatten(jax.tree.structure(out), results)

    return rest


def evaluate(eqn: JaxprEqn, values: dict[Var, Any]) -> None:
    """Adds the results of an equation to ``values``, which holds its arguments."""
    given = [atom.val if isinstance(atom, Literal) else values[atom] for atom in eqn.invars]
    values.update(zip(eqn.outvars, bind(eqn, given), strict=True))


def bind(eqn: JaxprEqn, values: Sequence[jax.Array]) -> Sequence[jax.Array]:
    """The results of an equation for the values of its arguments."""
    with eqn.ctx.manager:
        result = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return result if eqn.primitive.multiple_results else [result]
