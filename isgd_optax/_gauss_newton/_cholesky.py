"""Solution of (A + λI) x = b for a symmetric positive definite A."""

import jax
import jax.numpy as jnp


def cholesky_solve(matrix: jax.Array, damping: jax.Array, data: jax.Array) -> jax.Array:
    """(A + λI)⁻¹ b, not finite where A + λI is not positive definite.

    Args:
      matrix: Symmetric matrix A, shape (n, n).
      damping: Number λ, shape ().
      data: Right-hand side b, shape (n,).
    """
    factor = jax.scipy.linalg.cho_factor(matrix + damping * jnp.eye(matrix.shape[0], dtype=matrix.dtype))
    return jax.scipy.linalg.cho_solve(factor, data)
