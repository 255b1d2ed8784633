"""The Gram matrix of a loss and its spectrum."""

import functools
import hashlib
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from isgd_optax._checks import check_choice, check_count
from isgd_optax._gauss_newton._jacobian import KERNELS, ROW_BLOCK, ResidualJacobian
from isgd_optax._gauss_newton._loss_checks import check_not_overridden
from isgd_optax._gauss_newton._losses import LeastSquares
from isgd_optax._sharding import without_explicit_axes

Result = TypeVar("Result")


def gram_matrix(
    loss: LeastSquares, params: optax.Params, *, kernel: str = "auto", row_block: int = ROW_BLOCK
) -> jax.Array:
    r"""The Gram matrix K = JJᵀ of the stacked residuals, of any network.

    How each parameter enters the residuals is read from their jaxpr, whatever library the network was
    written with: a matrix in products is given factors, an added vector and any other parameter rows of J.

    Args:
      loss: A :class:`LeastSquares` with N residuals in all. Of a convex loss the residuals are those of its
        quadratic models.
      params: The parameters θ at which J is taken.
      kernel: The way in which K is formed, see :func:`isgd_optax.gauss_newton`.
      row_block: The number of points whose rows of J are differentiated at once.

    Returns:
      Shape (N, N), exactly symmetric, float64 if ``jax_enable_x64`` is set.

    Raises:
      TypeError: ``loss`` is no :class:`LeastSquares`.
      ValueError: Another ``kernel``, a ``row_block`` < 1, or with ``kernel="layers"`` parameters that are no
        matrix in products or added vector; the message names them.

    Examples:
      >>> import jax.numpy as jnp
      >>> from isgd_optax import LeastSquares, Residual, diagnostics
      >>> loss = LeastSquares(Residual(lambda p, x: x @ p, jnp.array([[3.0, 0.0], [0.0, 4.0]])))
      >>> print(diagnostics.gram_matrix(loss, jnp.ones(2)).round(3))
      [[4.5 0. ]
       [0.  8. ]]

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Eq. 16. Novak, Sohl-Dickstein and Schoenholz, Fast finite width neural tangent kernel,
      2022.
    """
    return compiled_gram(loss, params, kernel, row_block)[0]


def gram_spectrum(loss: LeastSquares, params: optax.Params, *, kernel: str = "auto") -> jax.Array:
    r"""The eigenvalues of the Gram matrix K = JJᵀ of the stacked residuals, in increasing order.

    Twice them are all non-zero eigenvalues of the Gauss–Newton matrix :math:`2 J^T J` of L = ‖r‖², which
    is the Hessian of L where the residuals vanish.

    Args:
      loss: A :class:`LeastSquares` with N residuals in all.
      params: The parameters θ at which J is taken.
      kernel: The way in which K is formed, see :func:`isgd_optax.gauss_newton`.

    Returns:
      Shape (N,), float64 if ``jax_enable_x64`` is set; small ones may be rounding errors below
      N·eps times the largest, also negative.

    Raises:
      TypeError: ``loss`` is no :class:`LeastSquares`.
      ValueError: As of :func:`gram_matrix`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from isgd_optax import LeastSquares, Residual, diagnostics
      >>> loss = LeastSquares(Residual(lambda p, x: p * x, jnp.array([[3.0, 0.0], [0.0, 4.0]])))
      >>> spectrum = diagnostics.gram_spectrum(loss, jnp.ones(2))
      >>> [round(float(eigenvalue), 3) for eigenvalue in spectrum]
      [0.0, 0.0, 4.5, 8.0]

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Eq. 16 and Figure 1.
    """
    return jnp.linalg.eigvalsh(gram_matrix(loss, params, kernel=kernel))


def compiled_gram(
    loss: LeastSquares, params: optax.Params, kernel: str, row_block: int = ROW_BLOCK
) -> tuple[jax.Array, jax.Array]:
    """K and the residuals."""
    check_blocks(loss)
    check_choice("kernel", kernel, KERNELS)
    row_block = check_count("row_block", row_block, 1)
    return _compiled(_gram, loss, params, kernel, row_block)


def compiled_rows(loss: LeastSquares, params: optax.Params) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """J, the residuals, and half of what ∇L has beside 2 Jᵀr where a loss has no curvature, or None."""
    check_blocks(loss)
    return _compiled(_rows, loss, params)


def check_blocks(loss: LeastSquares) -> None:
    """Raises TypeError for another loss, or one whose classes compute it otherwise."""
    if not isinstance(loss, LeastSquares):
        raise TypeError(f"the Gram matrix needs a LeastSquares of Residual blocks, got {loss!r}.")
    check_not_overridden(loss)


def _compiled(fn: Callable[..., Result], loss: LeastSquares, params: optax.Params, *static: object) -> Result:
    """``fn`` compiled as one, op by op it is hundreds of small compilations, and again once it is another.

    ``jax.jit`` knows a residual by its equality. What that calls and the globals that it reads may have
    changed since, as in a notebook, while the residual is the same: the text of its program tells.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((loss, params))):
        return without_explicit_axes(jax.jit(lambda loss, params: fn(loss, params, *static)))(loss, params)
    anew = jax.jit(without_explicit_axes(lambda loss, params: loss(params))).lower(loss, params)
    text = anew.as_text()
    # A Python function that is called back is not in the text.
    program = object() if "callback" in text else hashlib.sha256(text.encode()).hexdigest()
    return without_explicit_axes(_of_program)(loss, params, fn, static, program)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _of_program(
    loss: LeastSquares,
    params: optax.Params,
    fn: Callable[..., Result],
    static: tuple[object, ...],
    program: object,
) -> Result:
    del program  # part of what jit knows it by
    return fn(loss, params, *static)


def _gram(
    loss: LeastSquares, params: optax.Params, kernel: str, row_block: int
) -> tuple[jax.Array, jax.Array]:
    jacobian = ResidualJacobian(loss, params, kernel=kernel, row_block=row_block)
    return jacobian.gram(), jacobian.residual


def _rows(loss: LeastSquares, params: optax.Params) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    jacobian = ResidualJacobian(loss, params, kernel="rows", row_block=ROW_BLOCK)
    return jacobian.rows(), jacobian.residual, jacobian.slope
