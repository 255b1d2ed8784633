"""The step size α: numbers, schedules and controllers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LearningRateController, StepOutcome, implicit_step, largest_trusted

START = np.array([1.0, -2.0], np.float32)
CURVATURES = np.array([1.0, 3.0], np.float32)


def loss(p):
    return jnp.sum(CURVATURES * p**2) / 2


def recording(propose=lambda state, count, value, grad_norm: 0.5):
    """A controller whose state is the last step's outcome."""
    empty = StepOutcome(*[0.0] * 4, *[0.0] * 2, 0)
    return LearningRateController(
        init=lambda: empty._replace(accepted=False), propose=propose, update=lambda state, outcome: outcome
    )


def test_number_equals_constant_schedule(make_step, assert_close):
    number, schedule = (implicit_step(optax.adam(0.1), lr) for lr in (0.3, optax.constant_schedule(0.3)))
    ours, theirs = (START, number.init(START)), (START, schedule.init(START))
    step_with_number, step_with_schedule = make_step(number, loss), make_step(schedule, loss)
    for _ in range(3):
        ours, theirs = step_with_number(*ours), step_with_schedule(*theirs)
        assert_close(ours, theirs)


def test_schedule_is_called_with_the_number_of_steps_taken(make_step):
    alphas = np.array([0.5, 0.25, 2.0], np.float32)
    solver = implicit_step(optax.sgd(0.1), lambda count: jnp.asarray(alphas)[count], rtol=1e-6)
    step, params, state = make_step(solver, loss), jnp.asarray(START), solver.init(START)
    for count, alpha in enumerate(alphas):
        assert state.count == count
        before = params
        params, state = step(params, state)
        assert state.info.learning_rate == alpha
        np.testing.assert_allclose(params, before / (1 + alpha * CURVATURES), rtol=1e-4)


def test_schedule_may_reach_zero(make_step):
    solver = implicit_step(optax.sgd(0.1), optax.linear_schedule(1.0, 0.0, 2), rtol=1e-4)
    step, params, state = make_step(solver, loss), jnp.asarray(START), solver.init(START)
    for _ in range(2):
        params, state = step(params, state)
        assert state.info.accepted
    last = params
    for _ in range(2):
        params, state = step(params, state)
        np.testing.assert_array_equal(params, last)
        assert not state.info.accepted
        assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state))


def test_controller_proposes_from_count_value_and_gradient_norm(make_step):
    controller = LearningRateController(
        init=lambda: jnp.float32(1.0),
        propose=lambda state, count, value, grad_norm: state * (value + 100 * grad_norm + 1e4 * count),
        update=lambda state, outcome: state / 2,
    )
    solver = implicit_step(optax.sgd(1e-3), controller, max_inner_steps=2)
    step, params, state = make_step(solver, loss), jnp.asarray(START), solver.init(START)
    for count in range(3):
        value, grad = jax.value_and_grad(loss)(params)
        expected = (value + 100 * jnp.linalg.norm(grad) + 1e4 * count) / 2**count
        params, state = step(params, state)
        np.testing.assert_allclose(state.info.learning_rate, expected, rtol=1e-5)


def test_controller_learns_the_outcome_of_a_step(inner, make_step):
    solver = implicit_step(inner, recording(), max_inner_steps=6, rtol=1e-6)
    params, state = make_step(solver, loss)(START, solver.init(START))
    outcome = state.controller_state
    assert isinstance(outcome, StepOutcome)
    assert outcome.learning_rate == 0.5
    assert outcome.accepted
    np.testing.assert_allclose(outcome.value_before, loss(START), rtol=1e-6)
    np.testing.assert_allclose(outcome.value_after, loss(params), rtol=1e-5)
    assert outcome.residual == state.info.residual
    assert outcome.num_inner_steps == state.info.num_inner_steps


@pytest.mark.usefixtures("x64")
def test_predicted_decrease_is_exact_on_a_solved_quadratic():
    start = START.astype(np.float64)

    @jax.jit
    def step(alpha):
        controller = recording(lambda state, count, value, grad_norm: alpha)
        solver = implicit_step(optax.lbfgs(), controller, rtol=1e-10)
        updates, state = solver.update(jax.grad(loss)(start), solver.init(start), start, value_fn=loss)
        return start + updates, state.controller_state

    for alpha in (1e-2, 1.0, 1e2):
        params, outcome = step(alpha)
        np.testing.assert_allclose(outcome.predicted_decrease, loss(start) - loss(params), rtol=1e-8)


def test_outcome_of_a_rejected_step_tells_of_the_point_that_was_refused(make_step):
    solver = implicit_step(optax.scale(0.1), recording(), max_inner_steps=1)
    params, state = make_step(solver, loss)(START, solver.init(START))
    np.testing.assert_array_equal(params, START)
    outcome = state.controller_state
    assert not outcome.accepted
    refused = START * (1 + 0.1 * CURVATURES)
    np.testing.assert_allclose(outcome.value_after, loss(refused), rtol=1e-6)
    linear = np.dot(CURVATURES * START, refused - START)
    expected = (np.sum((refused - START) ** 2) / 0.5 - linear) / 2
    np.testing.assert_allclose(outcome.predicted_decrease, expected, rtol=1e-5)


def test_controller_shrinks_alpha_until_the_step_is_accepted(make_step):
    halving = LearningRateController(
        init=lambda: jnp.asarray(48.0),
        propose=lambda state, count, value, grad_norm: state,
        update=lambda state, outcome: jnp.where(outcome.accepted, state, state / 2),
    )
    # From 1 the proximal point (1 + 8α)/(1 + 2α) lies before the wall at 3 if α < 1.
    walled = lambda p: jnp.where(p[0] > 3, jnp.nan, jnp.sum((p - 4) ** 2))
    solver = implicit_step(optax.sgd(0.1), halving, safeguard=False)
    step, params, state = make_step(solver, walled), jnp.asarray(START), solver.init(START)
    accepted = []
    for _ in range(7):
        params, state = step(params, state)
        accepted.append(bool(state.info.accepted))
    assert accepted == [False] * 6 + [True]
    assert state.info.learning_rate == 0.75
    np.testing.assert_allclose(params[0], (1 + 8 * 0.75) / (1 + 2 * 0.75), rtol=1e-3)


def test_bad_bounds_are_refused_around_an_alpha_that_is_traced():
    swapped = lambda first: largest_trusted(first, min_learning_rate=2.0, max_learning_rate=1.0).init()
    with pytest.raises(ValueError, match="max_learning_rate must be at least min_learning_rate"):
        jax.eval_shape(swapped, 1.5)
