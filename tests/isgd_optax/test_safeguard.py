"""The safeguard: the best inner iterate, and only if it descends."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import implicit_step

START = np.array([-0.7, 0.4, 0.9, -0.2])


def update(solver, loss, params):
    step = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss))
    return step(jnp.asarray(params))


def overshooting():
    """Three good gradient steps, then steps that are far too long."""
    return optax.sgd(lambda count: jnp.where(count < 3, 0.02, 1.0))


@pytest.mark.usefixtures("x64")
def test_safeguard_returns_the_best_inner_iterate(trajectory, rosenbrock):
    points, values, _ = trajectory(rosenbrock, jnp.asarray(START), 1.0, overshooting(), 5)
    best = int(np.argmin(values))
    assert best == 3
    assert values[-1] > values[0]
    solver = implicit_step(overshooting(), 1.0, max_inner_steps=5, rtol=0.0)
    updates, state = update(solver, rosenbrock, START)
    np.testing.assert_allclose(START + updates, points[best], rtol=1e-12)
    assert state.info.accepted
    assert state.info.num_inner_steps == 5
    error = np.linalg.norm(updates + jax.grad(rosenbrock)(START + updates))
    np.testing.assert_allclose(state.info.residual, error / np.linalg.norm(updates), rtol=1e-8)


@pytest.mark.usefixtures("x64")
def test_without_safeguard_the_last_iterate_is_returned_even_if_it_ascends(trajectory, rosenbrock):
    points, values, _ = trajectory(rosenbrock, jnp.asarray(START), 1.0, overshooting(), 5)
    assert values[-1] > values[0]
    solver = implicit_step(overshooting(), 1.0, max_inner_steps=5, rtol=0.0, safeguard=False)
    updates, state = update(solver, rosenbrock, START)
    np.testing.assert_allclose(START + updates, points[-1], rtol=1e-12)
    assert state.info.accepted


@pytest.mark.parametrize("rtol", [1e-3, 0.0])
def test_ascent_is_rejected(rosenbrock, rtol):
    solver = implicit_step(optax.scale(0.01), 1.0, max_inner_steps=5, rtol=rtol)
    updates, state = update(solver, rosenbrock, START)
    np.testing.assert_array_equal(updates, jnp.zeros(4))
    assert not state.info.accepted
    assert state.info.num_inner_steps == 5


def test_inner_solver_that_stays_at_an_unsolved_start_is_rejected():
    loss = lambda p: jnp.where(jnp.any(p != 1.0), jnp.nan, jnp.sum(p**2))  # the line search finds no step
    solver = implicit_step(optax.lbfgs(), 1.0, max_inner_steps=3)
    grad = jnp.array([2.0, 2.0])
    updates, state = jax.jit(lambda p: solver.update(grad, solver.init(p), p, value_fn=loss))(jnp.ones(2))
    np.testing.assert_array_equal(updates, jnp.zeros(2))
    assert state.info.residual == jnp.inf
    assert not state.info.accepted


def test_decrease_of_the_loss_alone_is_not_enough():
    loss = lambda p: 0.1 * jnp.sum(jnp.exp(-p))  # the step of length 5 lowers it, but not by 25/(2α)
    assert loss(jnp.full(2, 5.0)) < loss(jnp.zeros(2))
    too_long = implicit_step(optax.sgd(50.0), 1.0, max_inner_steps=1)
    updates, state = update(too_long, loss, jnp.zeros(2))
    np.testing.assert_array_equal(updates, jnp.zeros(2))
    assert not state.info.accepted


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("inner", "alpha"),
    [
        (optax.sgd(0.05), 0.1),
        (optax.adam(0.3), 1.0),
        (optax.chain(optax.sgd(0.03), optax.add_noise(1e-3, 0.0, key=0)), 3.0),
        (optax.lbfgs(memory_size=3), 10.0),
    ],
    ids=["sgd", "adam", "noise", "lbfgs"],
)
def test_proximal_descent_holds_at_every_step(inner, alpha, rosenbrock):
    loss = lambda p: rosenbrock(p) + 0.3 * jnp.sum(jnp.sin(7 * p))
    solver = implicit_step(inner, alpha, max_inner_steps=8)

    def step(carry, _):
        params, state = carry
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        new = optax.apply_updates(params, updates)
        proximal = loss(new) + jnp.sum(updates**2) / (2 * alpha)
        return (new, state), (value, proximal, state.info.accepted, jnp.any(updates != 0))

    @jax.jit
    @jax.vmap
    def run(params):
        return jax.lax.scan(step, (params, solver.init(params)), length=40)[1]

    starts = 0.7 * jax.random.normal(jax.random.key(0), (6, 4))
    before, proximal, accepted, moved = run(starts)
    assert jnp.all(proximal <= before * (1 + 1e-14) + 1e-14)
    assert jnp.all(accepted | ~moved)
    assert jnp.min(before[:, -1] / before[:, 0]) < 0.3
