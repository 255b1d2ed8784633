"""An estimate of a solution's error without an exact solution."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from isgd_optax._checks import check_at_least
from isgd_optax._gauss_newton._losses import LeastSquares
from isgd_optax.diagnostics._gram import compiled_rows
from isgd_optax.diagnostics._rounding import rounding


class ErrorEstimate(NamedTuple):
    """The change of a prediction that residuals at new points ask for.

    Attributes:
      change: δu, an estimate of exact minus predicted values, of the prediction's shape.
      relative: ‖δu‖ / ‖u‖, an estimate of the relative L2 error; of several arrays, of all together.
    """

    change: Any
    relative: jax.Array


def error_estimate(
    loss: LeastSquares,
    params: optax.Params,
    predict: Callable[[Any], Any],
    *,
    rcond: float | None = None,
) -> ErrorEstimate:
    r"""How far a prediction is from where a Gauss–Newton step on the loss at new points would bring it.

    A network that was trained on few points has small residuals there, whatever its error. With r and J the
    residuals and the Jacobian of the same loss at points that it was *not* trained on,

    .. math:: \delta\theta = -(J^T J + \lambda)^{-1} J^T r, \qquad
      \delta u = \frac{\partial u}{\partial\theta} \, \delta\theta

    is the correction of u that they ask for, to first order. It needs no exact solution and no derivative
    of the equation's operator; errors that the network cannot represent or that are not small escape it.

    Args:
      loss: A :class:`LeastSquares` on new points, all conditions included: more residuals than parameters,
        else the network may fit them too without a better solution. Of convex losses r and J are those of
        their second-order models, and Jᵀr is half of the gradient.
      params: The parameters θ, P numbers in all; float64.
      predict: A function of the parameters, the prediction u at any points: an array or a pytree of arrays.
      rcond: The root of λ as a share of the largest singular value of J; by default min(N, P) roundings of
        the parameters' dtype, 10 at least.

    Returns:
      An :class:`ErrorEstimate`.

    Raises:
      TypeError: ``loss`` is no :class:`LeastSquares`, or parameters are of half precision.
      ValueError: ``rcond`` is below 0.

    Examples:
      A slope of 1 instead of 2, which a point at 0 does not show and others do:

      >>> import jax.numpy as jnp
      >>> from isgd_optax import LeastSquares, Residual, diagnostics
      >>> fn = lambda slope, x: slope * x - 2 * x
      >>> new_points = LeastSquares(Residual(fn, jnp.array([0.0, 0.5, 1.0])))
      >>> x = jnp.array([0.25, 0.75])
      >>> estimate = diagnostics.error_estimate(new_points, jnp.asarray(1.0), lambda slope: slope * x)
      >>> print(f"{estimate.change[1]:.3f}, relative {estimate.relative:.3f}")
      0.750, relative 1.000

    References:
      Stetter, The defect correction principle and discretization methods, Numerische Mathematik 29, 1978.
    """
    if rcond is not None:
        check_at_least("rcond", rcond, 0)
    rows, residual, slope = compiled_rows(loss, params)
    flat, unravel = ravel_pytree(params)
    share = rounding(rows, params, "error_estimate")
    rcond = share if rcond is None else rcond
    left, values, right = jnp.linalg.svd(rows, full_matrices=False)
    damped = jnp.square(values) + jnp.square(rcond * values[0])
    inverse = jnp.where(damped > 0, 1 / jnp.where(damped > 0, damped, 1), 0)
    along = values * jnp.matmul(left.T, residual, precision="highest")
    if slope is not None:
        along += jnp.matmul(right, slope, precision="highest")
    along *= inverse
    step = unravel(-jnp.matmul(right.T, along, precision="highest").astype(flat.dtype))
    arrays = lambda p: jax.tree.map(jnp.asarray, predict(p))
    value, change = jax.jit(lambda p, v: jax.jvp(arrays, (p,), (v,)))(params, step)
    size = optax.tree.norm(value)
    relative = jnp.where(size > 0, optax.tree.norm(change) / jnp.where(size > 0, size, 1), jnp.inf)
    return ErrorEstimate(change, relative)
