"""Meshes of devices: computations whose arrays XLA shards as it sees fit, whatever the mesh asks for."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

Result = TypeVar("Result")
Tree = TypeVar("Tree")


def without_explicit_axes(fn: Callable[..., Result], like: object = None) -> Callable[..., Result]:
    """``fn`` as a computation in which every axis of the mesh in context is of type ``Auto``.

    With axes of type ``Explicit``, arrays carry their sharding in their types, and an operation whose result
    may be sharded in several ways is an error. Linear algebra on matrices stacked from sharded and replicated
    blocks is full of those; inside ``fn`` XLA decides. Without such axes, and in a JAX without them, this
    is ``fn`` itself.

    Args:
      fn: A function of pytrees, to a pytree of arrays. What it closes over keeps its type: arrays on the mesh
        must be arguments, as leaves.
      like: A pytree of arrays that the results are sharded as; None for replicated ones.

    Raises:
      TypeError: A function that is a leaf closes over arrays on the mesh, or arrays have axes of type
        ``Explicit`` and their mesh is not in context.
    """

    @functools.wraps(fn)
    def wrapped(*args: object) -> Result:
        if not _has_axes("Explicit"):
            with _explained():
                return fn(*args)
        leaves, structure = jax.tree.flatten(args)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]

        def call(*arrays: jax.Array) -> Result:
            given = dict(zip(places, arrays, strict=True))
            return fn(*jax.tree.unflatten(structure, [given.get(i, leaf) for i, leaf in enumerate(leaves)]))

        specs = jax.sharding.PartitionSpec()
        if like is not None:
            specs = jax.tree.map(lambda x: jax.typeof(x).sharding.spec, like)
        sharded = jax.sharding.auto_axes(call, out_sharding=specs)
        with _explained():
            return cast(Result, sharded(*(leaves[i] for i in places)))

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
        apart = type(error).__name__ == "ShardingTypeError" or "is not found in mesh: ()" in str(error)
        if apart and not _has_axes("Explicit"):
            raise TypeError(
                "arrays lie on a mesh with Explicit axes that is not in context: call all of this within "
                f"`with jax.set_mesh(mesh):`. JAX says: {error}"
            ) from error
        raise


def varying_as(tree: Tree, *like: object) -> Tree:
    """``tree`` as values that may differ between devices as arrays of ``like`` do; outside shard_map, itself.

    Inside ``jax.shard_map`` what a loop carries must be of one such type, before its body and after.
    """
    if not _has_axes("Manual"):
        return tree
    # Without the names of those axes, which JAX's versions keep in different places.
    no = jnp.zeros((), bool)
    for leaf in jax.tree.leaves(like):
        if isinstance(leaf, jax.Array) and leaf.size:
            is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            no &= (jax.random.key_data(leaf) if is_key else leaf).ravel()[0] != 0

    def vary(x: ArrayLike) -> jax.Array:
        x = jnp.asarray(x)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(vary(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        return x ^ no if x.dtype == bool else x + no.astype(x.dtype)

    return jax.tree.map(vary, tree)


def check_varies_as(grad: object, loss: Callable[[], object]) -> None:
    """Raises TypeError where, inside shard_map, devices have a loss each and share a gradient."""
    if not _has_axes("Manual") or _of_one_type((grad,), lambda: (grad, loss())):
        return
    raise TypeError(
        "inside shard_map the loss differs between devices and its gradient does not: by parameters that "
        "devices share, jax.grad is the sum over all of them. Either the devices train together: reduce "
        "the loss in value_fn, e.g. by jax.lax.pmean. Or each trains alone: make the parameters its own "
        'before, by jax.lax.pcast(params, axis_name, to="varying").'
    )


def may_differ_along(axis: str, *like: object) -> bool:
    """Whether arrays of ``like`` may differ between devices along an axis that is around this computation.

    Only inside ``jax.shard_map`` with ``check_vma=True`` JAX knows that some do not.
    """
    if not _has_axes("Manual") or axis not in jax.sharding.get_abstract_mesh().manual_axes:
        return True
    return _of_one_type(like, lambda: (*like, jax.lax.axis_index(axis)))


def _of_one_type(some: tuple[object, ...], others: Callable[[], tuple[object, ...]]) -> bool:
    """Whether arrays differ between the same devices as others do, as far as their types say."""
    no = jnp.zeros((), bool)
    try:
        jax.eval_shape(
            lambda: jax.lax.cond(no, lambda: varying_as(no, *some), lambda: varying_as(no, *others()))
        )
    except TypeError:
        return False
    return True


def _has_axes(kind: str) -> bool:
    """Whether the mesh in context has an axis of this type."""
    sharding = jax.sharding
    if not all(hasattr(sharding, name) for name in ("AxisType", "auto_axes", "get_abstract_mesh")):
        return False
    return sharding.AxisType[kind] in sharding.get_abstract_mesh().axis_types
