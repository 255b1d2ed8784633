"""What depends on J and α alone is made once for all corrections of a step, not left to the compiler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step
from isgd_optax._gauss_newton._ahead import ahead
from isgd_optax.linear_solvers import LinearSolver

POINTS = jnp.linspace(0.0, 1.0, 7)


def residual(p, x):
    return p[0] + p[1] * jnp.exp(-p[2] * x) - jnp.cos(x)


def pseudoinverse():
    """A solver of a user."""

    def init(jacobian):
        rows = jacobian.rows()

        def solve(damping, data):
            below = jnp.sqrt(damping) * jnp.eye(jacobian.num_params)
            padded = jnp.concatenate([-data, jnp.zeros(jacobian.num_params)])
            return jnp.linalg.pinv(jnp.concatenate([rows, below])) @ padded, jnp.zeros((), jnp.int32)

        return solve

    return LinearSolver("pinv", init, lambda sizes: 0)


@pytest.mark.parametrize(
    ("linear_solver", "factorisation"),
    [("dual", "cholesky"), ("primal", "cholesky"), (pseudoinverse(), "svd")],
)
def test_one_factorisation_serves_all_corrections(linear_solver, factorisation, depths):
    def step(params, corrections):
        inner = gauss_newton(linear_solver=linear_solver, max_corrections=corrections)
        solver = implicit_step(inner, 1.0, max_inner_steps=1)
        loss = LeastSquares(Residual(residual, POINTS))
        return solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)[0]

    without, with_corrections = (
        depths(lambda p, n=n: step(p, n), factorisation, jnp.ones(3)) for n in (0, 10)
    )
    assert without
    assert with_corrections == without


def test_a_function_ahead_is_the_function(depths):
    matrix = jnp.arange(9.0).reshape(3, 3)

    def fn(x):
        return {"a": jnp.sin(matrix) @ x, "b": (jnp.ones(()), x, jnp.sum(matrix))}

    @jax.jit
    def looped(x):
        later = ahead(fn, x)
        return jax.lax.fori_loop(0, 3, lambda _, y: later(y)["a"], x), later(x)

    x = jnp.array([0.1, -0.2, 0.3])
    found, once = looped(x)
    expected = x
    for _ in range(3):
        expected = jnp.sin(matrix) @ expected
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, once, jax.jit(fn)(x))
    assert depths(looped, "sin", x) == [0]
