"""Rows of J over the devices of a mesh: each device differentiates and multiplies those of its own points."""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp

Points = TypeVar("Points")

_product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


def num_lanes(num_points: int) -> int:
    """The number of equal parts that points are cut into, one for each device of the mesh in context.

    It is 1 where there is no mesh, the devices do not divide the points, or an axis is not ``Auto``.
    """
    mesh = _mesh()
    return 1 if mesh is None or num_points % mesh.size else mesh.size


def rows_of_each(sizes: Sequence[tuple[int, int]]) -> int | None:
    """Rows of J on each device, for numbers of points and of residuals at each; None if none are shared."""
    lanes = [num_lanes(num_points) for num_points, _ in sizes]
    rows = (n * m // parts for (n, m), parts in zip(sizes, lanes, strict=True))
    return sum(rows) if max(lanes) > 1 else None


def each_lane(fn: Callable[[Points], jax.Array], points: Points, lanes: int) -> jax.Array:
    """``fn`` of each device's part of the points, stacked, shape (lanes, ...), sharded along the first axis.

    Args:
      fn: A function of a pytree of arrays with a leading axis of points, to an array.
      points: A pytree of arrays that share their leading axis.
      lanes: The number of parts, from :func:`num_lanes`.
    """
    if lanes == 1:
        return fn(points)[None]
    parts = jax.tree.map(lambda x: _spread(x.reshape(lanes, -1, *x.shape[1:])), points)
    return _spread(jax.vmap(fn)(parts))


def gram(blocks: Sequence[jax.Array]) -> jax.Array:
    """K = JJᵀ of stacked blocks of rows, symmetric up to rounding; no device holds another's rows but one's.

    Args:
      blocks: Rows of J, each of shape (lanes, n, P); of one lane are those that every device holds.

    Returns:
      Shape (N, N) for N rows in all, its rows sharded as those of J.
    """
    products: list[list[jax.Array]] = []
    for i, a in enumerate(blocks):
        row = [products[j][i].T for j in range(i)]
        products.append([*row, *(_cross(a, b) for b in blocks[i:])])
    return jnp.block(products)


def _cross(a: jax.Array, b: jax.Array) -> jax.Array:
    """A Bᵀ, shape (rows of a, rows of b)."""
    shape = a.shape[0] * a.shape[1], b.shape[0] * b.shape[1]
    if b.shape[0] == 1:
        return _product("lip,jp->lij", a, b[0]).reshape(shape)
    if a.shape[0] == 1:
        return _cross(b, a).T
    lanes = a.shape[0]

    def advance(visitors: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        """The rows of b go round: after s turns lane l has those of lane l + s."""
        return _spread(jnp.roll(visitors, -1, axis=0)), _spread(_product("lip,ljp->lij", a, visitors))

    products = jax.lax.scan(advance, b, length=lanes)[1]  # (turns, lanes, rows of a, rows of b)
    lane = jnp.arange(lanes)
    turns = (lane[None, :] - lane[:, None]) % lanes  # of lane l until the rows of lane m are there
    ordered = jax.vmap(lambda mine, turn: mine[turn], in_axes=(1, 0))(products, turns)
    return _spread(ordered.transpose(0, 2, 1, 3)).reshape(shape)


def _spread(x: jax.Array) -> jax.Array:
    """``x`` with its leading axis over all devices of the mesh."""
    mesh = _mesh()
    if mesh is None:
        return x
    return jax.lax.with_sharding_constraint(x, jax.sharding.PartitionSpec(tuple(mesh.axis_names)))


def _mesh() -> jax.sharding.AbstractMesh | None:
    """The mesh in context if it has several devices, on which XLA shards; else None."""
    get = getattr(jax.sharding, "get_abstract_mesh", None)
    mesh = None if get is None else get()
    if mesh is None or mesh.empty or mesh.size == 1:
        return None
    auto = jax.sharding.AxisType.Auto
    return mesh if all(kind == auto for kind in mesh.axis_types) else None
