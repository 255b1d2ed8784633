"""Two phases one after the other, and the two algorithms built from them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import gauss_newton, implicit_step, isgd_adam, isgd_lbfgs, switch_after

START = np.array([-0.7, 0.4, 0.9, -0.2])


def anchored():
    """Its state is the parameters it was initialised with, its update goes back there."""
    return optax.GradientTransformation(
        init=lambda params: jax.tree.map(jnp.array, params),
        update=lambda updates, state, params=None: (jax.tree.map(jnp.subtract, state, params), state),
    )


@pytest.mark.parametrize("num_steps", [0, 1, 3])
def test_first_runs_for_the_given_number_of_updates(num_steps):
    solver = switch_after(num_steps, optax.sgd(1.0), optax.sgd(0.1))
    state = solver.init(jnp.ones(2))
    update = jax.jit(solver.update)
    sizes = []
    for step in range(5):
        assert state.count == step
        updates, state = update(jnp.ones(2), state)
        sizes.append(float(updates[0]))
    np.testing.assert_allclose(sizes, [-1.0] * num_steps + [-0.1] * (5 - num_steps))


def test_second_phase_starts_afresh_at_the_parameters_reached():
    solver = switch_after(3, optax.sgd(1.0), anchored())
    params = jnp.zeros(2)
    state = solver.init(params)
    update = jax.jit(solver.update)
    for _ in range(3):
        updates, state = update(jnp.ones(2), state, params)
        params = params + updates
    np.testing.assert_array_equal(params, jnp.full(2, -3.0))
    updates, state = update(jnp.ones(2), state, params)
    np.testing.assert_array_equal(updates, jnp.zeros(2))
    updates, state = update(jnp.ones(2), state, params + 5.0)  # initialised once only
    np.testing.assert_array_equal(updates, jnp.full(2, -5.0))


def test_each_phase_advances_only_its_own_state():
    solver = switch_after(2, optax.adam(0.1), optax.adam(0.2))
    state = solver.init(jnp.ones(2))
    update = jax.jit(solver.update)
    states = []
    for _ in range(4):
        _, state = update(jnp.ones(2), state, jnp.ones(2))
        states.append(state)
    assert [int(state.first[0].count) for state in states[:2]] == [1, 2]
    assert [int(state.second[0].count) for state in states] == [0, 0, 1, 2]
    jax.tree.map(np.testing.assert_array_equal, states[3].first, states[2].first)


@pytest.mark.parametrize("num_steps", [0, 1, 2])
def test_switches_nest(num_steps):
    solver = switch_after(num_steps, optax.sgd(1.0), switch_after(1, optax.sgd(0.1), optax.sgd(0.01)))
    state = solver.init(jnp.ones(1))
    sizes = []
    for _ in range(num_steps + 2):
        updates, state = solver.update(jnp.ones(1), state, jnp.ones(1))
        sizes.append(-float(updates[0]))
    np.testing.assert_allclose(sizes, [1.0] * num_steps + [0.1, 0.01])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("reset_inner", [True, False])
def test_isgd_adam_is_algorithm_1_then_adam_with_fresh_moments(
    reset_inner, make_step, trajectory, rosenbrock
):
    solver = isgd_adam(
        0.4,
        num_implicit_steps=3,
        num_inner_steps=5,
        inner_learning_rate=0.5,
        outer_learning_rate=0.07,
        safeguard=False,
        reset_inner=reset_inner,
    )
    params = expected = jnp.asarray(START)
    state, inner_state = solver.init(params), None
    step = make_step(solver, rosenbrock)
    for _ in range(3):
        params, state = step(params, state)
        points, _, inner_state = trajectory(
            rosenbrock, expected, 0.4, optax.adam(0.5), 5, None if reset_inner else inner_state
        )
        expected = points[-1]
        np.testing.assert_allclose(params, expected, rtol=1e-12)
    adam = optax.adam(0.07)
    adam_state = adam.init(expected)
    for _ in range(4):
        params, state = step(params, state)
        updates, adam_state = adam.update(jax.grad(rosenbrock)(expected), adam_state)
        expected = expected + updates
        np.testing.assert_allclose(params, expected, rtol=1e-11)


@pytest.mark.parametrize(
    ("isgd", "plain"), [(isgd_adam, optax.adam(1e-3)), (isgd_lbfgs, optax.lbfgs())], ids=["adam", "lbfgs"]
)
def test_no_implicit_steps_leaves_the_second_phase_alone(isgd, plain, make_step, rosenbrock):
    solver = isgd(0.4, num_implicit_steps=0, num_inner_steps=3)
    start = jnp.asarray(START)
    params, _ = make_step(solver, rosenbrock)(start, solver.init(start))
    expected, _ = make_step(plain, rosenbrock)(start, plain.init(start))
    np.testing.assert_allclose(params, expected, rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_isgd_lbfgs_is_implicit_steps_then_plain_lbfgs(make_step, rosenbrock):
    solver = isgd_lbfgs(0.4, num_implicit_steps=2, num_inner_steps=8, memory_size=4)
    implicit = implicit_step(optax.lbfgs(memory_size=4), 0.4, max_inner_steps=8)
    lbfgs = optax.lbfgs(memory_size=4)
    params = expected = jnp.asarray(START)
    state, implicit_state = solver.init(params), implicit.init(params)
    step = make_step(solver, rosenbrock)
    implicit_by_hand, lbfgs_by_hand = make_step(implicit, rosenbrock), make_step(lbfgs, rosenbrock)
    for _ in range(2):
        params, state = step(params, state)
        expected, implicit_state = implicit_by_hand(expected, implicit_state)
        np.testing.assert_allclose(params, expected, rtol=1e-9)
    expected, lbfgs_state = params, lbfgs.init(params)
    for _ in range(5):
        params, state = step(params, state)
        expected, lbfgs_state = lbfgs_by_hand(expected, lbfgs_state)
        np.testing.assert_allclose(params, expected, rtol=1e-9)


@pytest.mark.usefixtures("x64")
def test_value_and_grad_from_state_is_right_in_both_phases(rosenbrock):
    solver = isgd_lbfgs(0.4, num_implicit_steps=2, num_inner_steps=8, memory_size=4)

    @jax.jit
    def step(params, state):
        value, grad = optax.value_and_grad_from_state(rosenbrock)(params, state=state)
        updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=rosenbrock)
        return params + updates, state, value, grad

    params, state = jnp.asarray(START), solver.init(START)
    for _ in range(5):
        expected_value, expected_grad = jax.value_and_grad(rosenbrock)(params)
        params, state, value, grad = step(params, state)
        np.testing.assert_allclose(value, expected_value, rtol=1e-10)
        np.testing.assert_allclose(grad, expected_grad, rtol=1e-8, atol=1e-10)


def test_second_phase_does_not_reuse_what_the_first_one_stored(rosenbrock):
    implicit = implicit_step(optax.adam(0.02), 0.4, max_inner_steps=3, store_grad=True)
    solver = switch_after(2, implicit, optax.sgd(0.01))

    @jax.jit
    def step(params, state):
        value, grad = optax.value_and_grad_from_state(rosenbrock)(params, state=state)
        updates, state = solver.update(grad, state, params, value=value, value_fn=rosenbrock)
        return params + updates, state, grad

    params = jnp.asarray(START)
    state = solver.init(params)
    for _ in range(5):
        expected = jax.grad(rosenbrock)(params)
        params, state, grad = step(params, state)
        np.testing.assert_allclose(grad, expected, rtol=1e-4)


def test_scan_equals_a_python_loop(make_step, rosenbrock, assert_close):
    solver = isgd_adam(0.4, num_implicit_steps=2, num_inner_steps=3)
    start = jnp.asarray(START)
    step = make_step(solver, rosenbrock)
    carry = (start, solver.init(start))
    scanned, _ = jax.lax.scan(lambda carry, _: (step(*carry), None), carry, length=5)
    for _ in range(5):
        carry = step(*carry)
    assert_close(scanned, carry, rtol=1e-5, atol=1e-7)


def test_extra_arguments_reach_both_phases():
    def spy(scale):
        update = lambda updates, state, params=None, *, data, **extra_args: (scale * data * updates, state)
        return optax.GradientTransformationExtraArgs(lambda params: (), update)

    solver = switch_after(1, spy(1.0), spy(10.0))
    state = solver.init(jnp.ones(2))
    first, state = solver.update(jnp.ones(2), state, jnp.ones(2), data=2.0)
    second, state = solver.update(jnp.ones(2), state, jnp.ones(2), data=3.0)
    np.testing.assert_array_equal(first, jnp.full(2, 2.0))
    np.testing.assert_array_equal(second, jnp.full(2, 30.0))


def test_a_state_that_was_restored_as_a_dictionary_is_refused():
    solver = switch_after(1, optax.sgd(1.0), optax.sgd(0.1))
    state = solver.init(jnp.ones(1))._asdict()
    with pytest.raises(TypeError, match=r"state is a dict.*restore a stored state into"):
        solver.update(jnp.ones(1), state, jnp.ones(1))


def test_counts_are_whole_and_finite():
    """Between two steps the second phase would never be begun."""
    with pytest.raises(ValueError, match=r"num_steps must be a whole number, got 2\.5"):
        switch_after(2.5, optax.sgd(1.0), optax.sgd(0.1))
    with pytest.raises(ValueError, match="max_inner_steps must be a whole number, got inf"):
        implicit_step(optax.sgd(1.0), 1.0, max_inner_steps=float("inf"))
    with pytest.raises(ValueError, match=r"row_block must be a whole number, got 4\.5"):
        gauss_newton(row_block=4.5)


def test_states_of_random_keys_and_python_numbers():
    noisy = optax.chain(optax.add_noise(0.01, 0.55, key=jax.random.key(0)), optax.sgd(0.1))
    counting = optax.GradientTransformation(lambda params: 0, lambda u, s, params=None: (u, s + 1))
    params = grad = jnp.ones(2)
    solver = switch_after(2, noisy, optax.chain(counting, noisy))
    state, alone = solver.init(params), noisy.init(params)
    for i in range(4):
        alone = noisy.init(params) if i == 2 else alone
        expected, alone = noisy.update(grad, alone, params)
        updates, state = jax.jit(solver.update)(grad, state, params)
        np.testing.assert_allclose(updates, expected, rtol=1e-6)
    assert state.second[0] == 2
