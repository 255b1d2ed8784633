"""Norms of pytrees, and the size of rounding errors."""

import jax
import jax.numpy as jnp
import optax


def squared_norm(tree: optax.Params, metric: optax.Params | None = None) -> jax.Array:
    """‖tree‖²_D over all leaves, accumulated in float32 at least; ``metric`` is D, None for I."""
    total = jnp.zeros((), jnp.float32)
    leaves = jax.tree.leaves(tree)
    weights = [None] * len(leaves) if metric is None else jax.tree.leaves(metric)
    for leaf, weight in zip(leaves, weights, strict=True):
        square = jnp.square(leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)))
        total += jnp.sum(square if weight is None else weight * square)
    return total


def norm(tree: optax.Params, metric: optax.Params | None = None) -> jax.Array:
    """‖tree‖_D over all leaves, accumulated in float32 at least."""
    return jnp.sqrt(squared_norm(tree, metric))


def rounding(value: jax.Array) -> jax.Array:
    """The size of a few rounding errors of ``value``."""
    return 4 * jnp.finfo(value.dtype).eps * jnp.abs(value)


def is_lost_in_rounding(
    displacement: optax.Updates, params: optax.Params, metric: optax.Params | None = None
) -> jax.Array:
    """Whether ``displacement`` is lost in the rounding errors of ``params``, as vectors, in ``metric``."""
    eps = max((float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(params)), default=0.0)
    return norm(displacement, metric) <= eps * norm(params, metric)


def scalar_dtype(params: optax.Params) -> jnp.dtype:
    """float32, or float64 if a parameter is."""
    leaves = [leaf for leaf in jax.tree.leaves(params) if hasattr(leaf, "dtype")]
    dtypes = [jax.dtypes.canonicalize_dtype(leaf.dtype) for leaf in leaves]
    return jnp.result_type(jnp.float32, *dtypes)
