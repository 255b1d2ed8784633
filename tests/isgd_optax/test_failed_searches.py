"""What steps leave that find nothing, or next to nothing, to do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import (
    gain_ratio,
    implicit_step,
    largest_trusted,
    switched_evolution_relaxation,
)


def steps(solver, loss, params, number, state=None):
    """Parameters and state after ``number`` steps."""

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        return optax.apply_updates(params, updates), state

    state = solver.init(params) if state is None else state
    for _ in range(number):
        params, state = step(params, state)
    return params, state


def quadratic(curvature):
    return lambda p: 0.5 * curvature * p**2


INNER = {
    "injected": optax.inject_hyperparams(optax.sgd)(learning_rate=1e-3),
    "searched": optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(3, max_learning_rate=1.0)),
}


@pytest.mark.parametrize("name", INNER)
def test_a_search_that_finds_no_step_keeps_the_state_of_the_solver(name):
    solver = implicit_step(INNER[name], largest_trusted(), max_inner_steps=5, rtol=0.0, reset_inner=False)
    params, before = steps(solver, quadratic(1.0), jnp.asarray(1.0), 2)
    after_params, after = steps(solver, quadratic(1e9), params, 1, before)
    assert not after.info.accepted
    assert after_params == params
    jax.tree.map(np.testing.assert_array_equal, after.inner_state, before.inner_state)


@pytest.mark.parametrize("safeguard", [True, False])
def test_a_search_that_finds_no_step_has_solved_nothing(safeguard):
    solver = implicit_step(optax.sgd(1e-3), largest_trusted(), max_inner_steps=5, safeguard=safeguard)
    _, state = steps(solver, quadratic(1e5), jnp.asarray(1.0), 1)
    assert not state.info.accepted
    assert state.info.residual == jnp.inf


@pytest.mark.parametrize("make", [gain_ratio, switched_evolution_relaxation, largest_trusted])
def test_controllers_raise_an_alpha_whose_step_is_below_atol(make):
    loss = lambda p: 0.5 * jnp.sum((p - 1.0) ** 2)
    solver = implicit_step(optax.lbfgs(), make(1e-6), atol=1e-4)
    params, state = steps(solver, loss, jnp.zeros(3), 1)
    assert not state.info.at_floor
    params, _ = steps(solver, loss, params, 200, state)
    np.testing.assert_allclose(params, 1.0, atol=1e-3)


def test_a_minimiser_is_at_the_floor_whatever_atol():
    solver = implicit_step(optax.lbfgs(), gain_ratio(1.0), atol=1e-4)
    _, state = steps(solver, lambda p: 0.5 * p**2, jnp.asarray(0.0), 3)
    assert state.info.at_floor
    assert state.info.learning_rate == 1
