"""Norms of pytrees, and the size of rounding errors."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike


def squared_norm(tree: optax.Params, metric: optax.Params | None = None) -> jax.Array:
    """‖tree‖²_D over all leaves, accumulated in float32 at least; ``metric`` is D, None for I."""
    leaves = jax.tree.leaves(tree)
    weights = [None] * len(leaves) if metric is None else jax.tree.leaves(metric)
    squares = [
        square if weight is None else as_wide_as(weight, square) * as_wide_as(square, weight)
        for square, weight in zip((jnp.square(_wide(leaf)) for leaf in leaves), weights, strict=True)
    ]
    return _total(squares)


def norm(tree: optax.Params, metric: optax.Params | None = None) -> jax.Array:
    """‖tree‖_D over all leaves, in float32 at least, whose range squares of the entries may leave."""
    if all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(tree)):  # which has room
        return jnp.sqrt(squared_norm(tree, metric))
    dtype = _widest([_wide(leaf) for leaf in jax.tree.leaves(tree)])
    tops = [jnp.max(jnp.abs(leaf), initial=0).astype(dtype) for leaf in jax.tree.leaves(tree)]
    largest = functools.reduce(jnp.maximum, tops, jnp.zeros((), dtype))
    largest = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    scaled = jax.tree.map(lambda leaf: leaf.astype(dtype) / largest, tree)
    return largest * jnp.sqrt(squared_norm(scaled, metric))


def vdot(one: optax.Params, other: optax.Params) -> jax.Array:
    """⟨one, other⟩ over all leaves, accumulated in float32 at least."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return _total([_wide(a) * _wide(b) for a, b in pairs])


def dot(one: jax.Array, other: jax.Array) -> jax.Array:
    """⟨one, other⟩ of two vectors in their own dtype, in full precision on every device."""
    return jnp.vdot(one, other, precision=jax.lax.Precision.HIGHEST)


def sum_dtype(dtype: DTypeLike) -> jnp.dtype:
    """The dtype in which numbers of ``dtype`` are summed: float32 at least."""
    wide = jnp.issubdtype(dtype, jnp.inexact) and jnp.dtype(dtype).itemsize >= 4
    return jnp.dtype(dtype if wide else jnp.float32)  # not promoted: a strict setting forbids that


def as_wide_as(x: Any, other: Any) -> Any:
    """``x`` in the wider one of both dtypes, for products of both: not promoted, for the same reason."""
    if not (hasattr(x, "dtype") and hasattr(other, "dtype")):
        return x  # Python's numbers are taken in the dtype of the other one
    wider = jnp.issubdtype(other.dtype, jnp.inexact) and other.dtype.itemsize > x.dtype.itemsize
    return x.astype(other.dtype) if wider else x


def advanced(params: optax.Params, length: jax.Array, way: optax.Updates) -> optax.Params:
    """P + length · way, in the dtypes of ``params``, computed in that of ``length`` where that is wider."""
    wide = lambda p, v: as_wide_as(p, length) + length * as_wide_as(v, length)
    return optax.tree.cast_like(jax.tree.map(wide, params, way), params)


def _total(arrays: Sequence[jax.Array]) -> jax.Array:
    """The sum of all numbers, of a dtype that is right where JAX promotes none."""
    dtype = _widest(arrays)
    return sum((jnp.sum(a).astype(dtype) for a in arrays), jnp.zeros((), dtype))


def _widest(arrays: Sequence[jax.Array]) -> jnp.dtype:
    return max((a.dtype for a in arrays), key=lambda dtype: dtype.itemsize, default=jnp.dtype(jnp.float32))


def _wide(leaf: jax.Array) -> jax.Array:
    return leaf.astype(sum_dtype(leaf.dtype))


def rounding(value: jax.Array) -> jax.Array:
    """The size of a few rounding errors of ``value``."""
    return 4 * jnp.finfo(value.dtype).eps * jnp.abs(value)


def is_lost_in_rounding(
    displacement: optax.Updates, params: optax.Params, metric: optax.Params | None = None
) -> jax.Array:
    """Whether ``displacement`` is lost in the rounding errors of ``params``, as vectors, in ``metric``.

    Arrays of one dtype are one vector: coarse rounding of some does not hide what others do.
    """
    leaves, steps = jax.tree.leaves(params), jax.tree.leaves(displacement)
    weights = [] if metric is None else jax.tree.leaves(metric)
    lost = jnp.ones((), bool)
    for dtype in dict.fromkeys(leaf.dtype for leaf in leaves):
        own = [k for k, leaf in enumerate(leaves) if leaf.dtype == dtype]
        within = [weights[k] for k in own] if weights else None
        size = norm([leaves[k] for k in own], within)
        lost &= norm([steps[k] for k in own], within) <= float(jnp.finfo(dtype).eps) * size
    return lost


def scalar_dtype(params: optax.Params) -> jnp.dtype:
    """float32, or float64 if a parameter is."""
    leaves = [
        jnp.asarray(leaf) if isinstance(leaf, (int, float)) else leaf for leaf in jax.tree.leaves(params)
    ]
    dtypes = [jax.dtypes.canonicalize_dtype(leaf.dtype) for leaf in leaves if hasattr(leaf, "dtype")]
    return jnp.dtype(jnp.float64 if jnp.dtype(jnp.float64) in dtypes else jnp.float32)
