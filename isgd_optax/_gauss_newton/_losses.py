"""Losses that are weighted means over points and remember their residuals."""

import inspect
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._gauss_newton import _residual_checks as _checks
from isgd_optax._gauss_newton._factors import ResidualFn
from isgd_optax._gauss_newton._jacobian import ResidualJacobian
from isgd_optax._gauss_newton._quadratic import QuadraticModel, quadratic_models
from isgd_optax._gauss_newton._rows import along_points
from isgd_optax._norms import scalar_dtype, sum_dtype
from isgd_optax._sharding import without_explicit_axes
from isgd_optax._tree import ArrayTree, FieldsAsLeaves, as_pytree


class Residual(FieldsAsLeaves):
    r"""One block of a least-squares loss: the same residual at many points.

    .. math:: L(\theta) = \frac{1}{N} \sum_{i=1}^{N} w_i |f(\theta, x_i)|^2
      \quad\text{or}\quad \frac{1}{N} \sum_{i=1}^{N} w_i \, \ell(f(\theta, x_i))

    A pytree whose leaves are the points, the weight and any arrays that ``fn`` and ``loss`` hold: new
    points of the same shape do not recompile a function that takes the block as its argument.

    Args:
      fn: ``fn(params, point)``, the residual or residuals (any shape, real) at one point. Compared by
        equality between calls: hand over the same function, no new lambda, and no object that you change.
      points: The points, a pytree of arrays that share their leading axis of length N.
      weight: The weight w ≥ 0 of the block, a number, or a weight for each point, shape (N,). Weights of
        points do not have to sum to anything: the mean divides by N.
      name: What the block is called in reports.
      loss: None for squares, or a convex function ℓ of the residual at one point to a scalar, or
        ``loss(residual, point)``. What it returns in another shape is summed. :func:`gauss_newton` then
        steps with the generalised Gauss–Newton matrix Jᵀ(∇²ℓ)J. It takes, for every point, an
        eigendecomposition of a matrix as large as the residual. Where ℓ is not convex, directions of
        negative curvature count as straight.

    Raises:
      ValueError: No points, leading axes that differ, a weight of another shape, or a negative one.
      TypeError: Sparse points; an ``fn`` without a hash; at trace time, a complex residual.

    Examples:
      >>> import jax.numpy as jnp, optax
      >>> from isgd_optax import Residual
      >>> block = Residual(lambda params, x: params * x - 1.0, jnp.array([1.0, 2.0]))
      >>> print(block.residuals(jnp.asarray(1.0)))
      [0. 1.]

      A classifier, each of whose points is an image and its label:

      >>> logits = lambda params, point: params @ point["image"]
      >>> def cross_entropy(logits, point):
      ...     return optax.softmax_cross_entropy_with_integer_labels(logits, point["label"])
      >>> points = {"image": jnp.eye(3), "label": jnp.array([0, 1, 0])}
      >>> block = Residual(logits, points, loss=cross_entropy)
      >>> print(block(jnp.zeros((2, 3))).round(3))
      0.693

    References:
      Schraudolph, Fast curvature matrix-vector products for second-order gradient descent, 2002.
    """

    _leaves = ("fn", "points", "weight", "loss")
    _static = ("name", "_of_point")

    def __init__(
        self,
        fn: ResidualFn,
        points: ArrayTree,
        weight: ArrayLike = 1.0,
        name: str | None = None,
        loss: Callable[..., ArrayLike] | None = None,
    ):
        _checks.check_functions(fn, loss)
        _checks.check_weight(weight, _checks.check_points(points))
        self.fn = as_pytree(fn)
        self.points = points
        self.weight = weight
        self.name = name
        self.loss = None if loss is None else as_pytree(loss)
        self._of_point = loss is not None and _takes_two(loss)

    @property
    def num_points(self) -> int:
        """The number of points N of the block."""
        return jax.tree.leaves(self.points)[0].shape[0]

    def residuals(self, params: optax.Params) -> jax.Array:
        """The residuals at every point, unscaled: shape (N, ...)."""
        found = _checks.one_array(jax.vmap(self.fn, in_axes=(None, 0))(params, self.points))
        return found if jnp.issubdtype(found.dtype, jnp.floating) else found.astype(scalar_dtype(params))

    def num_residuals(self, params: optax.Params) -> int:
        """The number of residuals M at each point."""
        return math.prod(
            _checks.one_array(jax.eval_shape(self.fn, params, _checks.a_point(self.points))).shape
        )

    def __repr__(self) -> str:
        fn = getattr(self.fn, "func", self.fn)
        called = getattr(fn, "__name__", None) or type(fn).__name__
        return f"Residual({self.name or called}, {self.num_points} points)"

    def scale(self, dtype: jnp.dtype) -> jax.Array:
        """√(w/N), the factor of the block's residuals in the stacked vector, of the weight's shape."""
        return jnp.sqrt(jnp.asarray(self.weight, sum_dtype(dtype)) / self.num_points).astype(dtype)

    def models(self, residuals: jax.Array) -> QuadraticModel | None:
        """The quadratic models of ``loss`` around ``residuals``, shape (N, ...); None for squares."""
        return None if self.loss is None else quadratic_models(self._loss_at, residuals, self.points)

    def __call__(self, params: optax.Params) -> jax.Array:
        """The loss of the block, with the weight of each point but without that of the block."""
        return self.total(self.residuals(params))

    def total(self, residuals: jax.Array) -> jax.Array:
        """The same from the residuals at every point, shape (N, ...)."""
        if self.loss is None:
            losses = jnp.square(residuals)
        else:
            losses = jax.vmap(self._loss_at)(residuals, self.points)
        if jnp.ndim(self.weight) == 1:
            losses = along_points(jnp.asarray(self.weight, losses.dtype), losses) * losses
        return (jnp.sum(losses, dtype=sum_dtype(losses.dtype)) / self.num_points).astype(losses.dtype)

    @property
    def block_weight(self) -> ArrayLike:
        """The weight of the block; 1 where each point has its own."""
        return self.weight if jnp.ndim(self.weight) == 0 else 1.0

    def _loss_at(self, residual: jax.Array, point: ArrayTree) -> jax.Array:
        assert self.loss is not None
        return jnp.sum(jnp.asarray(self.loss(residual, *([point] if self._of_point else []))))


