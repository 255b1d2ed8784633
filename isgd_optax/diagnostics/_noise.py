"""The noise in some of the residuals of a least-squares loss: given, or estimated at a minimum."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from isgd_optax._gauss_newton._losses import LeastSquares, Residual
from isgd_optax.diagnostics._maker import maker_of, shares_of, spread_of
from isgd_optax.diagnostics._profile import Profile, matmul

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
      told: Whether each variance is known, shape (G,): the residuals may not tell it.
      relative: Those variances, in units of the largest.
      scatter: Their covariance as estimates, shape (G, G), in these units; 0 where they were given.
    """

    std: dict[str, jax.Array]
    scaled: jax.Array
    group: np.ndarray
    told: jax.Array
    relative: jax.Array
    scatter: jax.Array


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
    one = jnp.ones(1, dtype)
    return Noise(std, jnp.concatenate(scaled), group, one > 0, one, jnp.zeros((1, 1), dtype))


def estimated_noise(
    blocks: Sequence[NoisyBlock], residual: jax.Array, rows: jax.Array, hat_basis: jax.Array, pooled: bool
) -> Noise:
    """The noise from the residuals at a minimum.

    Args:
      blocks: The noisy blocks.
      residual: All scaled residuals, shape (N,).
      rows: Their Jacobian, shape (N, P).
      hat_basis: Columns U with UUᵀ the hat matrix, shape (N, k).
      pooled: Whether the scaled residuals of all noisy blocks have one variance, or those of each its own.

    Returns:
      A :class:`Noise`.
    """
    dtype = residual.dtype
    index = np.concatenate([found.index for found in blocks])
    scales = [found.block.scale(dtype) for found in blocks]
    each = jnp.concatenate([_each_residual(s, found) for s, found in zip(scales, blocks, strict=True)])
    # A residual of weight 0 tells nothing of the noise, nor does one that a factor 0 leaves out.
    present = ((residual != 0) | jnp.any(rows != 0, axis=1))[index]
    counted = (each > 0) & present
    numbers = [0 if pooled else number for number in range(len(blocks))]
    group = np.repeat(numbers, [found.index.size for found in blocks])
    members = jnp.asarray(group[:, None] == np.arange(numbers[-1] + 1), dtype)
    maker = maker_of(hat_basis[index], counted, members)
    shares = shares_of(maker)  # ‖r_g‖² has the mean Σ_h S_gh τ_h²
    variances = _variances(shares, matmul(members.T, jnp.square(residual[index])))
    inverse, told = _pseudoinverse(shares, jnp.sum(members, axis=0))
    largest = jnp.max(variances)
    relative = jnp.where(largest > 0, variances / jnp.where(largest > 0, largest, 1), 1)
    scatter = 2 * matmul(inverse, matmul(spread_of(maker, relative), inverse))
    roots = jnp.sqrt(variances)
    std = {
        found.name: jnp.where(told[g] & (s > 0), roots[g] / jnp.where(s > 0, s, 1), jnp.inf)
        for s, found, g in zip(scales, blocks, numbers, strict=True)
    }
    scaled = jnp.where(counted, jnp.where(told, roots, 1)[group], 0)
    return Noise(std, scaled, group, told, relative, scatter)


def _variances(shares: jax.Array, sums: jax.Array) -> jax.Array:
    """The τ² ≥ 0 with S τ² = q, as far as there are such, for S and q without negative entries.

    The fixed point of τ² ← τ² q / (S τ²): of one variance the first step is the solution.
    """

    def step(_: int, tau: jax.Array) -> jax.Array:
        expected = matmul(shares, tau)
        return jnp.where(expected > 0, tau * sums / jnp.where(expected > 0, expected, 1), 0)

    own = jnp.diagonal(shares)
    first = jnp.where(own > 0, sums / jnp.where(own > 0, own, 1), 0)
    found = jax.lax.fori_loop(0, _ROUNDS, step, first)
    return jnp.where(jnp.isfinite(sums).all(), found, jnp.nan)


def _pseudoinverse(shares: jax.Array, sizes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """S⁺, and which variances S τ² = q tells: neither those of no residual nor those it cannot part."""
    root = jnp.sqrt(sizes)
    values, vectors = jnp.linalg.eigh(shares / root[:, None] / root[None])
    kept = values > jnp.finfo(shares.dtype).eps ** 0.8
    vectors = jnp.where(kept[None], vectors, 0)
    inverse = matmul(vectors / jnp.where(kept, values, 1)[None], vectors.T)
    told = jnp.sum(jnp.square(vectors), axis=1) > 1 - 1e-3
    return inverse / root[:, None] / root[None], told


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
    of_group = [noise.group == g for g in range(noise.told.size)]
    parts = jnp.stack([matmul(scaled[:, own], scaled[:, own].T) for own in of_group])
    lacking = jnp.sum(jnp.where(noise.told[:, None, None], 0, parts), axis=0)
    of_all = jnp.sum(jnp.square(found.response), axis=1)
    follows = jnp.diagonal(lacking) > _NEGLIGIBLE * of_all
    size = jnp.sqrt(jnp.diagonal(lacking))
    together = jnp.abs(lacking) > _NEGLIGIBLE * size[:, None] * size[None]
    unknown = jnp.where(follows[:, None] & follows[None] & together, jnp.sign(lacking), 0)
    signs = jnp.where(found.unbounded != 0, found.unbounded, unknown)
    known = jnp.sum(parts, axis=0)
    matrix = jnp.where(signs > 0, jnp.inf, jnp.where(signs < 0, -jnp.inf, known))
    # Satterthwaite: of v = Σ_g a_g τ_g², by its mean and its variance; in a and τ² only the ratios count.
    ratios = raw / jnp.where(of_all > 0, jnp.sqrt(of_all), 1)[:, None]
    shares = jnp.stack([jnp.sum(jnp.square(ratios[:, own]), axis=1) for own in of_group], axis=1)
    shares = jnp.where(jnp.sum(shares, axis=1, keepdims=True) > 0, shares, 1)
    mean = matmul(shares, noise.relative)
    scatter = jnp.sum(matmul(shares, noise.scatter) * shares, axis=1)
    freedom = jnp.where(scatter > 0, 2 * jnp.square(mean) / jnp.where(scatter > 0, scatter, 1), jnp.inf)
    return matrix, jnp.where(follows | ~noise.told.any(), 0, freedom)
