"""The contraction of a residual's eigenmodes in one step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from isgd_optax._gauss_newton._losses import LeastSquares
from isgd_optax.diagnostics._gram import check_blocks, compiled_gram


class Contraction(NamedTuple):
    """How a step contracts the residual along each eigenvector of K; arrays of shape (N,).

    Attributes:
      eigenvalues: The eigenvalues λᵢ of K at θₙ, in increasing order.
      before: The components uᵢᵀr(θₙ) of the residual.
      after: The components uᵢᵀr(θₙ₊₁) of the residual.
      predicted: The paper's contraction, 1/(1 + 2αλᵢ).
    """

    eigenvalues: jax.Array
    before: jax.Array
    after: jax.Array
    predicted: jax.Array

    @property
    def measured(self) -> jax.Array:
        """The absolute ratio of uᵢᵀr(θₙ₊₁) to uᵢᵀr(θₙ)."""
        return jnp.abs(self.after) / jnp.abs(self.before)


def contraction(
    loss: LeastSquares,
    params: optax.Params,
    new_params: optax.Params,
    learning_rate: ArrayLike,
    *,
    kernel: str = "auto",
) -> Contraction:
    r"""The contraction of each eigenmode of the residual in one step against the paper's theory.

    With K = JJᵀ = UΛUᵀ at θₙ, the implicit step of the linearised residual gives

    .. math:: u_i^T r(\theta_{n+1}) = \frac{u_i^T r(\theta_n)}{1 + 2 \alpha \lambda_i}

    (paper Eq. 27 in the scaling L = ‖r‖²). A measured ratio that differs shows the nonlinearity of r or
    an equation that is not solved.

    Args:
      loss: A :class:`LeastSquares` with N residuals in all.
      params: The parameters θₙ before the step.
      new_params: The parameters θₙ₊₁ after it.
      learning_rate: The step size α.
      kernel: The way in which K is formed, see :func:`isgd_optax.gauss_newton`.

    Returns:
      A :class:`Contraction`.

    Raises:
      TypeError: ``loss`` is no :class:`LeastSquares`, or a block's loss is no sum of squares.
      ValueError: As of :func:`gram_matrix`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from isgd_optax import LeastSquares, Residual, diagnostics
      >>> loss = LeastSquares(Residual(lambda p, x: p * x - 1, jnp.ones(1)))
      >>> result = diagnostics.contraction(loss, jnp.asarray(0.0), jnp.asarray(2 / 3), 1.0)
      >>> print(result.measured.round(4), result.predicted.round(4))
      [0.3333] [0.3333]

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Eq. 27.
    """
    check_blocks(loss)
    new_residual = jax.jit(lambda params: loss.residuals(params))(new_params)
    gram, residual = compiled_gram(loss, params, kernel)
    eigenvalues, vectors = jnp.linalg.eigh(gram)
    project = lambda r: jnp.matmul(vectors.T, r.astype(gram.dtype), precision="highest")
    return Contraction(
        eigenvalues,
        project(residual),
        project(new_residual),
        1 / (1 + 2 * jnp.asarray(learning_rate) * jnp.maximum(eigenvalues, 0)),
    )
