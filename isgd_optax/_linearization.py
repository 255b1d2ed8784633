"""The linear model r(p + d) ≈ r + J d of a least-squares loss, and what is computed with its Jacobian J."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from isgd_optax._checks import check_choice
from isgd_optax._layers import LayerFactors, gram_matrix
from isgd_optax._least_squares import LeastSquares

KERNELS = ("auto", "layers", "rows")
ROW_BLOCK = 256


class Linearization:
    """The stacked residuals r of ``loss`` at ``params``, N of them, and products with J, N×P.

    Args:
      loss: a :class:`LeastSquares`.
      params: where, P numbers in all.
      kernel: ``"layers"`` forms JJᵀ from the factors that the blocks offer, ``"rows"`` from the rows
        of J, ``"auto"`` from factors where every block offers them.
      row_block: points whose rows are differentiated at once.

    Raises:
      ValueError: another kernel; later, where K is formed, ``kernel="layers"`` and no factors.
    """

    def __init__(self, loss: LeastSquares, params: Any, kernel: str = "auto", row_block: int = ROW_BLOCK):
        check_choice("kernel", kernel, KERNELS)
        self.loss = loss
        self.params = params
        self.row_block = row_block
        self.residual, self._pull = jax.vjp(loss.residuals, params)
        flat, self._unravel = ravel_pytree(params)
        self._flat_dtype = flat.dtype
        self.num_residuals = self.residual.size
        self.num_params = flat.size
        # K squares the condition number of J: the widest type there is, whatever that of the parameters.
        self.dtype = jnp.promote_types(flat.dtype, jax.dtypes.canonicalize_dtype(jnp.float64))
        self.kernel = kernel

    @functools.cached_property
    def factors(self) -> list[dict[str, LayerFactors]] | None:
        """Each block's layer factors with the scale of its residuals, or None where rows are needed."""
        if self.kernel == "rows":
            return None
        offered = [block.layer_factors(self.params) for block in self.loss.blocks]
        blocks = [factors for factors in offered if factors is not None]
        if len(blocks) == len(offered):
            return [
                {
                    name: f._replace(taps=block.scale(self.dtype) * f.taps.astype(self.dtype))
                    for name, f in b.items()
                }
                for block, b in zip(self.loss.blocks, blocks, strict=True)
            ]
        if self.kernel == "layers":
            raise ValueError(
                "kernel='layers' needs residuals of a network of dense layers, and nothing but these layers "
                "may use its parameters; use kernel='auto' or 'rows'."
            )
        return None

    def push(self, direction: Any) -> jax.Array:
        """J d for a pytree d, shape (N,)."""
        return jax.jvp(self.loss.residuals, (self.params,), (direction,))[1].astype(self.dtype)

    def curvature(self, direction: Any) -> jax.Array:
        """d²/dt² r(p + t d) at t = 0, shape (N,)."""
        along = lambda p: jax.jvp(self.loss.residuals, (p,), (direction,))[1]
        return jax.jvp(along, (self.params,), (direction,))[1].astype(self.dtype)

    def pull(self, cotangent: jax.Array) -> Any:
        """Jᵀ v for v of shape (N,), a pytree like the parameters."""
        return self._pull(cotangent.astype(self.residual.dtype))[0]

    def gram(self) -> jax.Array:
        """K = JJᵀ, shape (N, N)."""
        if self.factors is not None:
            return gram_matrix(self.factors, self.dtype)
        jacobian = self.rows()
        return symmetrized(jnp.matmul(jacobian, jacobian.T, precision="highest"))

    def normal(self) -> jax.Array:
        """JᵀJ, shape (P, P), summed over blocks of rows: J is never whole."""
        total = jnp.zeros((self.num_params, self.num_params), self.dtype)
        for block in self.loss.blocks:
            rows = self._row_function(block)
            points, rest, num_full = _split(block.points, block.num_points, self.row_block)

            def add(total: jax.Array, points: Any, rows: Any = rows) -> tuple[jax.Array, None]:
                jacobian = rows(points)
                return total + jnp.matmul(jacobian.T, jacobian, precision="highest"), None

            if num_full:
                total, _ = jax.lax.scan(add, total, points)
            if rest is not None:
                total, _ = add(total, rest)
        return symmetrized(total)

    def rows(self) -> jax.Array:
        """J, shape (N, P), its columns in the order of ``jax.flatten_util.ravel_pytree``."""
        parts = []
        for block in self.loss.blocks:
            rows = self._row_function(block)
            points, rest, num_full = _split(block.points, block.num_points, self.row_block)
            if num_full:
                parts.append(jax.lax.map(rows, points).reshape(-1, self.num_params))
            if rest is not None:
                parts.append(rows(rest))
        return jnp.concatenate(parts)

    def ravel(self, tree: Any) -> jax.Array:
        """A pytree like the parameters as a vector, shape (P,)."""
        return ravel_pytree(tree)[0].astype(self.dtype)

    def unravel(self, vector: jax.Array) -> Any:
        """The inverse of :meth:`ravel`, in the parameters' dtypes."""
        return self._unravel(vector.astype(self._flat_dtype))

    def _row_function(self, block: Any) -> Callable[[Any], jax.Array]:
        """``rows(points)``: the rows of a block's scaled residuals at some of its points."""
        scale = block.scale(self.dtype)

        def at_point(point: Any) -> jax.Array:
            residual, pull = jax.vjp(lambda p: jnp.asarray(block.fn(p, point)), self.params)
            basis = jnp.eye(residual.size, dtype=residual.dtype).reshape(-1, *residual.shape)
            return jax.vmap(lambda v: ravel_pytree(pull(v)[0])[0])(basis)

        return lambda points: (
            scale * jax.vmap(at_point)(points).reshape(-1, self.num_params).astype(self.dtype)
        )


def _split(points: Any, num_points: int, size: int) -> tuple[Any, Any, int]:
    """Full blocks of points, stacked, and what is left over or None."""
    num_full = num_points // size
    cut = num_full * size
    full = jax.tree.map(lambda leaf: jnp.reshape(leaf[:cut], (num_full, size, *leaf.shape[1:])), points)
    rest = jax.tree.map(lambda leaf: leaf[cut:], points) if cut < num_points else None
    return full, rest, num_full


def symmetrized(matrix: jax.Array) -> jax.Array:
    """Half the sum of a matrix and its transpose."""
    return (matrix + matrix.T) / 2
