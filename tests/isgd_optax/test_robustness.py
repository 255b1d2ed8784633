"""Gauss–Newton training goes on through everything that breaks a factorisation or a residual."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import (
    LeastSquares,
    Residual,
    gain_ratio,
    gauss_newton,
    implicit_step,
    largest_trusted,
    switched_evolution_relaxation,
)

CONTROLLERS = {
    "largest_trusted": largest_trusted,
    "gain_ratio": gain_ratio,
    "switched_evolution_relaxation": switched_evolution_relaxation,
}
X = np.linspace(0.0, 1.0, 12)


def wave(p, x):
    return p[0] * jnp.sin(p[1] * x + p[2]) - 2 * jnp.sin(3 * x + 0.5)


START = np.array([1.0, 2.0, 0.0])


def train(loss, controller, num_steps=60, start=START, **options):
    solver = implicit_step(gauss_newton(**options), controller, max_inner_steps=1)
    params = jnp.asarray(start)

    @jax.jit
    def run(params):
        def step(carry, _):
            params, state = carry
            value, grad = jax.value_and_grad(loss)(params)
            updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
            return (optax.apply_updates(params, updates), state), (value, state.info.accepted)

        return jax.lax.scan(step, (params, solver.init(params)), length=num_steps)

    (params, state), (values, accepted) = run(params)
    return params, state, np.asarray(values), np.asarray(accepted)


@pytest.fixture(params=CONTROLLERS)
def controller(request):
    return CONTROLLERS[request.param]()


@pytest.mark.parametrize("start", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", CONTROLLERS)
def test_the_first_learning_rate_does_not_matter(x64, name, start):
    loss = LeastSquares(Residual(wave, jnp.asarray(X)))
    params, _, values, _ = train(loss, CONTROLLERS[name](start), num_steps=150)
    assert values[-1] < 1e-12
    np.testing.assert_allclose(jnp.abs(params), [2.0, 3.0, 0.5], rtol=1e-4)


def test_duplicated_points_make_a_singular_kernel_and_no_trouble(x64, controller):
    loss = LeastSquares(Residual(wave, jnp.tile(jnp.asarray(X), 3)))
    _, _, values, _ = train(loss, controller, linear_solver="dual")
    assert np.all(np.isfinite(values))
    assert values[-1] < 1e-8


@pytest.mark.long
def test_a_block_of_weight_zero_is_ignored(x64, controller):
    x = jnp.asarray(X)
    alone = LeastSquares(Residual(wave, x))
    beside = LeastSquares(
        Residual(wave, x), Residual(lambda p, x: p[0] - 50.0, jnp.zeros(4), weight=0.0, name="off")
    )
    for linear_solver in ("dual", "primal", "qr"):
        kept, *_ = train(alone, controller, 5, linear_solver=linear_solver)
        ignored, *_ = train(beside, controller, 5, linear_solver=linear_solver)
        np.testing.assert_allclose(ignored, kept, rtol=1e-6)


def test_an_outlier_does_not_stop_the_descent(x64, controller):
    loss = LeastSquares(
        Residual(lambda p, d: wave(p, d[0]) - d[1], jnp.stack([X, np.where(X == 1.0, 1e6, 0.0)], axis=1))
    )
    _, _, values, accepted = train(loss, controller)
    assert np.all(np.isfinite(values))
    assert values[-1] < values[0]
    assert np.all(np.diff(values) <= 1e-12 * values[:-1])
    assert accepted.sum() >= 3


def test_a_residual_that_is_nan_beyond_some_point_is_stepped_back_from(x64, controller):
    # log is NaN for p < 0, which large steps reach: r' is small far from the solution at p = 1.
    loss = LeastSquares(Residual(lambda p, x: jnp.log(p[0]) * x, jnp.ones(3)))
    params, _, values, _ = train(loss, controller, start=np.array([4.0]), num_steps=80)
    np.testing.assert_allclose(params, 1.0, atol=1e-4)
    assert np.all(np.isfinite(values))


def test_a_batch_with_nan_is_skipped(x64, controller):
    solver = implicit_step(gauss_newton(), controller, max_inner_steps=1)
    params = jnp.asarray(START)
    state = solver.init(params)

    @jax.jit
    def step(params, state, loss):
        updates, state = solver.update(jax.grad(loss)(params), state, params, value_fn=loss)
        return optax.apply_updates(params, updates), state

    good = LeastSquares(Residual(wave, jnp.asarray(X)))
    bad = LeastSquares(Residual(wave, jnp.asarray(X).at[3].set(jnp.nan)))
    stepped, state = step(params, state, good)
    skipped, state = step(stepped, state, bad)
    np.testing.assert_array_equal(skipped, stepped)
    assert not state.info.accepted
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state.controller_state))
    for _ in range(60):
        skipped, state = step(skipped, state, good)
    assert good(skipped) < 1e-8


def test_a_factorisation_that_fails_is_replaced_by_a_smaller_step():
    # float32: K + λI with λ = 5e-13 and a K of rank 3 is not positive definite in rounded numbers.
    loss = LeastSquares(Residual(wave, jnp.tile(jnp.asarray(X, jnp.float32), 5)))
    params = jnp.asarray(START, jnp.float32)
    solver = implicit_step(gauss_newton(linear_solver="dual"), 1e12, max_inner_steps=1)
    updates, state = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss))(
        params
    )
    assert jnp.all(jnp.isfinite(updates))
    assert state.info.accepted
    assert loss(params + updates) < loss(params)


def test_no_acceptable_candidate_rejects_the_step_and_shrinks_alpha(x64):
    """A residual that jumps up wherever one goes."""
    loss = LeastSquares(Residual(lambda p, x: jnp.where(p == 1.0, p, 10 + p) * x, jnp.ones(1)))
    solver = implicit_step(gauss_newton(), largest_trusted(1.0), max_inner_steps=1)
    params = jnp.asarray(1.0)
    updates, state = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss))(
        params
    )
    assert updates == 0
    assert not state.info.accepted
    assert state.controller_state.next_learning_rate == pytest.approx(0.03 / 10)
