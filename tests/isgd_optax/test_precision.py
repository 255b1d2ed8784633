"""The package's own products are in full precision, whatever JAX's default on a device (TF32, bfloat16)."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
import pytest

from isgd_optax import (
    LeastSquares,
    Residual,
    diagnostics,
    gain_ratio,
    gauss_newton,
    implicit_step,
    isgd_adam,
    isgd_lbfgs,
    largest_trusted,
)

PARAMS = {"in": jnp.ones((2, 5)), "square": jnp.eye(5), "out": jnp.ones((5, 2)), "shift": jnp.zeros(())}


def residual(params, x):
    """Two residuals at a point, whose own products are in full precision."""
    product = lambda a, b: jnp.matmul(a, b, precision="highest")
    hidden = jnp.tanh(product(x, params["in"]))
    return product(jnp.tanh(product(hidden, params["square"])), params["out"]) - params["shift"]


def loss(num_points=6):
    points = jax.random.uniform(jax.random.key(0), (num_points, 2))
    return LeastSquares(Residual(residual, points), Residual(residual, points[:3], name="more"))


def moved(params):
    return jax.tree.map(lambda leaf: leaf + 0.01, params)


SOLVERS = {
    **{
        name: implicit_step(gauss_newton(linear_solver=name), largest_trusted(), max_inner_steps=1)
        for name in ("dual", "primal", "qr", "cg", "auto")
    },
    "gain_ratio": implicit_step(gauss_newton(), gain_ratio(), max_inner_steps=1),
    "metric": implicit_step(gauss_newton(), 1.0, metric="jacobi", max_inner_steps=3),
    "momentum": implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, momentum=0.5),
    "small blocks": implicit_step(gauss_newton(linear_solver="primal", row_block=2), 1.0, max_inner_steps=2),
    "adam": isgd_adam(1.0, num_implicit_steps=2, num_inner_steps=3),
    "lbfgs": isgd_lbfgs(1.0, num_implicit_steps=2, num_inner_steps=3),
    "searched lbfgs": implicit_step(optax.lbfgs(), largest_trusted(), max_inner_steps=3),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_products_of_a_step_are_in_full_precision(name, assert_full_precision):
    def step(params):
        value, grad = jax.value_and_grad(loss())(params)
        state = SOLVERS[name].init(params)
        return SOLVERS[name].update(grad, state, params, value=value, grad=grad, value_fn=loss())

    assert_full_precision(step, PARAMS)


def test_products_of_a_convex_loss_are_in_full_precision(assert_full_precision):
    points = jax.random.uniform(jax.random.key(0), (6, 2)), jnp.arange(6) % 2
    cross_entropy = lambda r, point: optax.softmax_cross_entropy_with_integer_labels(r, point[1])
    classes = Residual(lambda p, point: residual(p, point[0]), points, loss=cross_entropy)
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)

    def step(params):
        grad = jax.grad(LeastSquares(classes))(params)
        return solver.update(grad, solver.init(params), params, value_fn=LeastSquares(classes))

    assert_full_precision(step, PARAMS)


def test_products_of_a_derivative_of_a_solved_step_are_in_full_precision(assert_full_precision):
    solver = implicit_step(gauss_newton(), 0.1, max_inner_steps=20, rtol=1e-6)

    def end(shift):
        moved = LeastSquares(Residual(lambda p, x: residual(p, x) - shift, loss().blocks[0].points))
        grad = jax.grad(moved)(PARAMS)
        updates, _ = solver.update(grad, solver.init(PARAMS), PARAMS, value_fn=moved)
        return jnp.sum(updates["in"])

    assert_full_precision(jax.grad(end), jnp.ones(()))


@pytest.mark.parametrize(
    "measure",
    [
        diagnostics.gram_matrix,
        diagnostics.gram_spectrum,
        lambda loss, params: diagnostics.covariance(loss, params),
        lambda loss, params: diagnostics.error_estimate(
            loss, params, lambda p: jax.vmap(partial(residual, p))(loss.blocks[0].points)
        ),
        lambda loss, params: diagnostics.contraction(loss, params, moved(params), 1.0),
        lambda loss, params: diagnostics.loss_decay(loss, params, moved(params), 1.0),
    ],
    ids=["gram_matrix", "gram_spectrum", "covariance", "error_estimate", "contraction", "loss_decay"],
)
def test_products_of_diagnostics_are_in_full_precision(measure, assert_full_precision):
    assert_full_precision(lambda params: jax.tree.leaves(measure(loss(12), params)), PARAMS)
