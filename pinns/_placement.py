"""Where a training's arrays lie: on one device, or the points over a mesh of devices and processes."""

import contextlib
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

Tree = TypeVar("Tree")


class Placement:
    """Points along the devices of a mesh, everything else on all of them; without a mesh, nothing.

    Args:
      mesh: The mesh, or None. Its axes are taken as ``Auto`` axes, all of them for the points.
    """

    def __init__(self, mesh: Mesh | None):
        if mesh is not None:
            mesh = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))
        self.mesh = mesh

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Within it the solvers of a step see the mesh."""
        return contextlib.nullcontext() if self.mesh is None else jax.set_mesh(self.mesh)

    def points(self, points: Tree) -> Tree:
        """The points, those that the devices divide spread over them; inside and outside of ``jit``."""
        return self._placed(points, lambda x: x.ndim > 0 and x.shape[0] % self._size == 0)

    def whole(self, tree: Tree) -> Tree:
        """Arrays of which every device has all; inside and outside of ``jit``."""
        return self._placed(tree, lambda _: False)

    @property
    def leads(self) -> bool:
        """Whether this process looks after files and the progress bar: the first of those of the mesh."""
        return self.mesh is None or jax.process_index() == 0

    def agreed(self, value: Any) -> Any:
        """A number of the first process: what a clock or a signal says must decide the same in all."""
        if self.mesh is None or jax.process_count() == 1:
            return value
        return type(value)(multihost_utils.broadcast_one_to_all(np.asarray(value)))

    def any(self, value: bool) -> bool:
        """Whether it is true in a process: what reaches only some, a signal, an answer, ends all of them."""
        if self.mesh is None or jax.process_count() == 1:
            return value
        return bool(np.any(multihost_utils.process_allgather(np.asarray(value))))

    @property
    def _size(self) -> int:
        return 1 if self.mesh is None else self.mesh.size

    def _placed(self, tree: Tree, is_divided: Any) -> Tree:
        mesh = self.mesh
        if mesh is None:
            return tree

        def place(x: jax.Array) -> jax.Array:
            spec = PartitionSpec(mesh.axis_names) if is_divided(x) else PartitionSpec()
            sharding = NamedSharding(mesh, spec)
            if isinstance(x, Tracer):
                return jax.lax.with_sharding_constraint(x, sharding)
            return put(x, sharding)

        return jax.tree.map(place, tree)


def put(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    """The array on the devices of a mesh, those of other processes too, which hold the same array."""
    if sharding.is_fully_addressable:
        return jax.device_put(x, sharding)
    if not x.is_fully_addressable:
        return jax.jit(lambda x: x, out_shardings=sharding)(x)
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = put(jax.random.key_data(x), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    return jax.make_array_from_callback(x.shape, sharding, np.asarray(x).__getitem__)


@jax.jit
def copied(tree: Tree) -> Tree:
    """The arrays of a tree in memory of their own; compiled as one, not shape by shape."""
    return jax.tree.map(jnp.copy, tree)


def on_one_device(tree: Tree) -> Tree:
    """The arrays of a tree, those that lie on several devices on the first of them alone."""
    device = lambda x: min(x.sharding.device_set, key=lambda d: d.id)
    return jax.tree.map(lambda x: jax.device_put(x, device(x)) if len(x.sharding.device_set) > 1 else x, tree)


ONE_DEVICE = Placement(None)
