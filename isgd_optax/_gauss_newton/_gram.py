"""The Gram matrix K = JJᵀ of residuals from factors of their derivatives, without J where that is cheaper."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isgd_optax._gauss_newton._factors import LeafFactors, Product
from isgd_optax._gauss_newton._rows import (
    along_points,
    block_rows,
    leaf_rows,
    mirrored,
    normal,
    rows,
    squared_columns,
)

__all__ = ["Costs", "block_rows", "costs", "gram", "normal", "rows", "squared_columns", "symmetric_product"]

# What each element of the two S×S tables of products costs, which are multiplied and summed up, in operations
# of a matrix product: fitted to timings, by the platform.
_ELEMENTWISE_COST = {"cpu": 40}
_TILES = 6
_MIN_TILE = 64
_STREAM_TILE = 512


class Streams(NamedTuple):
    """The derivative by one matrix, at each residual the sum of S products: arrays (S, R, in or out)."""

    left: jax.Array
    right: jax.Array


class Costs(NamedTuple):
    """What forming K takes.

    Attributes:
      num_factors: Numbers held in all factors.
      largest_layer: Columns of J that are formed on the way to K.
      flops: Operations.
    """

    num_factors: int
    largest_layer: int
    flops: float


def gram(
    blocks: Sequence[Sequence[LeafFactors]],
    scales: Sequence[jax.Array],
    dtype: jnp.dtype,
    inverse_metric: Sequence[jax.Array | None] | None = None,
) -> jax.Array:
    """K = J D⁻¹ Jᵀ of stacked blocks of residuals.

    A matrix parameter's part is formed from its factors or from its rows of J, whichever takes less work.

    Args:
      blocks: Each block's factors by leaf of the parameters.
      scales: Factor of each block's residuals in the stacked vector, of shape () or (N,), by points.
      dtype: The dtype of the computation.
      inverse_metric: D⁻¹ by leaf, None for the identity: None, a number, or an array of the leaf's shape,
        which needs rows of J for that leaf.

    Returns:
      Shape (ΣNM, ΣNM), exactly symmetric.
    """
    metric = [
        None if d is None else jnp.sqrt(jnp.asarray(d, dtype))
        for d in inverse_metric or [None] * len(blocks[0])
    ]
    by_rows = [
        _forms_rows([block[k] for block in blocks]) or (d is not None and d.ndim > 0 and d.size > 1)
        for k, d in enumerate(metric)
    ]
    stacked_rows, stacked_streams = [], []
    for block, scale in zip(blocks, scales, strict=True):
        weight = along_points(scale, dtype)
        parts, streams = [], {}
        n, m = next(f.shape for f in block if f.used)
        for k, (factors, d) in enumerate(zip(block, metric, strict=True)):
            if by_rows[k] and any(other[k].used for other in blocks):
                part = (
                    leaf_rows(factors, dtype) * weight
                    if factors.used
                    else jnp.zeros((n, m, factors.size), dtype)
                )
                part = part if d is None else part * d.reshape(1, 1, -1)
                parts.append(part.reshape(n * m, factors.size))
            elif factors.products:
                streams[k] = _streams(
                    factors.products, weight if d is None else weight * d.reshape(1, 1, 1), dtype
                )
        stacked_rows.append(jnp.concatenate(parts, axis=1) if parts else None)
        stacked_streams.append(streams)
    num_rows = [n * m for n, m in (next(f.shape for f in block if f.used) for block in blocks)]
    if all(part is not None for part in stacked_rows):
        total = symmetric_product([part for part in stacked_rows if part is not None])
    else:
        total = jnp.zeros((sum(num_rows), sum(num_rows)), dtype)
    starts = [0, *itertools.accumulate(num_rows)]
    for i, j in itertools.combinations_with_replacement(range(len(blocks)), 2):
        shared = stacked_streams[i].keys() & stacked_streams[j].keys()
        pairs = [(stacked_streams[i][k], stacked_streams[j][k]) for k in sorted(shared)]
        if pairs:
            total = _add_products(total, pairs, starts[i], starts[j])
    return total


def symmetric_product(jacobian: jax.Array | Sequence[jax.Array]) -> jax.Array:
    """JJᵀ, exactly symmetric, from tiles on and above the diagonal.

    Args:
      jacobian: J, shape (N, P), or its blocks of rows.
    """
    blocks = [jacobian] if isinstance(jacobian, jax.Array) else list(jacobian)
    size = max(_MIN_TILE, -(-sum(block.shape[0] for block in blocks) // _TILES))
    tiles = []
    for block in blocks:
        step = -(-block.shape[0] // -(-block.shape[0] // size))
        tiles += [block[start : start + step] for start in range(0, block.shape[0], step)]
    products: list[list[jax.Array]] = []
    for i, tile in enumerate(tiles):
        whole = _matmul(tile, tile)
        row = [products[j][i].T for j in range(i)]
        products.append([*row, mirrored(whole), *(_matmul(tile, other) for other in tiles[i + 1 :])])
    return jnp.block(products)


def costs(blocks: Sequence[Sequence[LeafFactors]]) -> Costs:
    """What :func:`gram` takes; of the factors only the shapes matter."""
    num_rows = sum(n * m for n, m in (next(f.shape for f in block if f.used) for block in blocks))
    num_factors = sum(leaf.size for leaf in jax.tree.leaves(list(blocks)))
    columns, flops = 0, 0.0
    for leaves in zip(*blocks, strict=True):
        if _forms_rows(leaves):
            columns += leaves[0].size
            flops += num_rows**2 * leaves[0].size
        else:
            flops += _factor_cost(leaves)
    return Costs(num_factors, columns, flops)


def _num_streams(leaf: LeafFactors) -> int:
    return sum(p.inputs.shape[1] for p in leaf.products)


def _factor_cost(leaves: Sequence[LeafFactors]) -> float:
    """Operations that products of one leaf's factors take, in all blocks."""
    used = [leaf for leaf in leaves if leaf.products]
    width = used[0].products[0].inputs.shape[2] + used[0].products[0].cotangents.shape[3]
    streams = sum(leaf.shape[0] * leaf.shape[1] * _num_streams(leaf) for leaf in used)
    return float(streams) ** 2 * (width + _elementwise_cost())


