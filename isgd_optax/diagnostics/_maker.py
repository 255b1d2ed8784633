"""What a fit leaves of the noise, M = I − hat: of many residuals by Gram matrices, not by N×N numbers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isgd_optax.diagnostics._profile import matmul


class Whole(NamedTuple):
    """M itself.

    Attributes:
      matrix: Its numbers, shape (n, n).
      members: 1 where a residual is in a group, else 0, shape (n, G).
    """

    matrix: jax.Array
    members: jax.Array


class Grams(NamedTuple):
    """M = D − UUᵀ of n residuals in G groups; D and the rows of U are zero where a residual does not count.

    Attributes:
      grams: A_g = U_gᵀU_g of the rows of each group, shape (G, k, k).
      columns: 1 for the columns of U that are not zero, else 0, shape (k,).
      left: The number of residuals that count in each group, less that of these columns, shape (G,).
    """

    grams: jax.Array
    columns: jax.Array
    left: jax.Array


Maker = Whole | Grams


@jax.jit
def maker_of(basis: jax.Array, counted: jax.Array, members: jax.Array) -> Maker:
    """M of orthonormal columns.

    Args:
      basis: Columns V with VVᵀ the hat matrix, and zero columns; shape (n, k).
      counted: Whether each residual counts, shape (n,).
      members: 1 where a residual is in a group, else 0, shape (n, G).

    Returns:
      The smaller one of both forms, G k² or n² numbers.
    """
    basis = jnp.where(counted[:, None], basis, 0)
    if len(basis) <= members.shape[1] * basis.shape[1]:
        return Whole(jnp.diag(counted.astype(basis.dtype)) - matmul(basis, basis.T), members)
    gram = lambda member: matmul((basis * member[:, None]).T, basis)
    columns = jnp.any(basis != 0, axis=0).astype(basis.dtype)
    counts = jnp.sum(jnp.where(counted[:, None], members, 0), axis=0)
    return Grams(jax.lax.map(gram, members.T), columns, counts - jnp.sum(columns))


@jax.jit
def shares_of(maker: Maker) -> jax.Array:
    """‖M_gh‖², the sum of squares in the rows of g and the columns of h, shape (G, G)."""
    if isinstance(maker, Whole):
        return _by_groups(jnp.square(maker.matrix), maker.members)
    less = jnp.ones((maker.left.size,) * 2, maker.left.dtype)
    return _sums_of_squares(maker, less[0], jnp.zeros_like(maker.grams), less)


@jax.jit
def spread_of(maker: Maker, variances: jax.Array) -> jax.Array:
    """‖(M R M)_gh‖² with the variances of the groups, shape (G,), on the diagonal of R; shape (G, G)."""
    if isinstance(maker, Whole):
        each = matmul(maker.members, variances)
        return _by_groups(jnp.square(matmul(maker.matrix * each[None], maker.matrix)), maker.members)
    # M R M = R D − U_g (ρ_g + ρ_h − UᵀRU) U_hᵀ in the rows of g and the columns of h.
    middle = jnp.sum(variances[:, None, None] * maker.grams, axis=0)
    less = variances[:, None] + variances[None]
    return _sums_of_squares(maker, variances, jax.vmap(matmul, (0, None))(maker.grams, middle), less)


def _by_groups(matrix: jax.Array, members: jax.Array) -> jax.Array:
    return matmul(members.T, matmul(matrix, members))


def _sums_of_squares(maker: Grams, own: jax.Array, through: jax.Array, less: jax.Array) -> jax.Array:
    """Those of c_g δ_gh D + U_g W_gh U_hᵀ, symmetric, with A_g W_gh = ``through[g] - less[g, h] * A_g``."""
    part = lambda a, g, scale: a - scale[:, None, None] * g
    trace = lambda a, b: jnp.sum(a * jnp.swapaxes(b, 1, 2), axis=(1, 2))

    def across(g: jax.Array) -> jax.Array:
        mine = part(through[g][None], maker.grams[g][None], less[g])
        return trace(mine, part(through, maker.grams, less[g]))

    between = jax.lax.map(across, np.arange(own.size))
    # The large numbers that cancel are whole ones: where no residual is left, the sum is zero.
    rest = part(through, maker.grams, jnp.diagonal(less)) + own[:, None, None] * jnp.diag(maker.columns)[None]
    within = maker.left * jnp.square(own) + trace(rest, rest)
    rounding = 10 * own.size * maker.columns.size * jnp.finfo(own.dtype).eps * jnp.square(jnp.max(own))
    within = jnp.where(within > rounding, within, 0)  # what the fit reproduces leaves nothing
    return jnp.where(jnp.eye(own.size, dtype=bool), within, between)
