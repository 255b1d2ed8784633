"""Products Jᵀy from the factors of J, without another pass through the network."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from isgd_optax._gauss_newton._factors import LeafFactors


def transposed_product(
    factors: Sequence[LeafFactors], scale: jax.Array, y: jax.Array, dtype: jnp.dtype
) -> jax.Array:
    """Jᵀy of one block of residuals.

    Args:
      factors: The block's factors by leaf.
      scale: Factor of each point's residuals, shape () or (N,).
      y: A number for each residual, shape (N M,).
      dtype: The dtype of the computation.

    Returns:
      Shape (P,), in the order of ``jax.flatten_util.ravel_pytree``.
    """
    num_points, num_residuals = next(f.shape for f in factors if f.used)
    weights = y.reshape(num_points, num_residuals) * jnp.asarray(scale, dtype).reshape(-1, 1)
    return jnp.concatenate([_by_leaf(leaf, weights, dtype) for leaf in factors])


def _by_leaf(leaf: LeafFactors, weights: jax.Array, dtype: jnp.dtype) -> jax.Array:
    total = jnp.zeros(leaf.size, dtype)
    if leaf.rows is not None:
        total += jnp.einsum("nm,nmk->k", weights, leaf.rows.astype(dtype), precision="highest")
    for product in leaf.products:
        inputs, cotangents = product.inputs.astype(dtype), product.cotangents.astype(dtype)
        g = jnp.einsum("nm,nmso->nso", weights, cotangents, precision="highest")
        order = "nsi,nso->io" if product.input_axis == 0 else "nsi,nso->oi"
        total += jnp.einsum(order, inputs, g, precision="highest").reshape(-1)
    return total
