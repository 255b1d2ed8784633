"""Conjugate gradients on (K + λI) y = s with products by J and Jᵀ alone, and their preconditioner."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from isgd_optax._checks import check_count, check_positive
from isgd_optax._gauss_newton._linear_solver import Jacobian, LinearSolver, Sizes, Solve
from isgd_optax._norms import dot
from isgd_optax._sharding import varying_as

Product = Callable[[jax.Array], jax.Array]

_product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


class Preconditioner(NamedTuple):
    """An approximate inverse of K + λI, for any λ.

    Attributes:
      init: ``init(product, n, dtype) -> at`` computes what depends on K alone from products with it;
        ``at(λ)`` is a symmetric positive definite map of vectors of shape (n,).
      num_bytes: ``num_bytes(sizes)`` estimates the memory in bytes.
      num_products: ``num_products(sizes)`` counts the products with K that ``init`` makes.
    """

    init: Callable[[Product, int, jnp.dtype], Callable[[jax.Array], Product]]
    num_bytes: Callable[[Sizes], int]
    num_products: Callable[[Sizes], int]


def nystrom(rank: int = 50) -> Preconditioner:
    r"""A preconditioner from a random sketch of K, which brings the largest eigenvalues down to λ.

    With the Nyström approximation :math:`U \Lambda U^T` of K of the given rank,

    .. math:: P^{-1} = (\lambda_r + \lambda) U (\Lambda + \lambda I)^{-1} U^T + I - U U^T

    The sketch is that of one fixed random key: the same problem always takes the same steps.

    Args:
      rank: The number of products with K, and of eigenvalues that are approximated; at least 1.

    Raises:
      ValueError: ``rank`` is below 1 or no whole number.

    References:
      Frangella, Tropp and Udell, Randomized Nyström preconditioning, 2023, Algorithm 2.1 and Eq. 1.3.
    """
    rank = check_count("rank", rank, 1)

    def init(product: Product, n: int, dtype: jnp.dtype) -> Callable[[jax.Array], Product]:
        basis, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (n, min(rank, n)), dtype))
        sketch = jax.lax.map(product, basis.T).T
        core = _product(basis.T, sketch)
        # The core is symmetric but for the products' own rounding, whatever dtype they are made in.
        noise = jnp.linalg.norm(core - core.T)
        shift = jnp.maximum(noise, jnp.finfo(dtype).eps * jnp.linalg.norm(sketch))
        sketch += shift * basis
        core = jnp.linalg.cholesky((core + core.T) / 2 + shift * jnp.eye(min(rank, n), dtype=dtype))
        root = jax.scipy.linalg.solve_triangular(core, sketch.T, lower=True).T
        u, sigma, _ = jnp.linalg.svd(root, full_matrices=False)
        eigenvalues = jnp.maximum(sigma**2 - shift, 0)
        usable = jnp.all(jnp.isfinite(u)) & jnp.all(jnp.isfinite(eigenvalues))
        u, eigenvalues = jnp.where(usable, u, 0), jnp.where(usable, eigenvalues, 0)

        def at(damping: jax.Array) -> Product:
            weights = (eigenvalues[-1] + damping) / (eigenvalues + damping) - 1
            return lambda v: v + _product(u, weights * _product(u.T, v))

        return at

    return Preconditioner(
        init,
        lambda sizes: 4 * sizes.itemsize * sizes.num_residuals * min(rank, sizes.num_residuals),
        lambda sizes: min(rank, sizes.num_residuals),
    )


_DEFAULT = nystrom(50)


def cg(
    *,
    rtol: float = 1e-6,
    max_steps: int = 200,
    preconditioner: Preconditioner | None = _DEFAULT,
    preconditioner_rank: int | None = None,
) -> LinearSolver:
    """Solves without a matrix: e = −Jᵀy with (K + λI) y = s, by preconditioned conjugate gradients.

    Args:
      rtol: The norm of the equation's residual, relative to that of s, at which the iteration ends.
      max_steps: The most steps of the iteration; each makes one product with J and one with Jᵀ.
      preconditioner: The preconditioner of K + λI, such as :func:`nystrom`; None for none.
      preconditioner_rank: A shorthand for ``preconditioner=nystrom(rank)``; 0 for none.

    Returns:
      A :class:`LinearSolver`; ``num_products`` of a solve is its number of steps and one more.

    Raises:
      ValueError: A number is out of range, or both the preconditioner and its rank are given.
    """
    check_positive("rtol", rtol)
    max_steps = check_count("max_steps", max_steps, 1)
    if preconditioner_rank is not None:
        preconditioner_rank = check_count("preconditioner_rank", preconditioner_rank, 0)
        if preconditioner is not _DEFAULT:
            raise ValueError("cg takes either preconditioner or preconditioner_rank, not both.")
        preconditioner = nystrom(preconditioner_rank) if preconditioner_rank else None

    def init(jacobian: Jacobian) -> Solve:
        product = lambda v: jacobian.mv(jacobian.rmv(v))
        at = preconditioner and preconditioner.init(product, jacobian.num_residuals, jacobian.dtype)

        def solve(damping: jax.Array, data: jax.Array) -> tuple[jax.Array, jax.Array]:
            damped = lambda v: product(v) + damping * v
            precondition = at(damping) if at else lambda v: v
            y, num_steps = _conjugate_gradients(damped, data, precondition, rtol, max_steps)
            return -jacobian.rmv(y), num_steps + 1

        return solve

    def num_bytes(sizes: Sizes) -> int:
        vectors = 10 * sizes.itemsize * (sizes.num_residuals + sizes.num_params)
        return vectors + (preconditioner.num_bytes(sizes) if preconditioner else 0)

    return LinearSolver(
        "cg",
        init,
        num_bytes,
        num_init_products=lambda sizes: preconditioner.num_products(sizes) if preconditioner else 0,
    )


class _Carry(NamedTuple):
    count: jax.Array
    x: jax.Array
    residual: jax.Array
    direction: jax.Array
    rho: jax.Array


def _conjugate_gradients(
    product: Product, data: jax.Array, precondition: Product, rtol: float, max_steps: int
) -> tuple[jax.Array, jax.Array]:
    """The solution and the steps made: jax.scipy's does not count, and goes on with numbers not finite."""
    goal = rtol * jnp.linalg.norm(data)

    def body(carry: _Carry) -> _Carry:
        image = product(carry.direction)
        step = carry.rho / dot(carry.direction, image)
        residual = carry.residual - step * image
        z = precondition(residual)
        rho = dot(residual, z)
        x, direction = carry.x + step * carry.direction, z + rho / carry.rho * carry.direction
        return _Carry(carry.count + 1, x, residual, direction, rho)

    def unfinished(carry: _Carry) -> jax.Array:
        more = (carry.count < max_steps) & (jnp.linalg.norm(carry.residual) > goal)
        return more & jnp.isfinite(carry.rho)

    start = precondition(data)
    carry = _Carry(jnp.zeros((), jnp.int32), jnp.zeros_like(data), data, start, dot(data, start))
    carry = jax.lax.while_loop(unfinished, body, varying_as(carry, data, start))
    return carry.x, carry.count
