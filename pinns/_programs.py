"""Compiled programs that are kept: what differs only in arrays is compiled once in a process."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pinns._placement import put
from pinns._traces import check_kept

_KEPT = 32  # programs of a process, the last used ones
_programs: OrderedDict[str, Any] = OrderedDict()


class Program:
    """A function compiled once for each form of its arguments.

    The arrays that the function closes over (data, edges of the domain, the network of the slab before)
    become arguments of the program. Two functions that differ in nothing else, such as those of a second
    training on the same problem or of the next slab, so share one compiled program.

    Args:
      fn: A function of pytrees of arrays.
      donate: Whether the arguments' memory may be used for the results.
    """

    def __init__(self, fn: Callable[..., Any], *, donate: bool = False):
        self._fn, self._donate = fn, donate
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """The function of ``args``; inside of a transformation of JAX a part of its program."""
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(args)):
            return self._fn(*args)
        args = jax.tree.map(lambda leaf: leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf), args)
        return self.compiled(*args)(*args)

    def compiled(self, *args: Any) -> Callable[..., Any]:
        """The program for arguments of the form of ``args``."""
        leaves, structure = jax.tree.flatten(args)
        form = (structure, tuple((jax.typeof(leaf), leaf.sharding) for leaf in leaves))
        if form not in self._compiled:
            self._compiled[form] = self._compile(args, leaves)
        return self._compiled[form]

    def _compile(self, args: Any, leaves: list[jax.Array]) -> Callable[..., Any]:
        traced = jax.jit(self._fn).trace(*args)
        closed = traced.jaxpr
        if len(closed.jaxpr.invars) > len(leaves):
            check_kept(jax.make_jaxpr(lambda *args: self._fn(*args))(*args))
        results = jax.tree.structure(traced.out_info)
        constants = _beside(leaves, [jnp.asarray(constant) for constant in closed.consts])

        def program(constants: list[Any], leaves: list[Any]) -> list[Any]:
            return jaxpr_as_fun(ClosedJaxpr(closed.jaxpr, constants))(*leaves)

        lowered = jax.jit(program, donate_argnums=1 if self._donate else ()).lower(constants, leaves)
        compiled = _kept(lowered, [leaf.sharding for leaf in (*constants, *leaves)])
        return lambda *args: jax.tree.unflatten(results, compiled(constants, jax.tree.leaves(args)))


def _beside(leaves: list[jax.Array], constants: list[jax.Array]) -> list[jax.Array]:
    """The constants on all devices of the mesh on which the arguments lie, if they lie on one."""
    meshes = [leaf.sharding.mesh for leaf in leaves if isinstance(leaf.sharding, NamedSharding)]
    if not meshes:
        return constants
    return [put(constant, NamedSharding(meshes[0], PartitionSpec())) for constant in constants]


def _place(sharding: Any) -> tuple[str, list[int]]:
    """Where an array lies; the names and sizes of a mesh, which its text gives, do not tell its devices."""
    devices = list(sharding.device_set)
    if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, Mesh):
        devices = list(sharding.mesh.devices.flat)  # in their order
    return repr(sharding), [device.id for device in devices]


def _kept(lowered: jax.stages.Lowered, places: list[Any]) -> Any:
    """The compiled program, an equal one of before where there is one."""
    text = lowered.as_text()
    if "callback" in text:  # it holds a Python function of this call
        return lowered.compile()
    settings = sorted((name, repr(value)) for name, value in jax.config.values.items())
    name = hashlib.sha256(
        "\n".join([text, repr([_place(place) for place in places]), repr(settings)]).encode()
    ).hexdigest()
    if name not in _programs:
        _programs[name] = lowered.compile()
        if len(_programs) > _KEPT:
            _programs.popitem(last=False)
    _programs.move_to_end(name)
    return _programs[name]
