"""Linear algebra of the covariance of chosen parameters: what all other parameters do is projected away."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

DETERMINED = 1e3  # of rcond: what G fails to reach by rounding and truncation is a multiple of rcond


class Profile(NamedTuple):
    """How chosen parameters follow the residuals at a minimum.

    Attributes:
      response: A = (QF)⁺, shape (q, N): the parameters move by −A ε.
      hat_basis: Orthonormal columns whose products are the hat matrix, JJ⁺, and zero columns; shape (N, k).
      unbounded: Signs of an infinite covariance where parameters are not determined, else 0; shape (q, q).
    """

    response: jax.Array
    hat_basis: jax.Array
    unbounded: jax.Array


@functools.partial(jax.jit, static_argnums=1)
def profile(rows: jax.Array, columns: tuple[int, ...], rcond: float) -> Profile:
    """The response of the parameters of some columns of J, the others being free.

    The others are eliminated first and the columns then taken relative to their own norms: so neither the
    unit of a parameter nor the weight of a block decides what is called undetermined.

    Args:
      rows: J, shape (N, P).
      columns: The numbers of the q chosen columns.
      rcond: Singular values of the other columns below this share of the largest are zero.

    Returns:
      A :class:`Profile`.
    """
    others = np.setdiff1d(np.arange(rows.shape[1]), columns)
    chosen = rows[:, np.array(columns)]
    norms = jnp.linalg.norm(chosen, axis=0)
    norms = jnp.where(norms > 0, norms, 1)
    rest, basis, tolerance = chosen / norms[None], rows[:, :0], rcond
    if others.size:
        basis, values, _ = jnp.linalg.svd(rows[:, others], full_matrices=False)
        basis = jnp.where(values[None] > rcond * values[0], basis, 0)
        for _ in range(2):  # once more: the first remainder is orthogonal only up to what it was cut from
            rest = rest - matmul(basis, matmul(basis.T, rest))
        tolerance = DETERMINED * rcond
    left, values, right = jnp.linalg.svd(rest, full_matrices=False)
    kept = values > tolerance
    left = jnp.where(kept[None], left, 0)
    inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
    response = matmul(right.T * inverse[None], left.T) / norms[:, None]
    dropped = jnp.where(kept[:, None], 0, right)
    null = matmul(dropped.T, dropped)
    if len(columns) > len(rows):  # and all directions that no row of J has
        null += jnp.eye(len(columns), dtype=rows.dtype) - matmul(right.T, right)
    # Rounding turns a direction by the tolerance over the least value that is kept. A parameter with a larger
    # part in what is dropped is not determined: its error would be that of its other part alone.
    least = jnp.min(jnp.where(kept, values, jnp.inf))
    turned = jnp.square(jnp.maximum(tolerance / least, 10 * len(columns) * jnp.finfo(rows.dtype).eps))
    open_ends = jnp.diagonal(null) > jnp.minimum(turned, rcond**0.5)
    together = (jnp.abs(null) > rcond**0.5) | np.eye(len(columns), dtype=bool)
    pairs = open_ends[:, None] & open_ends[None, :] & together
    return Profile(response, jnp.concatenate([basis, left], axis=1), jnp.where(pairs, jnp.sign(null), 0))


def matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """A B in full precision."""
    return jnp.matmul(a, b, precision="highest")
