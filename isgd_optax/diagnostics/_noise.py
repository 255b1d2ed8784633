"""The noise in some of the residuals of a least-squares loss: given, or estimated at a minimum."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from isgd_optax._gauss_newton._losses import LeastSquares, Residual

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
      degrees_of_freedom: The degrees of freedom of the estimate; infinite where it was given, 0 where no
        residual is left.
    """

    std: dict[str, jax.Array]
    scaled: jax.Array
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
    return Noise(std, jnp.concatenate(scaled), jnp.asarray(jnp.inf, dtype))


def estimated_noise(blocks: Sequence[NoisyBlock], residual: jax.Array, hat_basis: jax.Array) -> Noise:
    """The noise from the residuals at a minimum, of one variance in all scaled noisy residuals.

    Args:
      blocks: The noisy blocks.
      residual: All scaled residuals, shape (N,).
      hat_basis: Columns U with UUᵀ the hat matrix, shape (N, k).

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
    trace, trace_of_square = jnp.trace(squared), jnp.sum(jnp.square(squared))
    left = trace > 1e-6
    variance = jnp.sum(jnp.square(residual[index])) / jnp.where(left, trace, 1)
    root = jnp.sqrt(variance)
    freedom = jnp.where(left, jnp.square(trace) / jnp.where(left, trace_of_square, 1), 0)
    std = {
        found.name: jnp.where(left & (s > 0), root / jnp.where(s > 0, s, 1), jnp.inf)
        for s, found in zip(scales, blocks, strict=True)
    }
    return Noise(std, jnp.where(counted, jnp.where(left, root, 1), 0), freedom)


def _each_residual(values: jax.Array, found: NoisyBlock) -> jax.Array:
    """Values of a block or of its points, shape () or (N,), for each of its residuals."""
    num_points = found.block.num_points
    return jnp.repeat(jnp.broadcast_to(values, (num_points,)), found.index.size // num_points)
