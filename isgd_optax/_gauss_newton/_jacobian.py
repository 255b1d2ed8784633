"""The Jacobian J of the stacked residuals of a loss, and what is computed with it."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from isgd_optax._gauss_newton import _devices, _factors, _gram, _rows
from isgd_optax._gauss_newton._contract import transposed_product
from isgd_optax._gauss_newton._costs import costs
from isgd_optax._gauss_newton._kernel_check import check_factors
from isgd_optax._gauss_newton._linear_solver import Sizes
from isgd_optax._gauss_newton._quadratic import QuadraticModel, numbers
from isgd_optax._gauss_newton._rows import along_points
from isgd_optax._sharding import varying_as

if TYPE_CHECKING:
    from isgd_optax._gauss_newton._losses import LeastSquares, Residual

KERNELS = ("auto", "layers", "rows")
ROW_BLOCK = 256


class ResidualJacobian:
    r"""The linear model of a loss at ``params``, in the unit of a metric D.

    .. math:: L(\theta + D^{-1/2} e) \approx \text{const} + \lVert s + J e \rVert^2 + 2 \langle v, e \rangle

    For squares s are the stacked residuals r, J is :math:`\partial r / \partial\theta \, D^{-1/2}` and v = 0;
    for another convex loss they are those of its quadratic models. All vectors are flat and of the widest
    float there is, whatever that of the parameters: K = JJᵀ squares the condition number.

    Args:
      loss: A :class:`LeastSquares` with N residuals in all.
      params: The point of linearisation, P numbers in all.
      metric: The diagonal D, a pytree like the parameters, None for the identity.
      kernel: How K is formed: from each parameter's own factors (``"auto"``), from ``"rows"`` of J, or
        ``"layers"``, which is ``"auto"`` but refuses parameters that have no factors.
      row_block: The number of points whose rows of J are differentiated at once.

    Raises:
      ValueError: With ``kernel="layers"``, parameters that enter otherwise than as the matrix of a product
        or an added vector.
    """

    def __init__(
        self,
        loss: "LeastSquares",
        params: optax.Params,
        *,
        metric: optax.Params | None = None,
        kernel: str = "auto",
        row_block: int = ROW_BLOCK,
    ):
        params = varying_as(params, params, loss, metric)
        self.loss, self.params, self.kernel, self.row_block = loss, params, kernel, row_block
        self.dtype = jax.dtypes.canonicalize_dtype(jnp.float64)
        flat, self._unravel = ravel_pytree(self._wide(params))
        self.num_params = flat.size
        if not flat.size:
            raise ValueError("the parameters are empty arrays: there is nothing to fit.")
        self._metric = metric
        self._unit = None if metric is None else 1 / jnp.sqrt(self._broadcast(metric))  # D^(-1/2), flat
        self._models = [self._model(block) for block in loss.blocks]
        residual, self._push = jax.linearize(self.linearized, params)
        self._residual_dtype, self.outputs = residual.dtype, residual.astype(self.dtype)
        self.num_residuals = residual.size
        self.residual = self._stacked_residual(residual)
        self.slope = self._slope()
        if kernel == "layers":
            check_factors(loss, params)

    def _model(self, block: "Residual") -> QuadraticModel | None:
        if block.loss is None:
            return None
        return jax.lax.stop_gradient(block.models(block.residuals(self.params).astype(self.dtype)))

    def linearized(self, params: optax.Params) -> jax.Array:
        """√(w/N) B f(params), stacked, shape (N,): its derivative at the point of linearisation is J."""
        return self.stacked(self.loss.evaluate(params))

    def stacked(self, residuals: Sequence[jax.Array]) -> jax.Array:
        """The same, shape (N,), from the residuals of every block, shape (n, ...)."""
        parts = []
        for block, model, outputs in zip(self.loss.blocks, self._models, residuals, strict=True):
            scaled = along_points(block.scale(outputs.dtype), outputs) * outputs
            if model is not None:
                flat = numbers(scaled.reshape(block.num_points, -1))
                scaled = jnp.einsum("nij,nj->ni", model.root.astype(flat.dtype), flat, precision="highest")
            parts.append(scaled.reshape(-1))
        return jnp.concatenate(parts)

    def _stacked_residual(self, linearized: jax.Array) -> jax.Array:
        """s: of squares the residuals themselves."""
        parts, position = [], 0
        for block, model in zip(self.loss.blocks, self._models, strict=True):
            size = block.num_points * block.num_residuals(self.params)
            if model is None:
                parts.append(linearized[position : position + size].astype(self.dtype))
            else:
                scaled = along_points(block.scale(self.dtype), model.residual) * model.residual
                parts.append(scaled.reshape(-1).astype(self.dtype))
            position += size
        return jnp.concatenate(parts)

    def _slope(self) -> jax.Array | None:
        """The slope v, shape (P,), along which the convex losses have no curvature; None for squares."""
        if all(model is None for model in self._models):
            return None

        def straight(params: optax.Params) -> jax.Array:
            total = jnp.zeros((), self.dtype)
            for block, model in zip(self.loss.blocks, self._models, strict=True):
                if model is not None:
                    outputs = block.residuals(params).astype(self.dtype).reshape(block.num_points, -1)
                    weights = along_points(jnp.square(block.scale(self.dtype)), outputs)
                    total += jnp.sum(weights * model.slope * numbers(outputs))
            return total

        return self.ravel(jax.grad(straight)(varying_as(self.params, self.outputs)))

    @functools.cached_property
    def factors(self) -> list[list[_factors.LeafFactors]]:
        """The factors of each block, by leaf of the parameters."""
        return self._make_factors()

    def _make_factors(self) -> list[list[_factors.LeafFactors]]:
        return [
            _factors.block_factors(block.fn, self.params, block.points, None if m is None else m.root)
            for block, m in zip(self.loss.blocks, self._models, strict=True)
        ]

    @property
    def sizes(self) -> Sizes:
        """What decides the cost of a linear solver."""
        return self._sizes

    @functools.cached_property
    def _sizes(self) -> Sizes:
        block_rows = self.row_block * max(block.num_residuals(self.params) for block in self.loss.blocks)
        sizes = Sizes(self.num_residuals, self.num_params, self.dtype.itemsize, block_rows=block_rows)
        sizes = sizes._replace(device_rows=self._device_rows())
        if self.kernel == "rows" or sizes.device_rows is not None:
            return sizes
        # Shapes alone: a solver that forms no K must not hold the factors of all points.
        several = [jnp.size(d) > 1 for d in jax.tree.leaves(self._metric)] or None
        counts = costs(jax.eval_shape(self._make_factors), several)
        return sizes._replace(
            num_factors=counts.num_factors, largest_layer=counts.largest_layer, gram_flops=counts.flops
        )

    def mv(self, v: jax.Array) -> jax.Array:
        """J v, shape (N,), for v of shape (P,)."""
        return self._push(self.unravel(varying_as(v, self.residual))).astype(self.dtype)

    def rmv(self, y: jax.Array) -> jax.Array:
        """Jᵀ y, shape (P,), for y of shape (N,)."""
        y = varying_as(y, self.residual)
        factors = self.__dict__.get("factors")  # where K was formed from them they are at hand
        if factors is None:
            pull = jax.linear_transpose(self._push, self.params)
            return self.ravel(pull(y.astype(self._residual_dtype))[0])
        parts, position = [], 0
        for block, scale in zip(factors, self._scales, strict=True):
            size = math.prod(next(leaf.shape for leaf in block if leaf.used))
            parts.append(transposed_product(block, scale, y[position : position + size], self.dtype))
            position += size
        flat = functools.reduce(jnp.add, parts)
        return flat if self._unit is None else self._unit * flat

    def gram(self) -> jax.Array:
        """K = JJᵀ, shape (N, N)."""
        if self._device_rows() is not None:
            return _devices.gram(self._row_blocks())
        if self.kernel == "rows":
            return _gram.symmetric_product(self.rows())
        inverse = [1 / jnp.asarray(d, self.dtype) for d in jax.tree.leaves(self._metric)]
        return _gram.gram(self.factors, self._scales, self.dtype, inverse)

    def normal(self) -> jax.Array:
        """JᵀJ, shape (P, P), summed over blocks of points: J is never whole."""
        total = jnp.zeros((self.num_params, self.num_params), self.dtype)
        for part in self._each_block(_rows.normal):
            total = jax.lax.optimization_barrier(total + jnp.sum(part, axis=0))  # see _gram.gram
        return total if self._unit is None else self._unit[:, None] * total * self._unit[None, :]

    def rows(self) -> jax.Array:
        """J, shape (N, P), its columns in the order of ``jax.flatten_util.ravel_pytree``."""
        return jnp.concatenate([part.reshape(-1, self.num_params) for part in self._row_blocks()])

    def _row_blocks(self) -> list[jax.Array]:
        """The rows of J of each block of residuals, shape (lanes, n, P) with a lane for each device."""
        parts = self._each_block(_rows.block_rows)
        return parts if self._unit is None else [part * self._unit[None, None, :] for part in parts]

    def _each_block(self, fn: Callable[..., jax.Array]) -> list[jax.Array]:
        """A function of :mod:`_rows` of each block of residuals, for each device's points, (lanes, ...)."""
        results = []
        for block, model, scale in zip(self.loss.blocks, self._models, self._scales, strict=True):
            root = None if model is None else model.root
            given = (block.points, root, jnp.broadcast_to(scale, (block.num_points,)))

            def part(given: tuple, block: "Residual" = block) -> jax.Array:
                points, basis, scale = given
                rows = _rows.PointBlock(block.fn, self.params, points, basis, scale, self.dtype)
                return fn(rows, self.row_block)

            results.append(_devices.each_lane(part, given, _devices.num_lanes(block.num_points)))
        return results

    def squared_columns(self) -> optax.Params:
        """diag(JᵀJ) for D = I, a pytree like the parameters."""
        assert self._unit is None
        parts = [jnp.sum(part, axis=0) for part in self._each_block(_rows.squared_columns)]
        total = functools.reduce(jnp.add, parts)
        return self._unravel(total)  # wide: squares of small numbers underflow in the parameters' own dtype

    def ravel(self, tree: optax.Updates) -> jax.Array:
        """A cotangent of the parameters in the unit of the metric, D^(−1/2) times it, shape (P,)."""
        flat = ravel_pytree(self._wide(tree))[0]
        return flat if self._unit is None else self._unit * flat

    def unravel(self, v: jax.Array) -> optax.Updates:
        """The displacement D^(−1/2) v of the parameters, in their dtypes, for v of shape (P,)."""
        scaled = v if self._unit is None else self._unit * v
        return jax.tree.map(lambda x, p: x.astype(jnp.asarray(p).dtype), self._unravel(scaled), self.params)

    def measure(self, displacement: optax.Updates) -> jax.Array:
        """The displacement in the unit of the metric, D^(1/2) times it, shape (P,)."""
        flat = ravel_pytree(self._wide(displacement))[0]
        return flat if self._unit is None else flat / self._unit

    def _wide(self, tree: optax.Params) -> optax.Params:
        return jax.tree.map(lambda x: jnp.asarray(x, self.dtype), tree)

    def _device_rows(self) -> int | None:
        return _devices.rows_of_each([(b.num_points, b.num_residuals(self.params)) for b in self.loss.blocks])

    @property
    def _scales(self) -> list[jax.Array]:
        return [block.scale(self.dtype) for block in self.loss.blocks]

    def _broadcast(self, metric: optax.Params) -> jax.Array:
        spread = lambda p, d: jnp.broadcast_to(jnp.asarray(d, self.dtype), p.shape)
        return ravel_pytree(jax.tree.map(spread, self.params, metric))[0]