def _takes_two(fn: Callable[..., ArrayLike]) -> bool:
    """Whether ``fn`` requires two positional arguments."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except ValueError:  # some builtins have no signature
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return sum(p.default is p.empty for p in positional) >= 2


class LeastSquares(FieldsAsLeaves):
    r"""A loss that is a weighted sum of mean squared residuals, or of convex losses of residuals.

    .. math:: L(\theta) = \sum_m w_m \frac{1}{N_m} \sum_{i=1}^{N_m} |f_m(\theta, x_i)|^2

    the form of the PINN loss, paper Eq. 6. Usable as any ``value_fn``, by every optax solver; a
    pytree, see :class:`Residual`.

    Args:
      *residuals: The blocks, each a :class:`Residual`.

    Raises:
      ValueError: No blocks, or two of the same name.
      TypeError: A block is not a :class:`Residual`.

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
                unpacked = ": unpack it, LeastSquares(*blocks)" if isinstance(block, (list, tuple)) else ""
                raise TypeError(f"LeastSquares takes Residual blocks, got {block!r}{unpacked}.")
        self.blocks = residuals
        if len(set(self.names)) != len(residuals):
            raise ValueError(f"blocks must have different names, got {self.names}.")

    def __repr__(self) -> str:
        return f"LeastSquares({', '.join(map(repr, self.blocks))})"

    @property
    def names(self) -> tuple[str, ...]:
        """The blocks' names; a block without one is called by its position."""
        return tuple(block.name or f"block{i}" for i, block in enumerate(self.blocks))

    def losses(self, params: optax.Params) -> dict[str, jax.Array]:
        """Each block's loss by name, without the weight of the block."""
        return {name: block(params) for name, block in zip(self.names, self.blocks, strict=True)}

    @without_explicit_axes
    def residuals(self, params: optax.Params) -> jax.Array:
        """The stacked vector r with ‖r‖² = L: √(w/N) times each residual, flat.

        Raises:
          TypeError: A block's loss is no sum of squares.
        """
        for name, block in zip(self.names, self.blocks, strict=True):
            if block.loss is not None:
                raise TypeError(
                    f"the block {name!r} has a loss that is no sum of squares, so that there is no vector r "
                    "with ‖r‖² = L. Its own residuals are block.residuals(params)."
                )
        pairs = zip(self.blocks, self.evaluate(params), strict=True)
        return jnp.concatenate([(along_points(b.scale(r.dtype), r) * r).reshape(-1) for b, r in pairs])

    @without_explicit_axes
    def gauss_newton_diagonal(self, params: optax.Params) -> optax.Params:
        """diag(JᵀJ) of the stacked residuals (of their quadratic models), a pytree like ``params``."""
        return ResidualJacobian(self, params).squared_columns()

    def __call__(self, params: optax.Params) -> jax.Array:
        """The loss L(params), a scalar."""
        return self.total(self.evaluate(params))

    def evaluate(self, params: optax.Params) -> list[jax.Array]:
        """The residuals of every block at its points, unscaled, shape (N, ...)."""
        return [block.residuals(params) for block in self.blocks]

    def total(self, residuals: Sequence[jax.Array]) -> jax.Array:
        """The loss of residuals that :meth:`evaluate` gave."""
        total = None
        for block, outputs in zip(self.blocks, residuals, strict=True):
            loss = block.total(outputs)
            loss = jnp.asarray(block.block_weight, loss.dtype) * loss
            total = loss if total is None else total + loss
        assert total is not None  # there is at least one block
        return total
