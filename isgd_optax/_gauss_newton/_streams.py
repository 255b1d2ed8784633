"""Parts of the Gram matrix from matrix parameters' factors: sums of elementwise products of small tables."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isgd_optax._gauss_newton._factors import Product
from isgd_optax._gauss_newton._rows import matmul
from isgd_optax._sharding import varying_as

# Rows of a table of products of streams: large for the matrix products, small enough for the cache.
_TABLE_ROWS = 1024


class Streams(NamedTuple):
    """The derivative by one matrix, at each residual the sum of S products: arrays (S, R, in or out)."""

    left: jax.Array
    right: jax.Array


def streams_of(products: Sequence[Product], weight: jax.Array, dtype: jnp.dtype) -> Streams:
    """The derivative by one matrix, one row for each residual."""
    lefts, rights = [], []
    for p in products:
        n, m, s, _ = p.cotangents.shape
        inputs = jnp.repeat(p.inputs.astype(dtype), m, axis=0).swapaxes(0, 1)
        g = (p.cotangents.astype(dtype) * weight[..., None]).reshape(n * m, s, -1).swapaxes(0, 1)
        lefts.append(inputs if p.input_axis == 0 else g)
        rights.append(g if p.input_axis == 0 else inputs)
    return Streams(jnp.concatenate(lefts), jnp.concatenate(rights))


def add_products(
    total: jax.Array, pairs: Sequence[tuple[Streams, Streams]], first: int, second: int
) -> jax.Array:
    """Adds J_i J_jᵀ of blocks that start at rows ``first`` and ``second``, and its transpose, by tiles."""
    same = first == second
    num = [side.left.shape[1] for side in pairs[0]]
    most = [max(pair[k].left.shape[0] for pair in pairs) for k in (0, 1)]
    count = [-(-n * s // _TABLE_ROWS) for n, s in zip(num, most, strict=True)]
    size = [-(-n // c) for n, c in zip(num, count, strict=True)]
    count = [-(-n // c) for n, c in zip(num, size, strict=True)]
    tiles = np.array([(i, j) for i in range(count[0]) for j in range(i if same else 0, count[1])])

    def cut(streams: Streams, k: int, tile: jax.Array) -> Streams:
        if count[k] == 1:
            return streams
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

    return jax.lax.scan(add, varying_as(total, total, pairs), jnp.asarray(tiles))[0]


def _product(a: Streams, b: Streams) -> jax.Array:
    """Σ_st (left_s · left_t)(right_s · right_t)."""
    (s, n, _), (t, m, _) = a.left.shape, b.left.shape
    flat = lambda x: x.reshape(-1, x.shape[2])
    tables = [matmul(flat(x), flat(y)).reshape(s, n, t, m) for x, y in zip(a, b, strict=True)]
    return jnp.sum(tables[0] * tables[1], axis=(0, 2))
