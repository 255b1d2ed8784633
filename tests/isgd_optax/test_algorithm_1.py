"""Without safeguard and tolerances the step is the paper's Algorithm 1, its objective divided by α."""

from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import implicit_step

ALPHA = 0.4
NUM_INNER_STEPS = 7


def algorithm_1(**options):
    return implicit_step(
        optax.adam(0.03), ALPHA, max_inner_steps=NUM_INNER_STEPS, rtol=0.0, safeguard=False, **options
    )


def run_both(solver, make_step, trajectory, loss, carry_moments):
    """Four steps of ``solver``, and of the loop written by hand."""
    adam = optax.adam(0.03)
    start = jnp.array([-0.7, 0.4, 0.9, -0.2])
    step = make_step(solver, loss)
    params, state = start, solver.init(start)
    expected, inner_state = start, None
    ours, by_hand = [], []
    for _ in range(4):
        params, state = step(params, state)
        assert state.info.accepted
        points, _, inner_state = trajectory(
            loss, expected, ALPHA, adam, NUM_INNER_STEPS, inner_state if carry_moments else None
        )
        expected = points[-1]
        ours.append(params)
        by_hand.append(expected)
    return np.array(ours), np.array(by_hand), state, inner_state


@pytest.mark.usefixtures("x64")
def test_it_equals_the_loop_written_by_hand(make_step, trajectory, rosenbrock):
    ours, by_hand, _, _ = run_both(algorithm_1(), make_step, trajectory, rosenbrock, carry_moments=False)
    np.testing.assert_allclose(ours, by_hand, rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_carried_moments_equal_the_loop_that_carries_them(make_step, trajectory, rosenbrock):
    solver = algorithm_1(reset_inner=False)
    ours, by_hand, state, inner_state = run_both(
        solver, make_step, trajectory, rosenbrock, carry_moments=True
    )
    np.testing.assert_allclose(ours, by_hand, rtol=1e-12)
    for mine, theirs in zip(*map(jax.tree.leaves, (state.inner_state, inner_state)), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    reset, *_ = run_both(algorithm_1(), make_step, trajectory, rosenbrock, carry_moments=False)
    np.testing.assert_allclose(ours[0], reset[0], rtol=1e-12)
    assert np.all(np.abs(ours[-1] - reset[-1]) > 1e-4)


def test_carried_moments_keep_their_order_in_ordered_dicts(make_step):
    """``OrderedDict`` is flattened in the order of insertion, ``dict`` in that of its keys."""
    loss = lambda p: 3 * p["z"] ** 2 + (p["a"] - 5) ** 2
    results = []
    for params in ({"z": 1.0, "a": 2.0}, OrderedDict(z=1.0, a=2.0)):
        solver = algorithm_1(reset_inner=False)
        params = jax.tree.map(jnp.asarray, params)
        step, state = make_step(solver, loss), solver.init(params)
        for _ in range(3):
            params, state = step(params, state)
        results.append((params["z"], params["a"]))
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_every_step_draws_one_mini_batch_for_its_whole_inner_loop(trajectory):
    def loss(params, batch):
        return jnp.mean((batch @ params - 1.0) ** 2)

    solver = algorithm_1()
    params = expected = jnp.array([0.3, -0.4, 0.1])
    state = solver.init(params)

    @jax.jit
    def step(params, state, batch):
        grad = jax.grad(loss)(params, batch)
        updates, state = solver.update(grad, state, params, value_fn=loss, batch=batch)
        return params + updates, state

    for key in jax.random.split(jax.random.key(0), 3):
        batch = jax.random.normal(key, (5, 3))
        params, state = step(params, state, batch)
        on_batch = lambda p, batch=batch: loss(p, batch)
        expected = trajectory(on_batch, expected, ALPHA, optax.adam(0.03), NUM_INNER_STEPS)[0][-1]
    np.testing.assert_allclose(params, expected, rtol=1e-5)
