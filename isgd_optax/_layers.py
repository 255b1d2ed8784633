"""The Gram matrix of a network of dense layers from each layer's factors, without the Jacobian."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Width of a layer that costs as much as multiplying and adding up the elements of its two products; an
# estimate, which keeps narrow layers on rows.
_ELEMENTWISE_COST = 40
_TILES = 8


class LayerFactors(NamedTuple):
    r"""The derivative of residuals by a dense layer's kernel W and bias b, in factors.

    A layer y = W z + b is applied to S streams: the value, and its derivatives by the coordinates,
    to which b is not added. With taps :math:`g_{ks} = \partial r_k / \partial y_s` the derivative by
    (W, b) is :math:`\sum_s g_{ks} \otimes (z_s, \delta_s)`, δ = 1 for a value and 0 for a derivative.

    Attributes:
      inputs: (z_s, δ_s), shape (S, in + 1), or (S, in) for a layer without bias.
      taps: g, shape (..., S, out) with the shape of the residuals in front.

    References:
      Novak, Sohl-Dickstein and Schoenholz, Fast finite width neural tangent kernel, 2022 (structured
      derivatives).
    """

    inputs: jax.Array
    taps: jax.Array

    @property
    def num_params(self) -> int:
        """Parameters of the layer."""
        return self.inputs.shape[-1] * self.taps.shape[-1]

    def forms_rows(self, other: "LayerFactors | None" = None) -> bool:
        """Whether the layer's rows of J are cheaper to multiply than products of factors are to sum."""
        streams = self.taps.shape[-2] * (other or self).taps.shape[-2]
        width = self.inputs.shape[-1] + self.taps.shape[-1]
        return streams * (width + _ELEMENTWISE_COST) >= self.num_params


def gram_matrix(blocks: Sequence[Mapping[str, LayerFactors]], dtype: jnp.dtype) -> jax.Array:
    """K = JJᵀ of stacked residual blocks.

    Args:
      blocks: for each block, the factors of every layer that it uses, by the layer's name; inputs of
        shape (N, S, in), taps of shape (N, M, S, out) for M residuals at each of N points.
      dtype: of the computation.

    Returns:
      Shape (ΣNM, ΣNM), exactly symmetric.
    """
    stacked = [{name: _rows(factors, dtype) for name, factors in block.items()} for block in blocks]
    tiles = []
    for i, first in enumerate(stacked):
        row = [tiles[j][i].T for j in range(i)]
        for j, second in enumerate(stacked[i:], start=i):
            shape = tuple(next(iter(block.values())).taps.shape[0] for block in (first, second))
            total = jnp.zeros(shape, dtype)
            for name in (name for name in first if name in second):
                same = i == j
                total += _symmetric(first[name]) if same else _product(first[name], second[name])
            row.append(total)
        tiles.append(row)
    return jnp.block(tiles)


def _rows(factors: LayerFactors, dtype: jnp.dtype) -> LayerFactors:
    """One row per residual: inputs (NM, S, in), taps (NM, S, out)."""
    n, m, s, out = factors.taps.shape
    inputs = jnp.repeat(factors.inputs.astype(dtype), m, axis=0)
    return LayerFactors(inputs, factors.taps.astype(dtype).reshape(n * m, s, out))


def _symmetric(factors: LayerFactors) -> jax.Array:
    """The Gram matrix of one block's layer; only tiles on and above the diagonal are computed."""
    num_rows = factors.taps.shape[0]
    size = -(-num_rows // max(1, min(_TILES, num_rows // 64)))
    starts = range(0, num_rows, size)
    part = lambda start, stop=None: LayerFactors(factors.inputs[start:stop], factors.taps[start:stop])
    above = [_product(part(start, start + size), part(start)) for start in starts]
    gram = jnp.concatenate(
        [jnp.pad(tile, ((0, 0), (start, 0))) for start, tile in zip(starts, above, strict=True)]
    )
    upper = jnp.triu(gram)
    return upper + jnp.triu(gram, 1).T


def _product(a: LayerFactors, b: LayerFactors) -> jax.Array:
    """J_a J_bᵀ of one layer, whichever way takes less work."""
    if not a.forms_rows(b):
        return _from_products(a, b)
    jacobian = lambda f: jnp.einsum("nsi,nso->nio", *f, precision="highest").reshape(f.taps.shape[0], -1)
    return _matmul(jacobian(a), jacobian(b))


def _from_products(a: LayerFactors, b: LayerFactors) -> jax.Array:
    """Σ_st (z_s·z_t)(g_s·g_t), in S_a·S_b matrix products of each kind."""
    total = jnp.zeros((a.taps.shape[0], b.taps.shape[0]), a.taps.dtype)
    for s in range(a.taps.shape[1]):
        for t in range(b.taps.shape[1]):
            total += _matmul(a.inputs[:, s], b.inputs[:, t]) * _matmul(a.taps[:, s], b.taps[:, t])
    return total


def _matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)
