"""Measurements of the stiffness of a loss and of what implicit steps make of it.

Call them under ``jax.jit`` for speed; none of them is part of a training step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from isgd_optax._gauss_newton._jacobian import ROW_BLOCK, ResidualJacobian
from isgd_optax._gauss_newton._losses import LeastSquares

__all__ = [
    "Contraction",
    "HessianSpectrum",
    "LossDecay",
    "contraction",
    "gram_matrix",
    "gram_spectrum",
    "hessian_spectrum",
    "loss_decay",
]


def gram_matrix(
    loss: LeastSquares, params: Any, *, kernel: str = "auto", row_block: int = ROW_BLOCK
) -> jax.Array:
    r"""The Gram matrix K = JJᵀ of the stacked residuals, of any network.

    How each parameter enters the residuals is read from their jaxpr, whatever library the network was
    written with: a matrix in products is given factors, an added vector and any other parameter rows of J.

    Args:
      loss: A :class:`LeastSquares` with N residuals in all. Of a convex loss the residuals are those of its
        quadratic models.
      params: The parameters θ at which J is taken.
      kernel: See :func:`isgd_optax.gauss_newton`.
      row_block: The number of points whose rows of J are differentiated at once.

    Returns:
      Shape (N, N), exactly symmetric, float64 if ``jax_enable_x64`` is set.

    Raises:
      TypeError: ``loss`` is no :class:`LeastSquares`.
      ValueError: With ``kernel="layers"``, parameters that are no matrix in products or added vector; the
        message names them.

    Examples:
      >>> import jax.numpy as jnp
      >>> from isgd_optax import LeastSquares, Residual, diagnostics
      >>> loss = LeastSquares(Residual(lambda p, x: x @ p, jnp.array([[3.0, 0.0], [0.0, 4.0]])))
      >>> print(diagnostics.gram_matrix(loss, jnp.ones(2)))
      [[4.5 0. ]
       [0.  8. ]]

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Eq. 16. Novak, Sohl-Dickstein and Schoenholz, Fast finite width neural tangent kernel,
      2022.
    """
    return _linearize(loss, params, kernel, row_block).gram()


def gram_spectrum(loss: LeastSquares, params: Any, *, kernel: str = "auto") -> jax.Array:
    r"""The eigenvalues of the Gram matrix K = JJᵀ of the stacked residuals, in increasing order.

    Twice them are all non-zero eigenvalues of the Gauss–Newton matrix :math:`2 J^T J` of L = ‖r‖², which
    is the Hessian of L where the residuals vanish.

    Args:
      loss: a :class:`LeastSquares` with N residuals in all.
      params: where.
      kernel: see :func:`isgd_optax.gauss_newton`.

    Returns:
      Shape (N,), float64 if ``jax_enable_x64`` is set; small ones may be rounding errors below
      N·eps times the largest, also negative.

    Raises:
      TypeError: ``loss`` is no :class:`LeastSquares`.

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
    return jnp.linalg.eigvalsh(_linearize(loss, params, kernel).gram())


class HessianSpectrum(NamedTuple):
    """What Lanczos finds out about the eigenvalues of a Hessian.

    Attributes:
      eigenvalues: Ritz values of each probe, in increasing order, shape (probes, steps). The first and
        the last ones of a row converge to the extreme eigenvalues.
      weights: the share of the spectrum near each, shape (probes, steps); each row sums to 1.
    """

    eigenvalues: jax.Array
    weights: jax.Array

    @property
    def smallest(self) -> jax.Array:
        """The smallest Ritz value, an upper bound of the smallest eigenvalue."""
        return jnp.min(self.eigenvalues)

    @property
    def largest(self) -> jax.Array:
        """The largest Ritz value, a lower bound of the largest eigenvalue."""
        return jnp.max(self.eigenvalues)

    def cumulative(self, values: ArrayLike) -> jax.Array:
        """The estimated share of eigenvalues that are at most ``values``, of the same shape."""
        values = jnp.asarray(values)
        below = self.eigenvalues.reshape(-1)[None] <= values.reshape(-1)[:, None]
        shares = jnp.sum(jnp.where(below, self.weights.reshape(-1)[None], 0), axis=1)
        return (shares / self.eigenvalues.shape[0]).reshape(values.shape)


