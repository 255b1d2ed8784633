"""When the inner iteration stops, and what it evaluates."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import implicit_step

START = np.array([-0.7, 0.4, 0.9, -0.2])


def take_step(solver, loss, start=START, **extra_args):
    """One compiled update from ``start``; value and gradient there are not counted."""
    plain = getattr(loss, "loss", loss)

    @jax.jit
    def step(params):
        value, grad = jax.value_and_grad(plain)(params)
        kwargs = {"value": value} | extra_args
        return solver.update(grad, solver.init(params), params, value_fn=loss, **kwargs)

    return step(jnp.asarray(start))


def test_zero_tolerances_make_exactly_the_given_number_of_steps(inner, rosenbrock):
    @jax.jit
    def step(num_steps):
        return take_step(implicit_step(inner, 0.5, max_inner_steps=num_steps, rtol=0.0), rosenbrock)

    for num_steps in (1, 2, 7):
        _, state = step(num_steps)
        assert state.info.num_inner_steps == num_steps


def test_zero_tolerances_do_not_stop_at_an_exact_solution():
    solver = implicit_step(optax.sgd(0.5), 1.0, max_inner_steps=9, rtol=0.0)
    updates, state = take_step(solver, lambda p: jnp.sum(p**2) / 2)  # solved exactly by the first step
    assert state.info.num_inner_steps == 9
    assert state.info.residual == 0
    np.testing.assert_allclose(updates, -START / 2)


@pytest.mark.usefixtures("x64")
def test_early_stop_means_the_implicit_equation_is_solved(inner, rosenbrock):
    @jax.jit
    def step(alpha, rtol):
        return take_step(implicit_step(inner, alpha, max_inner_steps=3000, rtol=rtol), rosenbrock)

    for alpha, rtol in itertools.product([0.05, 2.0], [0.3, 1e-2, 1e-5]):
        updates, state = step(alpha, rtol)
        assert state.info.accepted
        assert 0 < state.info.num_inner_steps < 3000
        error = jnp.linalg.norm(updates + alpha * jax.grad(rosenbrock)(START + updates))
        assert error <= rtol * jnp.linalg.norm(updates) * (1 + 1e-9)
        np.testing.assert_allclose(state.info.residual, error / jnp.linalg.norm(updates), rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_it_stops_at_the_first_iterate_that_solves_the_equation(trajectory, rosenbrock):
    inner, alpha, rtol = optax.adam(0.05), 0.2, 0.1
    points, _, _ = trajectory(rosenbrock, jnp.asarray(START), alpha, inner, 60)
    residuals = [
        jnp.linalg.norm(p - START + alpha * jax.grad(rosenbrock)(p)) / jnp.linalg.norm(p - START)
        for p in points[1:]
    ]
    first = next(k for k, residual in enumerate(residuals, 1) if residual <= rtol)
    _, state = take_step(implicit_step(inner, alpha, rtol=rtol), rosenbrock)
    assert state.info.num_inner_steps == first
    np.testing.assert_allclose(state.info.residual, residuals[first - 1], rtol=1e-8)


@pytest.mark.usefixtures("x64")
def test_absolute_tolerance_alone_stops(inner, rosenbrock):
    @jax.jit
    def step(atol):
        return take_step(implicit_step(inner, 0.5, max_inner_steps=3000, rtol=0.0, atol=atol), rosenbrock)

    for atol in (1e-1, 1e-3):
        updates, state = step(atol)
        assert 0 < state.info.num_inner_steps < 3000
        assert jnp.linalg.norm(updates + 0.5 * jax.grad(rosenbrock)(START + updates)) <= atol


def test_large_absolute_tolerance_accepts_the_start(inner, counted, rosenbrock):
    loss = counted(rosenbrock)
    updates, state = take_step(implicit_step(inner, 0.5, atol=1e3), loss)
    np.testing.assert_array_equal(updates, jnp.zeros(4))
    assert state.info.accepted
    assert state.info.num_inner_steps == 0
    assert state.info.residual == jnp.inf  # p = c does not solve the equation to a relative tolerance
    assert loss.executions() == 0


@pytest.mark.parametrize("safeguard", [True, False])
def test_adam_evaluates_one_gradient_per_inner_step_and_none_at_the_start(counted, rosenbrock, safeguard):
    loss = counted(rosenbrock)
    solver = implicit_step(optax.adam(0.01), 0.5, max_inner_steps=6, rtol=0.0, safeguard=safeguard)
    _, state = take_step(solver, loss)
    assert loss.executions() == 6
    assert state.num_gradients == 6


def test_missing_value_costs_one_evaluation(counted, rosenbrock):
    loss = counted(rosenbrock)
    with_value, _ = take_step(implicit_step(optax.adam(0.01), 0.5, max_inner_steps=6, rtol=0.0), loss)
    assert loss.executions() == 6
    without_value, state = take_step(
        implicit_step(optax.adam(0.01), 0.5, max_inner_steps=6, rtol=0.0), loss, value=None
    )
    assert loss.executions() == 7
    assert state.num_gradients == 6
    np.testing.assert_array_equal(with_value, without_value)


LINE_SEARCHES = {
    "zoom": lambda: optax.lbfgs(memory_size=3),
    "backtracking": lambda: optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20, store_grad=True)
    ),
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", LINE_SEARCHES)
def test_line_search_evaluations_are_reused(name, counted, rosenbrock):
    inner, alpha, num_steps = LINE_SEARCHES[name](), 0.5, 5
    by_hand = counted(rosenbrock)
    phi = lambda p: by_hand(p) + jnp.sum((p - START) ** 2) / (2 * alpha)

    @jax.jit
    def run(point):
        state = inner.init(point)
        value, grad = jax.value_and_grad(rosenbrock)(point)
        for _ in range(num_steps):
            updates, state = inner.update(grad, state, point, value=value, grad=grad, value_fn=phi)
            point = optax.apply_updates(point, updates)
            value, grad = optax.tree.get(state, "value"), optax.tree.get(state, "grad")
        return point

    expected = run(jnp.asarray(START))
    loss = counted(rosenbrock)
    updates, state = take_step(implicit_step(inner, alpha, max_inner_steps=num_steps, rtol=0.0), loss)
    executions = loss.executions()
    assert executions == by_hand.executions()
    np.testing.assert_allclose(START + updates, expected, rtol=1e-10)
    if name == "zoom":
        assert state.num_gradients == executions
    else:
        assert state.num_gradients == num_steps


def test_line_search_without_stored_gradient_costs_one_gradient_per_step(counted, rosenbrock):
    inner = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20))
    _, state = take_step(implicit_step(inner, 0.5, max_inner_steps=5, rtol=0.0), counted(rosenbrock))
    assert state.num_gradients == 5
    assert state.info.accepted


def test_gradient_argument_takes_precedence_over_changed_updates(rosenbrock, make_step):
    solver = implicit_step(optax.adam(0.01), 0.5, max_inner_steps=6)
    chained = optax.chain(optax.scale(-3.0), solver)
    start = jnp.asarray(START)
    plain, _ = make_step(solver, rosenbrock)(start, solver.init(start))
    after_scale, _ = make_step(chained, rosenbrock)(start, chained.init(start))
    np.testing.assert_array_equal(plain, after_scale)
