"""Solvers of the damped least-squares problem min ‖s + J e‖² + λ‖e‖² for several λ and s.

Each factory does what depends on J alone and returns ``solve(λ, s) -> (e, num_products)``: e is a pytree
like the parameters, not finite where a factorisation fails, and num_products counts multiplications by
J and Jᵀ in pairs, each about as dear as a gradient.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from isgd_optax._linearization import Linearization, symmetrized

Solve = Callable[[jax.Array, jax.Array], tuple[Any, jax.Array]]

_product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


def dual(lin: Linearization) -> Solve:
    """E = −Jᵀ(K + λI)⁻¹s by Cholesky of the N×N matrix K = JJᵀ."""
    gram = lin.gram()

    def solve(damping: jax.Array, shifted: jax.Array) -> tuple[Any, jax.Array]:
        y = _cholesky_solve(gram, damping, shifted)
        return jax.tree.map(jnp.negative, lin.pull(y)), jnp.ones((), jnp.int32)

    return solve


def primal(lin: Linearization) -> Solve:
    """E = −(JᵀJ + λI)⁻¹Jᵀs by Cholesky of the P×P matrix."""
    normal = lin.normal()

    def solve(damping: jax.Array, shifted: jax.Array) -> tuple[Any, jax.Array]:
        gradient = lin.ravel(lin.pull(shifted))
        return lin.unravel(-_cholesky_solve(normal, damping, gradient)), jnp.ones((), jnp.int32)

    return solve


def qr(lin: Linearization) -> Solve:
    """QR of J or Jᵀ, then an SVD of its square factor: nothing is squared, one factorisation for all λ."""
    jacobian = lin.rows()
    tall = lin.num_residuals > lin.num_params
    # J = Q R with R = U σ Vᵀ, or Jᵀ = Q R with Rᵀ = U σ Vᵀ.
    q, r = jnp.linalg.qr(jacobian if tall else jacobian.T)
    u, sigma, vt = jnp.linalg.svd(r if tall else r.T)

    def solve(damping: jax.Array, shifted: jax.Array) -> tuple[Any, jax.Array]:
        data = _product(u.T, _product(q.T, shifted) if tall else shifted)
        step = _product(vt.T, sigma / (sigma**2 + damping) * data)
        return lin.unravel(-(step if tall else _product(q, step))), jnp.zeros((), jnp.int32)

    return solve


def cg(lin: Linearization, *, rtol: float, max_steps: int, rank: int) -> Solve:
    """Conjugate gradients on (K + λI) y = s by JVPs and VJPs, preconditioned by a Nyström sketch of K."""
    tangent = jax.linearize(lin.loss.residuals, lin.params)[1]
    product = lambda v: tangent(lin.pull(v)).astype(lin.dtype)
    noise = float(jnp.finfo(lin.residual.dtype).eps)  # the products' own
    precondition = nystrom(product, lin.num_residuals, rank, lin.dtype, noise) if rank else None

    def solve(damping: jax.Array, shifted: jax.Array) -> tuple[Any, jax.Array]:
        count, y = _conjugate_gradients(
            lambda v: product(v) + damping * v,
            shifted,
            (lambda v: v) if precondition is None else precondition(damping),
            rtol,
            max_steps,
        )
        return jax.tree.map(jnp.negative, lin.pull(y)), count + 1

    return solve


def nystrom(
    product: Callable[[jax.Array], jax.Array], size: int, rank: int, dtype: jnp.dtype, noise: float
) -> Callable[[jax.Array], Callable[[jax.Array], jax.Array]]:
    """A preconditioner of K + λI for any λ, from ``rank`` products with K of relative error ``noise``.

    References:
      Frangella, Tropp and Udell, Randomized Nyström preconditioning, 2023, Algorithm 2.1 and Eq. 1.3.
    """
    rank = min(rank, size)
    basis, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (size, rank), dtype))
    sketch = jax.lax.map(product, basis.T).T
    shift = noise * jnp.linalg.norm(sketch)
    sketch += shift * basis
    core = jnp.linalg.cholesky(symmetrized(_product(basis.T, sketch)))
    root = jax.scipy.linalg.solve_triangular(core, sketch.T, lower=True).T
    u, sigma, _ = jnp.linalg.svd(root, full_matrices=False)
    eigenvalues = jnp.maximum(sigma**2 - shift, 0)
    usable = jnp.all(jnp.isfinite(u)) & jnp.all(jnp.isfinite(eigenvalues))
    u, eigenvalues = jnp.where(usable, u, 0), jnp.where(usable, eigenvalues, 0)

    def at(damping: jax.Array) -> Callable[[jax.Array], jax.Array]:
        weights = (eigenvalues[-1] + damping) / (eigenvalues + damping) - 1
        return lambda v: v + _product(u, weights * _product(u.T, v))

    return at


def _cholesky_solve(matrix: jax.Array, damping: jax.Array, data: jax.Array) -> jax.Array:
    factor = jax.scipy.linalg.cho_factor(matrix + damping * jnp.eye(matrix.shape[0], dtype=matrix.dtype))
    return jax.scipy.linalg.cho_solve(factor, data)


def _conjugate_gradients(
    product: Callable[[jax.Array], jax.Array],
    data: jax.Array,
    precondition: Callable[[jax.Array], jax.Array],
    rtol: float,
    max_steps: int,
) -> tuple[jax.Array, jax.Array]:
    """Steps made and the solution; jax.scipy's has no count, and ours must stop where it turns non-finite."""
    goal = rtol * jnp.linalg.norm(data)

    def body(carry: Any) -> Any:
        count, x, residual, direction, rho = carry
        image = product(direction)
        step = rho / jnp.vdot(direction, image)
        x, residual = x + step * direction, residual - step * image
        z = precondition(residual)
        new = jnp.vdot(residual, z)
        return count + 1, x, residual, z + new / rho * direction, new

    def unfinished(carry: Any) -> jax.Array:
        count, _, residual, _, rho = carry
        return (count < max_steps) & (jnp.linalg.norm(residual) > goal) & jnp.isfinite(rho)

    start = precondition(data)
    carry = (jnp.zeros((), jnp.int32), jnp.zeros_like(data), data, start, jnp.vdot(data, start))
    count, x, *_ = jax.lax.while_loop(unfinished, body, carry)
    return count, x
