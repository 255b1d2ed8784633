"""Linear solvers by one factorisation of a matrix: dual, primal and QR."""

import functools

import jax
import jax.numpy as jnp

from isgd_optax._gauss_newton._cholesky import cholesky_solve
from isgd_optax._gauss_newton._linear_solver import Jacobian, LinearSolver, Sizes, Solve

_product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


def dual() -> LinearSolver:
    """Solves in the space of residuals, for N ≤ P: e = −Jᵀ(K + λI)⁻¹s with K = JJᵀ, by Cholesky, N×N.

    Returns:
      A :class:`LinearSolver`; it factors once for every λ, and makes one product with Jᵀ for every s.
    """
    return LinearSolver("dual", _init_dual, _dual_bytes, _dual_flops)


def primal() -> LinearSolver:
    """Solves in the space of parameters, for P ≤ N: e = −(JᵀJ + λI)⁻¹Jᵀs, by Cholesky, P×P.

    Returns:
      A :class:`LinearSolver`; it factors once for every λ, and makes one product with Jᵀ for every s.
    """
    return LinearSolver("primal", _init_primal, _primal_bytes, _primal_flops)


def qr() -> LinearSolver:
    """QR of J or Jᵀ and an SVD of its square factor: dearer, but the condition number is not squared.

    Returns:
      A :class:`LinearSolver`; one factorisation serves every λ, and no product is made by differentiation.
    """
    return LinearSolver("qr", _init_qr, _qr_bytes, _qr_flops)


def _init_dual(jacobian: Jacobian) -> Solve:
    gram = jacobian.gram()

    def solve(damping: jax.Array, data: jax.Array) -> tuple[jax.Array, jax.Array]:
        return -jacobian.rmv(cholesky_solve(gram, damping, data)), jnp.ones((), jnp.int32)

    return solve


def _init_primal(jacobian: Jacobian) -> Solve:
    normal = jacobian.normal()

    def solve(damping: jax.Array, data: jax.Array) -> tuple[jax.Array, jax.Array]:
        return -cholesky_solve(normal, damping, jacobian.rmv(data)), jnp.ones((), jnp.int32)

    return solve


def _init_qr(jacobian: Jacobian) -> Solve:
    rows = jacobian.rows()
    tall = jacobian.num_residuals > jacobian.num_params
    # J = Q R with R = U σ Vᵀ, or Jᵀ = Q R with Rᵀ = U σ Vᵀ.
    q, r = jnp.linalg.qr(rows if tall else rows.T)
    u, sigma, vt = jnp.linalg.svd(r if tall else r.T)

    def solve(damping: jax.Array, data: jax.Array) -> tuple[jax.Array, jax.Array]:
        coefficients = _product(u.T, _product(q.T, data) if tall else data)
        step = _product(vt.T, sigma / (sigma**2 + damping) * coefficients)
        return -(step if tall else _product(q, step)), jnp.zeros((), jnp.int32)

    return solve


def _dual_bytes(sizes: Sizes) -> int:
    n, p = sizes.num_residuals, sizes.num_params
    if sizes.num_factors is None:
        # Of several devices each has its own rows and visitors'.
        forming = 2 * n * p if sizes.device_rows is None else 3 * sizes.device_rows * p
    else:
        forming = 3 * sizes.num_factors + n * sizes.largest_layer
    # The matrix, its upper triangle, a damped copy and its factor.
    return sizes.itemsize * (5 * n**2 + forming)


def _primal_bytes(sizes: Sizes) -> int:
    n, p = sizes.num_residuals, sizes.num_params
    return sizes.itemsize * (5 * p**2 + 3 * min(sizes.block_rows, n) * p)


def _qr_bytes(sizes: Sizes) -> int:
    n, p = sizes.num_residuals, sizes.num_params
    return sizes.itemsize * (4 * n * p + 4 * min(n, p) ** 2)


def _dual_flops(sizes: Sizes) -> float:
    n, p = sizes.num_residuals, sizes.num_params
    return (float(n) ** 2 * p if sizes.gram_flops is None else sizes.gram_flops) + n**3 / 3


def _primal_flops(sizes: Sizes) -> float:
    n, p = sizes.num_residuals, sizes.num_params
    # Of JᵀJ, as of K, the tiles on and above the diagonal alone are multiplied.
    return float(n) * p**2 + p**3 / 3


def _qr_flops(sizes: Sizes) -> float:
    long, short = sorted((sizes.num_residuals, sizes.num_params), reverse=True)
    # Reflections and the matrix Q; the SVD with both its bases (Golub and Van Loan, Fig. 8.6.1).
    return 4.0 * long * short**2 + 20.0 * short**3
