"""The damped equation by Cholesky: its solution, its failure, and how often it factors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax._gauss_newton._cholesky import cholesky_solve


def problem(n, dtype):
    rng = np.random.default_rng(n)
    basis, _ = np.linalg.qr(rng.standard_normal((n, n)))
    matrix = (basis * np.geomspace(1.0, 0.1, n)) @ basis.T
    return jnp.asarray((matrix + matrix.T) / 2, dtype), jnp.asarray(rng.standard_normal(n), dtype)


def test_the_damped_equation_is_solved(dtype):
    matrix, data = problem(17, dtype)
    x = cholesky_solve(matrix, jnp.asarray(0.3, dtype), data)
    expected = np.linalg.solve(np.asarray(matrix, float) + 0.3 * np.eye(17), np.asarray(data, float))
    assert x.dtype == dtype
    np.testing.assert_allclose(x, expected, rtol=100 * jnp.finfo(dtype).eps)


@pytest.mark.parametrize("smallest", [-1.0, jnp.nan])
@pytest.mark.parametrize("row", [0, 29])
def test_a_matrix_that_is_not_positive_definite_has_no_finite_solution(x64, smallest, row):
    matrix = jnp.eye(30).at[row, row].set(smallest)
    x = cholesky_solve(matrix, jnp.asarray(0.1), jnp.ones(30))
    assert not jnp.isfinite(x).all()


def test_two_solves_with_one_damping_factor_once(x64):
    matrix, data = problem(20, jnp.float64)

    def once(damping):
        return cholesky_solve(matrix, damping, data)

    def twice(damping):
        return cholesky_solve(matrix, damping, jnp.sin(once(damping)))

    def in_a_loop(damping):
        return jax.lax.while_loop(lambda c: c[0] < 3.0, lambda c: (c[0] + 1, twice(c[0])), (damping, data))

    factorisations = lambda f: jax.jit(f).lower(0.1).compile().as_text().count("potrf_ffi")
    assert factorisations(twice) == factorisations(once) == factorisations(in_a_loop) > 0
