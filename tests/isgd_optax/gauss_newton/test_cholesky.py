"""Cholesky factorisation by panels against LAPACK's in one piece."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax._gauss_newton import _cholesky
from isgd_optax._gauss_newton._cholesky import blocked_solve, cholesky_solve


def problem(n, dtype, condition=10.0):
    rng = np.random.default_rng(n)
    basis, _ = np.linalg.qr(rng.standard_normal((n, n)))
    matrix = (basis * np.geomspace(1.0, 1 / condition, n)) @ basis.T
    return jnp.asarray((matrix + matrix.T) / 2, dtype), jnp.asarray(rng.standard_normal(n), dtype)


@pytest.fixture
def blocked(monkeypatch):
    """Takes panels at a size that a test can afford."""
    monkeypatch.setattr(_cholesky, "_BLOCKED_FROM", 8)
    monkeypatch.setattr(_cholesky, "_PANEL", 5)


@pytest.mark.parametrize("panel", [4, 5, 16, 17, 40])
def test_panels_of_any_width_solve_the_damped_equation(dtype, panel):
    matrix, data = problem(17, dtype)
    damping = jnp.asarray(0.3, dtype)
    x = blocked_solve(matrix, damping, data, panel)
    expected = np.linalg.solve(np.asarray(matrix, float) + 0.3 * np.eye(17), np.asarray(data, float))
    assert x.dtype == dtype
    np.testing.assert_allclose(x, expected, rtol=100 * jnp.finfo(dtype).eps)


@pytest.mark.parametrize("condition", [1e6, 1e12])
def test_an_ill_conditioned_equation_is_solved_as_well_by_panels_as_in_one_piece(x64, condition):
    matrix, data = problem(30, jnp.float64, condition)
    damping = jnp.asarray(1e-13)

    def relative_defect(x):
        return jnp.linalg.norm(matrix @ x + damping * x - data) / jnp.linalg.norm(x)

    panels = relative_defect(blocked_solve(matrix, damping, data, 5))
    in_one_piece = relative_defect(cholesky_solve(matrix, damping, data))
    assert panels <= 4 * in_one_piece
    assert panels <= 2 * jnp.finfo(data.dtype).eps


@pytest.mark.parametrize("smallest", [-1.0, jnp.nan])
@pytest.mark.parametrize("row", [0, 29])
def test_a_matrix_that_is_not_positive_definite_has_no_finite_solution(x64, blocked, smallest, row):
    matrix = jnp.eye(30).at[row, row].set(smallest)
    x = cholesky_solve(matrix, jnp.asarray(0.1), jnp.ones(30))
    assert not jnp.isfinite(x).all()


def test_two_solves_with_one_damping_factor_once(x64, blocked):
    matrix, data = problem(20, jnp.float64)

    def once(damping):
        return cholesky_solve(matrix, damping, data)

    def twice(damping):
        return cholesky_solve(matrix, damping, jnp.sin(once(damping)))

    def in_a_loop(damping):
        return jax.lax.while_loop(lambda c: c[0] < 3.0, lambda c: (c[0] + 1, twice(c[0])), (damping, data))

    factorisations = lambda f: jax.jit(f).lower(0.1).compile().as_text().count("potrf_ffi")
    assert factorisations(twice) == factorisations(once) == factorisations(in_a_loop) > 1


def test_large_matrices_are_factored_in_panels_of_even_width():
    assert [_cholesky._even_width(n) for n in (100, 200, 1800, 4000)] == [100, 200, 200, 200]
    assert _cholesky._even_width(20_000) == 1000
