"""Linear solvers from outside: their steps, costs and memory, and what a Jacobian offers them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step
from isgd_optax._gauss_newton._jacobian import ResidualJacobian
from isgd_optax.linear_solvers import LinearSolver


def problem():
    x = jnp.linspace(0.1, 1.0, 5)
    loss = LeastSquares(Residual(lambda p, x: p["a"] * jnp.sin(p["b"] * x).sum() - x**2, x))
    return loss, {"a": jnp.asarray(0.5), "b": jnp.array([2.0, 1.0])}


def pseudoinverse(seen):
    def init(jacobian):
        rows = jacobian.rows()

        def solve(damping, data):
            below = jnp.sqrt(damping) * jnp.eye(jacobian.num_params)
            padded = jnp.concatenate([-data, jnp.zeros(jacobian.num_params)])
            return jnp.linalg.pinv(jnp.concatenate([rows, below])) @ padded, jnp.asarray(7, jnp.int32)

        seen.append(jacobian.sizes)
        return solve

    return LinearSolver("pinv", init, lambda sizes: 1000, num_init_products=lambda sizes: 5)


def test_a_linear_solver_from_outside_makes_the_dense_step(x64, damped):
    loss, params = problem()
    seen = []
    inner = gauss_newton(linear_solver=pseudoinverse(seen), max_corrections=0)
    solver = implicit_step(inner, 0.5, max_inner_steps=1, safeguard=False)
    grad = jax.grad(loss)(params)
    updates, state = jax.jit(solver.update)(grad, solver.init(params), params, value_fn=loss)
    flat, unravel = ravel_pytree(params)
    jacobian = jax.jacobian(lambda v: loss.residuals(unravel(v)))(flat)
    expected = damped(np.asarray(loss.residuals(params)), np.asarray(jacobian), 1.0)
    np.testing.assert_allclose(ravel_pytree(updates)[0], expected, rtol=1e-9)
    assert (seen[0].num_residuals, seen[0].num_params) == (5, 3)
    plain = implicit_step(gauss_newton(linear_solver="qr", max_corrections=0), 0.5, max_inner_steps=1)
    fewer = jax.jit(plain.update)(grad, plain.init(params), params, value_fn=loss)[1]
    assert state.num_gradients - fewer.num_gradients == 5 + 7  # as many products as it says


def test_a_linear_solver_from_outside_is_held_to_the_memory_limit():
    loss, params = problem()
    solver = implicit_step(gauss_newton(linear_solver=pseudoinverse([]), memory_limit=999), 1.0)
    with pytest.raises(ValueError, match="'pinv' needs"):
        solver.update(optax.tree.zeros_like(params), solver.init(params), params, value_fn=loss)


def test_the_jacobian_of_residuals_offers_what_the_protocol_asks_for(x64):
    loss, params = problem()
    jacobian = ResidualJacobian(loss, params)
    rows = jacobian.rows()
    np.testing.assert_allclose(jacobian.gram(), rows @ rows.T, rtol=1e-12)
    np.testing.assert_allclose(jacobian.normal(), rows.T @ rows, rtol=1e-12)
    np.testing.assert_allclose(jacobian.mv(jnp.arange(3.0)), rows @ jnp.arange(3.0), rtol=1e-12)
    np.testing.assert_allclose(jacobian.rmv(jnp.arange(5.0)), rows.T @ jnp.arange(5.0), rtol=1e-12)