def hessian_spectrum(
    value_fn: Callable[[Any], ArrayLike],
    params: Any,
    key: jax.Array,
    *,
    num_steps: int = 80,
    num_probes: int = 1,
) -> HessianSpectrum:
    """Extreme eigenvalues and density of ∇²L by Lanczos with full reorthogonalisation.

    Costs ``num_probes · num_steps`` Hessian-vector products, each about two gradients, and memory for
    ``num_steps`` vectors like the parameters. Needs the package matfree.

    Args:
      value_fn: L; any loss.
      params: where, P numbers in all.
      key: a JAX random key, for the probe vectors; not the one that the parameters were initialised with,
        since the density is right only for probes independent of them.
      num_steps: Lanczos steps, at most P.
      num_probes: random vectors to average the density over.

    Returns:
      A :class:`HessianSpectrum`.

    Raises:
      ImportError: matfree is not installed.
      ValueError: a number below 1 or more steps than parameters.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from isgd_optax import diagnostics
      >>> curvatures = jnp.array([-1.0, 2.0, 30.0])
      >>> loss = lambda p: 0.5 * jnp.sum(curvatures * p**2)
      >>> spectrum = diagnostics.hessian_spectrum(loss, jnp.zeros(3), jax.random.key(0), num_steps=3)
      >>> [round(float(eigenvalue), 3) for eigenvalue in spectrum.eigenvalues[0]]
      [-1.0, 2.0, 30.0]

    References:
      Ghorbani, Krishnan and Xiao, An investigation into neural net optimization via Hessian eigenvalue
      density, 2019.
    """
    try:
        from matfree import decomp
    except ImportError as error:
        raise ImportError("hessian_spectrum needs matfree: pip install 'isgd-optax[diagnostics]'.") from error
    flat, unravel = ravel_pytree(params)
    if num_probes < 1 or not 1 <= num_steps <= flat.size:
        raise ValueError(
            f"num_probes must be at least 1 and num_steps between 1 and the {flat.size} parameters, got "
            f"{num_probes} and {num_steps}."
        )
    grad = jax.grad(lambda p: jnp.asarray(value_fn(unravel(p))))
    product = lambda v: jax.jvp(grad, (flat,), (v,))[1]
    lanczos = decomp.tridiag_sym(num_steps, reortho="full")

    def probe(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        vector = jax.random.normal(key, flat.shape, flat.dtype)
        values, vectors = jnp.linalg.eigh(lanczos(product, vector).J_small)
        return values, jnp.square(vectors[0])

    return HessianSpectrum(*jax.lax.map(probe, jax.random.split(key, num_probes)))


class LossDecay(NamedTuple):
    """The change of the loss in one step, and the paper's formula for it; scalars.

    Attributes:
      actual: L(θₙ₊₁) − L(θₙ).
      predicted: the right-hand side of Eq. 10 (gradient descent) or Eq. 11 (implicit).
      gradient_term: α‖∇L‖², at θₙ or at θₙ₊₁.
      curvature: Σλᵢyᵢ², the Hessian along the step, averaged as Taylor's theorem has it.
    """

    actual: jax.Array
    predicted: jax.Array
    gradient_term: jax.Array
    curvature: jax.Array


def loss_decay(
    value_fn: Callable[[Any], ArrayLike],
    params: Any,
    new_params: Any,
    learning_rate: ArrayLike,
    *,
    implicit: bool = True,
    num_nodes: int = 8,
) -> LossDecay:
    r"""The change of the loss from ``params`` to ``new_params`` against paper Eq. 11, or Eq. 10.

    .. math::
      L(\theta_{n+1}) - L(\theta_n) = \alpha \lVert \nabla L \rVert^2
      \left( -1 \mp \tfrac12 \alpha \sum_i \lambda_i y_i^2 \right)

    with the gradient at :math:`\theta_{n+1}` and − for an implicit step, at :math:`\theta_n` and + for
    a step of gradient descent. The paper's Hessian at an unknown ξ is here its mean over the step with
    Taylor's weights, by Gauss–Legendre quadrature, so that the formula holds to quadrature error for a
    step that solves its equation; what is missing is then how far it does not.

    Args:
      value_fn: L; any twice differentiable loss.
      params: θₙ.
      new_params: θₙ₊₁.
      learning_rate: α.
      implicit: whether the step is implicit.
      num_nodes: of the quadrature.

    Returns:
      A :class:`LossDecay`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from isgd_optax import diagnostics
      >>> loss = lambda p: jnp.sum(2.0 * p**2)  # curvature 4
      >>> decay = diagnostics.loss_decay(loss, jnp.array([1.0]), jnp.array([0.2]), 1.0)
      >>> print(decay.actual.round(4), decay.predicted.round(4), decay.curvature.round(4))
      -1.92 -1.92 4.0

    References:
      Li, Chen and Huang, Implicit Stochastic Gradient Descent for Training Physics-informed Neural
      Networks, 2023, Eqs. 10 and 11.
    """
    learning_rate = jnp.asarray(learning_rate)
    step = optax.tree.sub(new_params, params)
    base, sign = (new_params, -1) if implicit else (params, 1)
    grad_fn = jax.grad(lambda p: jnp.asarray(value_fn(p)))
    gradient_term = learning_rate * jnp.asarray(optax.tree.norm(grad_fn(base), squared=True))
    # L(base + t h) = L + h·∇L + ∫₀¹ (1 − s) hᵀH(base + s h)h ds with h leading away from base.
    away = optax.tree.scale(sign, step)
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    nodes, weights = (nodes + 1) / 2, weights / 2

    def along(s: jax.Array) -> jax.Array:
        point = optax.tree.add_scale(base, s, away)
        return jnp.asarray(optax.tree.vdot(away, jax.jvp(grad_fn, (point,), (away,))[1]))

    length = jnp.asarray(optax.tree.norm(step, squared=True))
    values = jax.lax.map(along, jnp.asarray(nodes, length.dtype))
    curvature = 2 * jnp.sum(jnp.asarray(weights * (1 - nodes), length.dtype) * values)
    curvature = jnp.where(length > 0, curvature / jnp.where(length > 0, length, 1), 0)
    actual = jnp.asarray(value_fn(new_params)) - jnp.asarray(value_fn(params))
    predicted = gradient_term * (-1 + sign * learning_rate * curvature / 2)
    return LossDecay(actual, predicted, gradient_term, curvature)


class Contraction(NamedTuple):
    """How a step contracts the residual along each eigenvector of K; arrays of shape (N,).

    Attributes:
      eigenvalues: λᵢ of K at θₙ, in increasing order.
      before: components uᵢᵀr(θₙ).
      after: components uᵢᵀr(θₙ₊₁).
      predicted: 1/(1 + 2αλᵢ), the paper's contraction.
    """

    eigenvalues: jax.Array
    before: jax.Array
    after: jax.Array
    predicted: jax.Array

    @property
    def measured(self) -> jax.Array:
        """|uᵢᵀr(θₙ₊₁)| / |uᵢᵀr(θₙ)|."""
        return jnp.abs(self.after) / jnp.abs(self.before)


def contraction(
    loss: LeastSquares, params: Any, new_params: Any, learning_rate: ArrayLike, *, kernel: str = "auto"
) -> Contraction:
    r"""The contraction of each eigenmode of the residual in one step against the paper's theory.

    With K = JJᵀ = UΛUᵀ at θₙ, the implicit step of the linearised residual gives

    .. math:: u_i^T r(\theta_{n+1}) = \frac{u_i^T r(\theta_n)}{1 + 2 \alpha \lambda_i}

    (paper Eq. 27 in the scaling L = ‖r‖²). A measured ratio that differs shows the nonlinearity of r or
    an equation that is not solved.

    Args:
      loss: a :class:`LeastSquares` with N residuals in all.
      params: θₙ.
      new_params: θₙ₊₁.
      learning_rate: α.
      kernel: see :func:`isgd_optax.gauss_newton`.

    Returns:
      A :class:`Contraction`.

    Raises:
      TypeError: ``loss`` is no :class:`LeastSquares`.

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
    lin = _linearize(loss, params, kernel)
    eigenvalues, vectors = jnp.linalg.eigh(lin.gram())
    project = lambda r: jnp.matmul(vectors.T, r.astype(lin.dtype), precision="highest")
    return Contraction(
        eigenvalues,
        project(lin.residual),
        project(loss.residuals(new_params)),
        1 / (1 + 2 * jnp.asarray(learning_rate) * jnp.maximum(eigenvalues, 0)),
    )


def _linearize(loss: LeastSquares, params: Any, kernel: str, row_block: int = ROW_BLOCK) -> ResidualJacobian:
    if not isinstance(loss, LeastSquares):
        raise TypeError(f"the Gram matrix needs a LeastSquares of Residual blocks, got {loss!r}.")
    return ResidualJacobian(loss, params, kernel=kernel, row_block=row_block)
