"""Solution of (A + λI) x = b for a symmetric positive definite A."""

import jax
import jax.numpy as jnp


def cholesky_solve(matrix: jax.Array, damping: jax.Array, data: jax.Array) -> jax.Array:
    """(A + λI)⁻¹ b by Cholesky factorisation, not finite where A + λI is not positive definite.

    On a CPU the factorisation is LAPACK's: one by panels, updated by XLA's own products, was measured to be
    slower inside the loop over α (n = 1,300 and 1,800) and to compile for a second more.

    Args:
      matrix: The symmetric matrix A, shape (n, n).
      damping: The number λ, shape ().
      data: The right-hand side b, shape (n,).

    Returns:
      Shape (n,), of the matrix's dtype.
    """
    factor = jax.scipy.linalg.cho_factor(matrix + damping * jnp.eye(matrix.shape[0], dtype=matrix.dtype))
    return jax.scipy.linalg.cho_solve(factor, data)
