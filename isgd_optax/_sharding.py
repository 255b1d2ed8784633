"""Meshes of devices: computations whose arrays XLA shards as it sees fit, whatever the mesh asks for."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import jax

Result = TypeVar("Result")


def without_explicit_axes(fn: Callable[..., Result]) -> Callable[..., Result]:
    """``fn`` as a computation in which every axis of the mesh in context is of type ``Auto``.

    With axes of type ``Explicit``, arrays carry their sharding in their types, and an operation whose result
    may be sharded in several ways is an error. Linear algebra on matrices stacked from sharded and replicated
    blocks is full of those; inside ``fn`` XLA decides. Its results are replicated. Without such axes, and
    in a JAX without them, this is ``fn`` itself.

    Args:
      fn: A function of pytrees, to a pytree of arrays. What it closes over keeps its type: arrays on the mesh
        must be arguments, as leaves.

    Raises:
      TypeError: A function that is a leaf closes over arrays on the mesh, or arrays have axes of type
        ``Explicit`` and their mesh is not in context.
    """

    @functools.wraps(fn)
    def wrapped(*args: object) -> Result:
        if not _has_explicit_axes():
            with _explained():
                return fn(*args)
        leaves, structure = jax.tree.flatten(args)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]

        def call(*arrays: jax.Array) -> Result:
            given = dict(zip(places, arrays, strict=True))
            return fn(*jax.tree.unflatten(structure, [given.get(i, leaf) for i, leaf in enumerate(leaves)]))

        replicated = jax.sharding.auto_axes(call, out_sharding=jax.sharding.PartitionSpec())
        with _explained():
            return cast(Result, replicated(*(leaves[i] for i in places)))

    return wrapped


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Says what to do where JAX says that shardings do not go together."""
    try:
        yield
    except Exception as error:  # all others are raised again as they are
        # JAX has no public class for these errors; where a version words them otherwise, they stay its own.
        if "should match the aval mesh" in str(error):
            raise TypeError(
                "a function in value_fn closes over an array on a mesh with Explicit axes. Make the array a "
                "leaf: Residual(jax.tree_util.Partial(fn, array), points) with fn(array, params, point). Or "
                f"make the mesh with axis_types=(jax.sharding.AxisType.Auto,). JAX says: {error}"
            ) from error
        if type(error).__name__ == "ShardingTypeError" and not _has_explicit_axes():
            raise TypeError(
                "arrays lie on a mesh with Explicit axes that is not in context: call all of this within "
                f"`with jax.set_mesh(mesh):`. JAX says: {error}"
            ) from error
        raise


def _has_explicit_axes() -> bool:
    sharding = jax.sharding
    if not all(hasattr(sharding, name) for name in ("AxisType", "auto_axes", "get_abstract_mesh")):
        return False
    return sharding.AxisType.Explicit in sharding.get_abstract_mesh().axis_types
