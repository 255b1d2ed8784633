"""Leaves that nothing uses or that are empty, whole numbers, several dtypes, losses that begin at zero."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, diagnostics, gauss_newton, implicit_step, step_info
from isgd_optax._gauss_newton._jacobian import ResidualJacobian

X = jnp.linspace(0.0, 1.0, 8)


def step(loss, params, alpha, **options):
    solver = implicit_step(gauss_newton(), alpha, max_inner_steps=1, **options)
    updates, state = jax.jit(solver.update, static_argnames="value_fn")(
        jax.grad(loss)(params), solver.init(params), params, value_fn=loss
    )
    return updates, step_info(state)


@pytest.mark.parametrize(
    "load", [lambda x: 1 + x, lambda x: jnp.where(x == 0, 1000.0, 0.0)], ids=["all", "one"]
)
def test_a_constant_in_a_convex_loss_changes_no_step(load):
    """An energy that begins at 0, by its load on all points or on one, has no gradient without curvature."""
    points = jnp.linspace(0.0, 1.0, 1000)
    waves = jnp.arange(1.0, 4.0)
    fn = lambda c, x: jnp.stack([jnp.sum(c * waves * jnp.sin(waves * x)), jnp.sum(c * jnp.cos(waves * x))])

    def ritz(constant):
        energy = lambda r, x: r[0] ** 2 / 2 + r[1] ** 2 / 2 - load(x) * r[1] + constant
        return LeastSquares(Residual(fn, points, loss=energy))

    start = jnp.zeros(3)
    (plain, info), (shifted, _) = (step(ritz(constant), start, 1e6) for constant in (0.0, 1.0))
    assert info.learning_rate == 1e6
    np.testing.assert_allclose(plain, shifted, rtol=1e-3)
    linear = jax.grad(ritz(0.0))(start)
    exact = -np.linalg.solve(np.asarray(jax.hessian(ritz(0.0))(start), float) + 1e-6 * np.eye(3), linear)
    np.testing.assert_allclose(plain, exact, rtol=1e-3)


def test_parameters_that_nothing_uses_cost_nothing():
    params = {"used": jnp.ones(40), "unused": jnp.zeros(10_000)}
    loss = LeastSquares(Residual(lambda p, x: jnp.sum(x * p["used"]) - 1, X))
    both, alone = (
        ResidualJacobian(loss, p).sizes for p in (params, {"used": params["used"], "unused": jnp.zeros(())})
    )
    assert both.largest_layer == alone.largest_layer <= 40
    assert both.gram_flops == alone.gram_flops


def test_an_empty_array_that_is_used_adds_nothing():
    params = {"W": jax.random.normal(jax.random.key(0), (4, 30)), "empty": jnp.zeros((0,))}
    fn = lambda p, x: jnp.concatenate([jnp.sum(jnp.full(4, x) @ p["W"], keepdims=True), p["empty"]])
    loss = LeastSquares(Residual(fn, X))
    rows = jax.jacobian(lambda p: loss.residuals(p))(params)["W"].reshape(8, -1)
    for kernel in ("auto", "rows"):
        np.testing.assert_allclose(
            diagnostics.gram_matrix(loss, params, kernel=kernel), rows @ rows.T, rtol=1e-5
        )


def test_residuals_in_whole_numbers_keep_their_weight():
    whole = Residual(lambda p, x: jnp.asarray(3), jnp.ones(2), weight=0.5)
    loss = LeastSquares(Residual(lambda p, x: p * x - 1, jnp.ones(3)), whole)
    assert loss(jnp.asarray(2.0)) == pytest.approx(1 + 0.5 * 9)
    np.testing.assert_allclose(jnp.sum(loss.residuals(jnp.asarray(2.0)) ** 2), 5.5, rtol=1e-6)


@pytest.mark.parametrize("metric", ["identity", "jacobi"])
def test_trees_of_several_dtypes_under_strict_promotion(metric, x64):
    params = {"w": jnp.full((2, 2), 0.5, jnp.bfloat16), "b": jnp.ones(2, jnp.float32), "k": jnp.ones(())}
    fn = lambda p, x: (p["w"] @ jnp.full(2, x, jnp.bfloat16)).astype(jnp.float32) + p["b"]
    loss = LeastSquares(
        Residual(fn, X.astype(jnp.bfloat16)), Residual(lambda p, x: (p["k"] - 2).astype(x.dtype), X)
    )
    with jax.numpy_dtype_promotion("strict"):
        updates, info = step(loss, params, 1.0, metric=metric)
        assert info.accepted
        norm = optax.tree.norm(jax.tree.map(lambda u: u.astype(jnp.float64), updates))
    expected, _ = step(loss, params, 1.0, metric=metric)
    assert norm > 0
    for ours, theirs in zip(jax.tree.leaves(updates), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
