"""Losses that are weighted means of squared residuals and remember their blocks."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from isgd_optax._layers import LayerFactors
from isgd_optax._pytree import FieldsAsLeaves, as_pytree


class Residual(FieldsAsLeaves):
    """One block of a least-squares loss: the same residual at many points.

    A pytree whose leaves are the points, the weight and any arrays that ``fn`` holds: new points
    of the same shape do not recompile a function that takes the block as its argument.

    Args:
      fn: ``fn(params, point)``, the residual or residuals (any shape) at one point. Compared by
        equality between calls, so hand over the same function, not a new lambda every time.
      points: a pytree of arrays that share their leading axis, the points.
      weight: w ≥ 0.
      name: what the block is called in reports.

    Raises:
      ValueError: no points, leading axes that differ, or a negative weight.

    Examples:
      >>> import jax.numpy as jnp
      >>> from isgd_optax import Residual
      >>> block = Residual(lambda params, x: params * x - 1.0, jnp.array([1.0, 2.0]))
      >>> print(block.residuals(jnp.asarray(1.0)))
      [0. 1.]
    """

    _leaves = ("fn", "points", "weight")
    _static = ("name",)

    def __init__(
        self,
        fn: Callable[[Any, Any], ArrayLike],
        points: Any,
        weight: ArrayLike = 1.0,
        name: str | None = None,
    ):
        shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(points)]
        if not shapes or any(not shape or shape[0] != shapes[0][0] for shape in shapes) or shapes[0][0] == 0:
            raise ValueError(
                f"points must be arrays with one common, non-zero leading axis, got shapes {shapes}."
            )
        if not isinstance(weight, Tracer) and not np.all(np.asarray(weight) >= 0):
            raise ValueError(f"weight must be at least 0, got {weight}.")
        self.fn = as_pytree(fn)
        self.points = points
        self.weight = weight
        self.name = name

    @property
    def num_points(self) -> int:
        """The number of points N of the block."""
        return jax.tree.leaves(self.points)[0].shape[0]

    def residuals(self, params: Any) -> jax.Array:
        """The residuals at every point, unscaled: shape (N, ...)."""
        return jax.vmap(self.fn, in_axes=(None, 0))(params, self.points)

    def num_residuals(self, params: Any) -> int:
        """The number of residuals M at each point."""
        shape = jax.eval_shape(self.fn, params, jax.tree.map(lambda x: x[0], self.points)).shape
        return math.prod(shape)

    def scale(self, dtype: Any) -> jax.Array:
        """√(w/N), the factor of the block's residuals in the stacked vector."""
        return jnp.sqrt(jnp.asarray(self.weight, dtype) / self.num_points)

    def layer_factors(self, params: Any) -> dict[str, LayerFactors] | None:
        """The factors of each dense layer at every point, if ``fn.layer_factors`` offers them, else None.

        ``fn``, if it is a pytree (:class:`FieldsAsLeaves`), may have a method
        ``layer_factors(params, point)`` that gives a :class:`LayerFactors` by the layer's name, or None
        unless all that the residual takes from ``params`` are the kernels and biases of these layers.
        """
        offer = getattr(self.fn, "layer_factors", None)
        if offer is None or jax.eval_shape(offer, params, jax.tree.map(lambda x: x[0], self.points)) is None:
            return None
        factors = jax.vmap(offer, in_axes=(None, 0))(params, self.points)
        joined = lambda taps: taps.reshape(taps.shape[0], -1, *taps.shape[-2:])
        return {name: f._replace(taps=joined(f.taps)) for name, f in factors.items()}

    def __call__(self, params: Any) -> jax.Array:
        """The unweighted loss of the block, mean_i |fn(params, xᵢ)|²."""
        return jnp.sum(jnp.square(self.residuals(params))) / self.num_points


class LeastSquares(FieldsAsLeaves):
    r"""A loss that is a weighted sum of mean squared residuals.

    .. math:: L(\theta) = \sum_m w_m \frac{1}{N_m} \sum_{i=1}^{N_m} |f_m(\theta, x_i)|^2

    the form of the PINN loss, paper Eq. 6. Usable as any ``value_fn``, by every optax solver; a
    pytree, see :class:`Residual`.

    Args:
      *residuals: the blocks.

    Raises:
      ValueError: no blocks, or two of the same name.
      TypeError: a block is not a :class:`Residual`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from isgd_optax import LeastSquares, Residual
      >>> x = jnp.linspace(0.0, 1.0, 5)
      >>> loss = LeastSquares(
      ...     Residual(lambda p, x: p["a"] * x - 2 * x, x, name="data"),
      ...     Residual(lambda p, x: p["a"] - 1, jnp.zeros(1), weight=0.5, name="prior"),
      ... )
      >>> params = {"a": jnp.asarray(2.0)}
      >>> print(loss(params))
      0.5
      >>> print({name: float(value) for name, value in loss.losses(params).items()})
      {'data': 0.0, 'prior': 1.0}
    """

    _leaves = ("blocks",)

    def __init__(self, *residuals: Residual):
        if not residuals:
            raise ValueError("LeastSquares needs at least one Residual.")
        for block in residuals:
            if not isinstance(block, Residual):
                raise TypeError(f"LeastSquares takes Residual blocks, got {block!r}.")
        self.blocks = residuals
        if len(set(self.names)) != len(residuals):
            raise ValueError(f"blocks must have different names, got {self.names}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The blocks' names; a block without one is called by its position."""
        return tuple(block.name or f"block{i}" for i, block in enumerate(self.blocks))

    def losses(self, params: Any) -> dict[str, jax.Array]:
        """Each block's unweighted loss by name."""
        return {name: block(params) for name, block in zip(self.names, self.blocks, strict=True)}

    def residuals(self, params: Any) -> jax.Array:
        """The stacked vector r with ‖r‖² = L: √(w/N) times each residual, flat."""
        return jnp.concatenate(
            [
                (block.scale(r.dtype) * r).reshape(-1)
                for block, r in ((block, block.residuals(params)) for block in self.blocks)
            ]
        )

    def __call__(self, params: Any) -> jax.Array:
        """The loss L(params), a scalar."""
        total = None
        for block in self.blocks:
            loss = block(params)
            loss = jnp.asarray(block.weight, loss.dtype) * loss
            total = loss if total is None else total + loss
        assert total is not None  # there is at least one block
        return total
