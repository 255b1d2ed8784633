"""Derivatives of a directly solved quadratic step by its equation, against the closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax._implicit_diff import Solved, differentiable

pytestmark = pytest.mark.usefixtures("x64")


def quadratic_step(alpha, center, metric, matrix, shift, **options):
    """The step of ½pᵀAp − bᵀp with metric D, solved directly, and the derivatives of its equation."""
    loss = lambda p: p["x"] @ matrix @ p["x"] / 2 - shift @ p["x"]

    def solve():
        point = jnp.linalg.solve(jnp.diag(metric) / alpha + matrix, metric * center / alpha + shift)
        return Solved({"x": point}, {"x": point - center}, 1.0, jnp.array(True), jnp.sum(point))

    start = {"x": center}
    program = jax.make_jaxpr(loss)(start)
    updates, aux = differentiable(solve, program, start, start, alpha, {"x": metric}, **options)
    return updates["x"], aux


def quadratic_arguments():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4, 4))
    metric = np.array([1.0, 10.0, 0.1, 2.0])
    return tuple(map(jnp.asarray, (0.8, rng.normal(size=4), metric, matrix @ matrix.T, rng.normal(size=4))))


def test_a_metric_and_all_else_have_the_derivatives_of_the_closed_form():
    arguments = quadratic_arguments()

    def exact(alpha, center, metric, matrix, shift):
        symmetric = (matrix + matrix.T) / 2
        return (
            jnp.linalg.solve(jnp.diag(metric) / alpha + symmetric, metric * center / alpha + shift) - center
        )

    jacobian = lambda fn: jax.jit(jax.jacrev(fn, range(5)))(*arguments)
    actual, expected = jacobian(lambda *args: quadratic_step(*args)[0]), jacobian(exact)
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-8, atol=1e-10), actual, expected)


def test_derivatives_of_what_comes_with_the_solution_are_zero():
    value, tangent = jax.jvp(lambda a: quadratic_step(a, *quadratic_arguments()[1:])[1], (0.8,), (1.0,))
    assert value != 0
    assert tangent == 0


def test_conjugate_gradients_that_end_too_early_give_nan():
    derivative = lambda **options: jax.jvp(
        lambda a: quadratic_step(a, *quadratic_arguments()[1:], **options)[0], (0.8,), (1.0,)
    )[1]
    assert np.isnan(derivative(max_steps=2)).all()
    rough, exact = derivative(rtol=0.9), derivative()
    assert np.isfinite(rough).all()
    assert np.linalg.norm(rough - exact) > 1e-6 * np.linalg.norm(exact)
