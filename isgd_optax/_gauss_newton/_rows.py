"""Rows of the Jacobian of one block of residuals, and sums over them, block of points by block of points."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax

from isgd_optax._gauss_newton._factors import LeafFactors, Product, ResidualFn, block_factors
from isgd_optax._sharding import varying_as
from isgd_optax._tree import ArrayTree

Tree = TypeVar("Tree")

_COLUMN_TILES = 6  # JᵀJ needs 7/12 of the work of a whole product
_MIN_COLUMNS = 128  # narrower tiles cost more than the work that they save


class PointBlock(NamedTuple):
    """The same residuals at many points, and how their rows of J are wanted.

    Attributes:
      fn: ``fn(params, point)``, the residuals at one point.
      params: A pytree of arrays.
      points: A pytree of arrays that share their leading axis N.
      basis: As for :func:`block_factors`.
      scale: Factor of each point's residuals, shape () or (N,).
      dtype: The dtype of the rows.
    """

    fn: ResidualFn
    params: optax.Params
    points: ArrayTree
    basis: jax.Array | None
    scale: jax.Array
    dtype: jnp.dtype

    @property
    def num_points(self) -> int:
        """The number N of points."""
        return jax.tree.leaves(self.points)[0].shape[0]


def rows(factors: Sequence[LeafFactors], scale: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """The rows of J of one block of residuals from their factors.

    Args:
      factors: The block's factors by leaf.
      scale: Factor of each point's residuals, shape () or (N,).
      dtype: The dtype of the result.

    Returns:
      Shape (N M, P), columns in the order of ``jax.flatten_util.ravel_pytree``.
    """
    shape = next(f.shape for f in factors if f.used)
    joined = jnp.concatenate([leaf_rows(f, shape, dtype) for f in factors], axis=2)
    joined *= point_weights(scale, dtype)
    return joined.reshape(-1, joined.shape[2])


def leaf_rows(factors: LeafFactors, shape: tuple[int, int], dtype: jnp.dtype) -> jax.Array:
    """The derivative by one parameter array, shape (N, M, size), for ``shape`` (N, M)."""
    total = None if factors.rows is None else factors.rows.astype(dtype)
    for p in factors.products:
        part = Product(p.inputs.astype(dtype), p.cotangents.astype(dtype), p.input_axis).rows()
        total = part if total is None else total + part
    return jnp.zeros((*shape, factors.size), dtype) if total is None else total


def along_points(scale: jax.Array, residuals: jax.Array) -> jax.Array:
    """``scale`` of shape () or (N,), shaped to multiply ``residuals`` of shape (N, ...)."""
    return scale.reshape(scale.shape + (1,) * (residuals.ndim - 1)) if scale.ndim else scale


def point_weights(scale: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """A scale of shape () or (N,) as one of shape (1 or N, 1, 1)."""
    return jnp.asarray(scale, dtype).reshape(-1, 1, 1)


def block_rows(block: PointBlock, block_size: int) -> jax.Array:
    """The rows of J of one block of residuals, of at most ``block_size`` points at once.

    Args:
      block: The residuals and their points.
      block_size: The number of points whose factors are held at once.

    Returns:
      Shape (N M, P), columns in the order of ``jax.flatten_util.ravel_pytree``.
    """
    part, starts, size = _blocks(block, block_size)
    if len(starts) == 1:
        return part(starts[0])[0]
    shape = jax.eval_shape(part, starts[0])[0].shape
    num_rows = shape[0] // size

    def write(jacobian: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
        return jax.lax.dynamic_update_slice_in_dim(jacobian, part(start)[0], num_rows * start, axis=0), None

    empty = jnp.zeros((block.num_points * num_rows, shape[1]), block.dtype)
    return jax.lax.scan(write, varying_as(empty, block), starts)[0]


def normal(block: PointBlock, block_size: int) -> jax.Array:
    """JᵀJ of one block of residuals, shape (P, P), exactly symmetric.

    It is summed over blocks of points, so that J is never whole, and only tiles on and above the diagonal
    are computed.
    """
    part, starts, _ = _blocks(block, block_size)
    num_params = sum(math.prod(jnp.shape(leaf)) for leaf in jax.tree.leaves(block.params))
    width = -(-num_params // max(1, min(_COLUMN_TILES, num_params // _MIN_COLUMNS)))
    starts_of_columns = range(0, num_params, width)

    def add(sums: list[list[jax.Array]], start: jax.Array) -> tuple[list[list[jax.Array]], None]:
        jacobian, fresh = part(start)
        transposed = (jacobian * fresh[:, None]).T  # tiles of rows are not copied once more to be multiplied
        columns = [transposed[k : k + width] for k in starts_of_columns]
        return [
            [total + matmul(columns[i], columns[j]) for j, total in enumerate(row, start=i)]
            for i, row in enumerate(sums)
        ], None

    widths = [min(width, num_params - k) for k in starts_of_columns]
    sums = [[jnp.zeros((a, b), block.dtype) for b in widths[i:]] for i, a in enumerate(widths)]
    sums = (
        add(sums, starts[0])[0] if len(starts) == 1 else jax.lax.scan(add, varying_as(sums, block), starts)[0]
    )
    return from_tiles(sums)


def matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """A Bᵀ."""
    return jax.lax.dot_general(a, b, (((1,), (1,)), ((), ())), precision=jax.lax.Precision.HIGHEST)


def squared_columns(block: PointBlock, block_size: int) -> jax.Array:
    """The diagonal of JᵀJ of one block of residuals, shape (P,)."""
    part, starts, _ = _blocks(block, block_size)

    def add(total: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
        jacobian, fresh = part(start)
        return total + jnp.sum(jnp.square(jacobian) * fresh[:, None], axis=0), None

    num_params = jax.eval_shape(part, starts[0])[0].shape[1]
    total = varying_as(jnp.zeros(num_params, block.dtype), block)
    return jax.lax.scan(add, total, starts)[0]


def gathered(tree: Tree) -> Tree:
    """Arrays whole on every device where their axes are sharded by hand (``AxisType.Explicit``).

    A slice of such an axis is refused unless its size is a multiple of the number of devices. Where the
    compiler distributes the work (``AxisType.Auto``) nothing changes.
    """

    def gather(x: jax.Array) -> jax.Array:
        spec = jax.typeof(x).sharding.spec
        return (
            x if all(axis is None for axis in spec) else jax.sharding.reshard(x, jax.sharding.PartitionSpec())
        )

    return jax.tree.map(gather, tree)


def from_tiles(above: Sequence[Sequence[jax.Array]]) -> jax.Array:
    """The symmetric matrix of which ``above`` has the tiles on and after the diagonal, by rows of tiles."""
    # Each product once: a GPU's compiler makes that of a tile and that of its transpose by different kernels.
    above = jax.lax.optimization_barrier([list(row) for row in above])
    mirrored = lambda tile: jnp.triu(tile) + jnp.triu(tile, 1).T
    tiles: list[list[jax.Array]] = []
    for i, (diagonal, *rest) in enumerate(above):
        tiles.append([*(above[j][i - j].T for j in range(i)), mirrored(diagonal), *rest])
    return jnp.block(tiles)


def _blocks(
    block: PointBlock, block_size: int
) -> tuple[Callable[[jax.Array], tuple[jax.Array, jax.Array]], jax.Array, int]:
    """Blocks of points, all of one size: the last may begin before the one in front of it ends.

    Returns:
      ``part(start)``: the block's rows, and 1 for each row that no block before has, else 0; the first
      point of each block; and their size.
    """
    num_points, dtype = block.num_points, block.dtype
    count = -(-num_points // max(1, min(block_size, num_points)))
    size = -(-num_points // count)
    count = -(-num_points // size)
    scale = jnp.broadcast_to(jnp.asarray(block.scale, dtype), (num_points,))
    whole = gathered((block.points, block.basis, scale))
    cut = lambda tree, start: jax.tree.map(
        lambda x: jax.lax.dynamic_slice_in_dim(x, start, size) if count > 1 else x, tree
    )

    def part(start: jax.Array) -> tuple[jax.Array, jax.Array]:
        points, basis, scale = cut(whole, start)
        factors = block_factors(block.fn, block.params, points, basis)
        jacobian = rows(factors, scale, dtype)
        # Blocks are evenly spaced but for the last, whose first points are those of the one before.
        begins = jnp.where(start == num_points - size, (count - 1) * size, start)
        fresh = start + jnp.arange(size) >= begins
        return jacobian, jnp.repeat(fresh.astype(dtype), jacobian.shape[0] // size)

    return part, jnp.minimum(jnp.arange(count) * size, num_points - size), size
