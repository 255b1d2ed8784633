"""The Gram matrix K = JJᵀ of residuals from factors of their derivatives, without J where that is cheaper."""

import itertools
import math
from collections.abc import Hashable, Sequence

import jax
import jax.numpy as jnp

from isgd_optax._gauss_newton._costs import forms_rows
from isgd_optax._gauss_newton._factors import LeafFactors, sum_of_outer_products
from isgd_optax._gauss_newton._rows import from_tiles, gathered, leaf_rows, matmul, point_weights
from isgd_optax._gauss_newton._streams import add_products, streams_of

_TILES = 6  # K needs 7/12 of the work of a whole product; more tiles are less efficient products
_MIN_TILE = 64
_FEW_ROWS = 512  # up to which the rows are formed at once: that is no slower, and much less to compile


def gram(
    blocks: Sequence[Sequence[LeafFactors]],
    scales: Sequence[jax.Array],
    dtype: jnp.dtype,
    inverse_metric: Sequence[jax.Array | None] | None = None,
) -> jax.Array:
    """K = J D⁻¹ Jᵀ of stacked blocks of residuals.

    A matrix parameter's part is formed from its factors or from its rows of J, whichever takes less time.

    Args:
      blocks: Each block's factors by leaf of the parameters.
      scales: Factor of each block's residuals in the stacked vector, of shape () or (N,), by points.
      dtype: The dtype of the computation.
      inverse_metric: D⁻¹ by leaf, None for the identity: None, a number, or an array of the leaf's shape,
        which needs rows of J for that leaf.

    Returns:
      Shape (ΣNM, ΣNM), exactly symmetric.
    """
    blocks, scales = gathered((list(blocks), list(scales)))
    weights = [point_weights(scale, dtype) for scale in scales]
    shapes = [next(f.shape for f in block if f.used) for block in blocks]
    given = inverse_metric or [None] * len(blocks[0])
    unit = [None if d is None else jnp.sqrt(jnp.asarray(d, dtype)).reshape(1, 1, -1) for d in given]
    by_rows, by_factors = [], []
    for k, leaves in enumerate(zip(*blocks, strict=True)):
        d = unit[k]
        weighted = d is not None and d.size > 1
        (by_rows if forms_rows(leaves, weighted) else by_factors).append(k)
    by_rows = [k for k in by_rows if blocks[0][k].size and any(block[k].used for block in blocks)]

    num_rows = [n * m for n, m in shapes]
    if by_rows:
        groups = _alike([[block[k] for k in by_rows] for block in blocks])
        few = sum(num_rows) <= _FEW_ROWS
        step = sum(num_rows) if few else max(_MIN_TILE, -(-sum(num_rows) // _TILES))
        tiles = [
            _tile([block[k] for k in by_rows], groups, [unit[k] for k in by_rows], weight, m, points, dtype)
            for block, weight, (n, m) in zip(blocks, weights, shapes, strict=True)
            for points in _parts(n, max(1, step // m))
        ]
        total = symmetric_product(jnp.concatenate(tiles)) if few else _product_of(tiles)
    else:
        total = jnp.zeros((sum(num_rows), sum(num_rows)), dtype)

    streams = []
    for block, weight in zip(blocks, weights, strict=True):
        scaled = {k: weight if unit[k] is None else weight * unit[k] for k in by_factors if block[k].used}
        streams.append({k: streams_of(block[k].products, scale, dtype) for k, scale in scaled.items()})
    starts = [0, *itertools.accumulate(num_rows)]
    for i, j in itertools.combinations_with_replacement(range(len(blocks)), 2):
        pairs = [(streams[i][k], streams[j][k]) for k in streams[i] if k in streams[j]]
        if pairs:
            # One after the other: fused, those of three blocks overflow the stack of a GPU's thread.
            total = add_products(jax.lax.optimization_barrier(total), pairs, starts[i], starts[j])
    return total


def symmetric_product(jacobian: jax.Array) -> jax.Array:
    """JJᵀ for J of shape (N, P), exactly symmetric, from tiles on and above the diagonal."""
    num_rows = jacobian.shape[0]
    return _product_of([jacobian[k] for k in _parts(num_rows, max(_MIN_TILE, -(-num_rows // _TILES)))])


def _parts(size: int, most: int) -> list[slice]:
    """Slices of nearly equal length, at most ``most``."""
    step = math.ceil(size / math.ceil(size / most))
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def _alike(blocks: Sequence[Sequence[LeafFactors]]) -> list[list[int]]:
    """Numbers of the leaves, those together that are matrices of one shape in each block: it compiles faster.

    The columns of J then have one order in all blocks.
    """
    groups: dict[Hashable, list[int]] = {}
    for k, factors in enumerate(zip(*blocks, strict=True)):
        plain = all(f.rows is None and len(f.products) == 1 for f in factors)
        form = lambda f: (jax.tree.structure(f), *(x.shape for x in jax.tree.leaves(f)))
        groups.setdefault(tuple(map(form, factors)) if plain else k, []).append(k)
    return list(groups.values())


def _tile(
    leaves: Sequence[LeafFactors],
    groups: Sequence[Sequence[int]],
    units: Sequence[jax.Array | None],
    weight: jax.Array,
    num_residuals: int,
    points: slice,
    dtype: jnp.dtype,
) -> jax.Array:
    """Some points' rows of J by some parameter arrays, their columns in the order of ``groups``.

    Each tile is formed from its own factors, since slices of all rows would be copies; the arrays of a group
    are formed together.
    """
    weight = weight if weight.shape[0] == 1 else weight[points]
    cut = lambda x: x[points].astype(dtype)
    parts = []
    for group in groups:
        given = [jax.tree.map(cut, leaves[k]) for k in group]
        if len(group) == 1:
            part = leaf_rows(given[0], (points.stop - points.start, num_residuals), dtype)
        else:
            inputs = jnp.stack([f.products[0].inputs for f in given], axis=1)[:, None]
            cotangents = jnp.stack([f.products[0].cotangents for f in given], axis=2)
            sides = (inputs, cotangents) if given[0].products[0].input_axis == 0 else (cotangents, inputs)
            part = sum_of_outer_products(*sides).reshape(*cotangents.shape[:2], -1)
        if any(units[k] is not None for k in group):
            wide = [
                jnp.broadcast_to(1.0 if (u := units[k]) is None else u, (1, 1, leaves[k].size)) for k in group
            ]
            part *= jnp.concatenate(wide, axis=2)
        parts.append(part)
    joined = jnp.concatenate(parts, axis=2) * weight
    return joined.reshape(-1, joined.shape[2])


def _product_of(tiles: Sequence[jax.Array]) -> jax.Array:
    """JJᵀ of rows in tiles."""
    return from_tiles([[matmul(tile, other) for other in tiles[i:]] for i, tile in enumerate(tiles)])
