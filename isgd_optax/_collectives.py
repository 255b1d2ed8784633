"""Losses that join devices inside ``value_fn``: right only where JAX keeps account of what devices share."""

from collections.abc import Iterator

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from isgd_optax._sharding import may_differ_along

# They name an axis, and yet no device waits for another in them.
_LOCAL = {"axis_index", "pvary", "pcast", "preduced", "vary_unreduced_cast", "vary_unreduced_cast_p"}


def equations(program: Jaxpr) -> Iterator[JaxprEqn]:
    """The operations of a program and of those that it calls.

    The bodies of functions with a ``custom_vjp`` are left out: their derivatives are not those of the body.
    """
    for equation in program.eqns:
        yield equation
        if equation.primitive.name.startswith("custom_vjp_call"):
            continue
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else [value]:
                body = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
                if isinstance(body, Jaxpr):
                    yield from equations(body)


def check_collectives(loss: ClosedJaxpr, *shared: object) -> None:
    """Raises TypeError where a loss joins devices that JAX does not know to step together.

    By ``jax.pmap``, ``jax.shard_map`` with ``check_vma=False`` and ``jax.vmap`` with an ``axis_name`` the
    derivative of a sum over devices is again a sum over them, and each device gets a gradient that is not
    that of the loss. Devices that differ take different numbers of inner steps, and wait for each other.

    Args:
      loss: The program of L.
      *shared: Pytrees of all that decides about the steps: parameters, gradient and state.
    """
    joined = {}
    for equation in equations(loss.jaxpr):
        name = equation.primitive.name
        joined |= dict.fromkeys([] if name in _LOCAL else _named_axes(equation), name)
    for axis, name in joined.items():
        if not _is_outside(axis) or not may_differ_along(axis, *shared):
            continue
        found = f"value_fn joins devices along the axis {axis!r}, by {name},"
        if may_differ_along(axis):
            raise TypeError(
                f"{found} where JAX does not know what they share: the derivative of a sum over devices "
                "would again be such a sum. Use jax.shard_map with check_vma=True, its default, or "
                "jax.jit on a batch sharded over a mesh, instead of jax.pmap, check_vma=False or "
                "jax.vmap with an axis_name. Of an ensemble, whose members train alone, leave it out, or "
                "compute what depends on data alone before update."
            )
        raise TypeError(
            f"{found} along which its parameters, gradient or state differ: each device takes steps of "
            "its own, and would wait for the others. Either they train together: hand in parameters "
            "and state as what all share, by in_specs=jax.P(). Or each trains alone, without sums over "
            "devices. JAX also sums derivatives by what devices share: make such points their own "
            'before, by jax.lax.pcast(points, axis_name, to="varying").'
        )


def _named_axes(equation: JaxprEqn) -> list[str]:
    """The axes of devices that an operation takes; axes of arrays are whole numbers."""
    axes = equation.params.get("axes", equation.params.get("axis_name", ()))
    return [axis for axis in (axes if isinstance(axes, (tuple, list)) else [axes]) if isinstance(axis, str)]


def _is_outside(axis: str) -> bool:
    """Whether an axis is one that the step lies in, not one of a ``shard_map`` inside the loss."""
    try:
        jax.lax.axis_index(axis)
    except NameError:
        return False
    return True
