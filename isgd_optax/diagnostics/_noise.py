"""The noise in some of the residuals of a least-squares loss: given, or estimated at a minimum."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from isgd_optax._gauss_newton._losses import LeastSquares, Residual
from isgd_optax.diagnostics._profile import Profile

_ROUNDS = 200  # of the iteration for several variances
_NEGLIGIBLE = 1e-12  # of what noise moves a parameter, squared: rounding

NoiseStd = ArrayLike | Mapping[str, ArrayLike]


class NoisyBlock(NamedTuple):
    """One block of noisy residuals.

    Attributes:
      name: Its name.
      block: The block.
      index: Positions of its residuals in the stacked vector.
    """

    name: str
    block: Residual
    index: np.ndarray


class Noise(NamedTuple):
    """The noise in the residuals of the noisy blocks.

    Attributes:
      std: Its standard deviation before any weight, by the name of the block.
      scaled: That of the scaled residuals, shape (n,); 1 where no residual is left to tell it.
      group: The number of the variance that is theirs, shape (n,).
      degrees_of_freedom: The degrees of freedom of the estimate of each variance; infinite where it was
        given, 0 where no residual is left.
    """

    std: dict[str, jax.Array]
    scaled: jax.Array
    group: np.ndarray
    degrees_of_freedom: jax.Array


def noisy_blocks(loss: LeastSquares, params: optax.Params, noisy: Sequence[str] | None) -> list[NoisyBlock]:
    """The blocks that ``noisy`` names, all of them for None, and where their residuals are.

    Raises:
      ValueError: A name that no block has, or no name.
    """
    names = loss.names if noisy is None else noisy
    if isinstance(names, str) or not names or not set(names) <= set(loss.names):
        raise ValueError(f"noisy must be a sequence of names of blocks, of {loss.names}, got {noisy!r}.")
    found, position = [], 0
    for name, block in zip(loss.names, loss.blocks, strict=True):
        size = block.num_points * block.num_residuals(params)
        if name in names:
            found.append(NoisyBlock(name, block, np.arange(position, position + size)))
        position += size
    return found


def given_noise(blocks: Sequence[NoisyBlock], noise_std: NoiseStd, dtype: jnp.dtype) -> Noise:
    """The noise whose standard deviation the user knows.

    Raises:
      ValueError: Names that differ from those of the noisy blocks, or an array of another shape.
    """
    if not isinstance(noise_std, Mapping):
        noise_std = {found.name: noise_std for found in blocks}
    if set(noise_std) != {found.name for found in blocks}:
        raise ValueError(
            f"noise_std must have an entry for each noisy block, {[found.name for found in blocks]}, and for "
            f"no other, got {list(noise_std)}."
        )
    std, scaled = {}, []
    for found in blocks:
        value = jnp.asarray(noise_std[found.name], dtype)
        if value.shape not in ((), (found.block.num_points,)):
            raise ValueError(
                f"noise_std of the block {found.name!r} must be a number or one for each of its "
                f"{found.block.num_points} points, got shape {value.shape}."
            )
        std[found.name] = value
        scaled.append(_each_residual(found.block.scale(dtype) * value, found))
    group = np.zeros(sum(found.index.size for found in blocks), int)
    return Noise(std, jnp.concatenate(scaled), group, jnp.full(1, jnp.inf, dtype))


def estimated_noise(
    blocks: Sequence[NoisyBlock], residual: jax.Array, hat_basis: jax.Array, pooled: bool
) -> Noise:
    """The noise from the residuals at a minimum.

    Args:
      blocks: The noisy blocks.
      residual: All scaled residuals, shape (N,).
      hat_basis: Columns U with UUᵀ the hat matrix, shape (N, k).
      pooled: Whether the scaled residuals of all noisy blocks have one variance, or those of each its own.

    Returns:
      A :class:`Noise`.
    """
    dtype = residual.dtype
    index = np.concatenate([found.index for found in blocks])
    scales = [found.block.scale(dtype) for found in blocks]
    each = jnp.concatenate([_each_residual(s, found) for s, found in zip(scales, blocks, strict=True)])
    basis = hat_basis[index]
    counted = each > 0  # a residual of weight 0 tells nothing of the noise
    maker = jnp.diag(counted.astype(dtype)) - jnp.matmul(basis, basis.T, precision="highest")
    squared = jnp.matmul(maker, maker, precision="highest")
    numbers = [0 if pooled else number for number in range(len(blocks))]
    group = np.repeat(numbers, [found.index.size for found in blocks])
    members = jnp.asarray(group[:, None] == np.arange(numbers[-1] + 1), dtype)
    # ‖r_g‖² has the mean Σ_h S_gh τ_h².
    shares = jnp.matmul(members.T, jnp.matmul(jnp.square(maker), members))
    sums = jnp.matmul(members.T, jnp.square(residual[index]))
    left = jnp.diagonal(shares) > 1e-6
    variances = _variances(jnp.where(left[:, None] & left[None], shares, jnp.eye(left.size)), sums)
    roots = jnp.sqrt(variances)
    traces = jnp.matmul(members.T, jnp.diagonal(squared))
    of_squares = jnp.diagonal(jnp.matmul(members.T, jnp.matmul(jnp.square(squared), members)))
    freedom = jnp.where(left, jnp.square(traces) / jnp.where(left, of_squares, 1), 0)
    std = {
        found.name: jnp.where(left[g] & (s > 0), roots[g] / jnp.where(s > 0, s, 1), jnp.inf)
        for s, found, g in zip(scales, blocks, numbers, strict=True)
    }
    return Noise(std, jnp.where(counted, jnp.where(left, roots, 1)[group], 0), group, freedom)


def _variances(shares: jax.Array, sums: jax.Array) -> jax.Array:
    """The τ² ≥ 0 with S τ² = q, as far as there are such, for S and q without negative entries.

    The fixed point of τ² ← τ² q / (S τ²): of one variance the first step is the solution.
    """

    def step(_: int, tau: jax.Array) -> jax.Array:
        expected = jnp.matmul(shares, tau)
        return jnp.where(expected > 0, tau * sums / jnp.where(expected > 0, expected, 1), 0)

    return jax.lax.fori_loop(0, _ROUNDS, step, sums / jnp.diagonal(shares))


def _each_residual(values: jax.Array, found: NoisyBlock) -> jax.Array:
    """Values of a block or of its points, shape () or (N,), for each of its residuals."""
    num_points = found.block.num_points
    return jnp.repeat(jnp.broadcast_to(values, (num_points,)), found.index.size // num_points)


def propagated(found: Profile, index: np.ndarray, noise: Noise) -> tuple[jax.Array, jax.Array]:
    """The covariance that noise causes in the chosen parameters, and the degrees of freedom of each.

    Args:
      found: How the q parameters follow the residuals.
      index: Positions of the noisy residuals in the stacked vector.
      noise: The noise in them.

    Returns:
      Shapes (q, q) and (q,). The covariance is infinite where nothing tells it.
    """
    raw = found.response[:, index]
    scaled = raw * noise.scaled[None]
    by_group = []
    for g in range(noise.degrees_of_freedom.size):
        part = scaled[:, noise.group == g]
        by_group.append(jnp.matmul(part, part.T, precision="highest"))
    parts = jnp.stack(by_group)
    lacking = jnp.sum(jnp.where((noise.degrees_of_freedom > 0)[:, None, None], 0, parts), axis=0)
    follows = jnp.diagonal(lacking) > _NEGLIGIBLE * jnp.sum(jnp.square(raw), axis=1)
    unknown = jnp.where(follows[:, None] & follows[None], jnp.sign(lacking), 0)
    signs = jnp.where(found.unbounded != 0, found.unbounded, unknown)
    known = jnp.sum(parts, axis=0)
    matrix = jnp.where(signs > 0, jnp.inf, jnp.where(signs < 0, -jnp.inf, known))
    if noise.degrees_of_freedom.size == 1:
        return matrix, jnp.broadcast_to(noise.degrees_of_freedom, matrix.shape[:1])
    variances = jnp.diagonal(parts, axis1=1, axis2=2)
    freedom = jnp.where(noise.degrees_of_freedom > 0, noise.degrees_of_freedom, 1)
    spread = jnp.sum(jnp.square(variances) / freedom[:, None], axis=0)
    welch = jnp.square(jnp.sum(variances, axis=0)) / jnp.where(spread > 0, spread, 1)
    return matrix, jnp.where(follows | (spread <= 0), 0, welch)