def _forms_rows(leaves: Sequence[LeafFactors]) -> bool:
    """Whether a leaf's rows of J are cheaper to multiply than products of its factors are to sum."""
    if any(leaf.rows is not None for leaf in leaves) or not any(leaf.products for leaf in leaves):
        return True
    num_rows = sum(leaf.shape[0] * leaf.shape[1] for leaf in leaves if leaf.used)
    return _factor_cost(leaves) >= float(num_rows) ** 2 * leaves[0].size


def _elementwise_cost() -> float:
    return _ELEMENTWISE_COST.get(jax.default_backend(), _ELEMENTWISE_COST["cpu"])


def _streams(products: Sequence[Product], weight: jax.Array, dtype: jnp.dtype) -> Streams:
    """The derivative by one matrix, one row for each residual."""
    lefts, rights = [], []
    for p in products:
        n, m, s, _ = p.cotangents.shape
        inputs = jnp.repeat(p.inputs.astype(dtype), m, axis=0).swapaxes(0, 1)
        g = (p.cotangents.astype(dtype) * weight[..., None]).reshape(n * m, s, -1).swapaxes(0, 1)
        lefts.append(inputs if p.input_axis == 0 else g)
        rights.append(g if p.input_axis == 0 else inputs)
    return Streams(jnp.concatenate(lefts), jnp.concatenate(rights))


def _add_products(
    total: jax.Array, pairs: Sequence[tuple[Streams, Streams]], first: int, second: int
) -> jax.Array:
    """Adds J_i J_jᵀ of blocks that start at rows ``first`` and ``second``, and its transpose, tile by tile."""
    same = first == second
    num = [side.left.shape[1] for side in pairs[0]]
    most = [max(pair[k].left.shape[0] for pair in pairs) for k in (0, 1)]
    count = [-(-n * s // _STREAM_TILE) for n, s in zip(num, most, strict=True)]
    size = [-(-n // c) for n, c in zip(num, count, strict=True)]
    count = [-(-n // c) for n, c in zip(num, size, strict=True)]
    tiles = np.array([(i, j) for i in range(count[0]) for j in range(i if same else 0, count[1])])

    def cut(streams: Streams, k: int, tile: jax.Array) -> Streams:
        start = jnp.minimum(tile * size[k], num[k] - size[k])
        fresh = (start + jnp.arange(size[k]) >= tile * size[k]).astype(total.dtype)  # the last may overlap
        left, right = (jax.lax.dynamic_slice_in_dim(x, start, size[k], axis=1) for x in streams)
        return Streams(left, right * fresh[None, :, None])

    def add(total: jax.Array, tile: jax.Array) -> tuple[jax.Array, None]:
        part = jnp.zeros(size, total.dtype)
        for a, b in pairs:
            part += _product(cut(a, 0, tile[0]), cut(b, 1, tile[1]))
        if same:
            part = jnp.where(tile[0] == tile[1], (part + part.T) / 2, part)
        row = first + jnp.minimum(tile[0] * size[0], num[0] - size[0])
        column = second + jnp.minimum(tile[1] * size[1], num[1] - size[1])
        part += jax.lax.dynamic_slice(total, (row, column), part.shape)
        total = jax.lax.dynamic_update_slice(total, part, (row, column))
        return jax.lax.dynamic_update_slice(total, part.T, (column, row)), None

    return jax.lax.scan(add, total, tiles)[0]


def _product(a: Streams, b: Streams) -> jax.Array:
    """Σ_st (left_s · left_t)(right_s · right_t)."""
    (s, n, _), (t, m, _) = a.left.shape, b.left.shape
    flat = lambda x: x.reshape(-1, x.shape[2])
    tables = [_matmul(flat(x), flat(y)).reshape(s, n, t, m) for x, y in zip(a, b, strict=True)]
    return jnp.sum(tables[0] * tables[1], axis=(0, 2))


def _matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """A Bᵀ."""
    return jax.lax.dot_general(a, b, (((1,), (1,)), ((), ())), precision=jax.lax.Precision.HIGHEST)
