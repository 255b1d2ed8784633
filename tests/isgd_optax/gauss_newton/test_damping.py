"""Steps that overshoot: the α that is used, within its bounds, and where the damping is centred."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, largest_trusted

pytestmark = pytest.mark.usefixtures("x64")


def test_a_step_that_overshoots_is_damped_around_the_iterate(rosenbrock_residual):
    """Far from the centre, damping towards the centre would not help; damping towards the iterate does."""
    loss, params = rosenbrock_residual
    for alpha in (1.0, 1e4):
        solver = implicit_step(gauss_newton(max_corrections=0), alpha, max_inner_steps=100, rtol=1e-8)
        updates, state = jax.jit(
            lambda p, s=solver: s.update(jax.grad(loss)(p), s.init(p), p, value_fn=loss)
        )(params)
        new = params + updates
        equation = updates + alpha * jax.grad(loss)(new)
        assert optax.tree.norm(equation) <= 1e-7 * optax.tree.norm(updates)
        assert state.info.num_inner_steps < 100


@pytest.fixture
def rosenbrock_residual():
    loss = LeastSquares(
        Residual(lambda p, x: jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]]) * x, jnp.ones(1))
    )
    return loss, jnp.array([-1.2, 1.0])


def test_a_damped_step_reports_the_alpha_that_was_used(rosenbrock_residual, one_step, dense, damped):
    loss, params = rosenbrock_residual
    updates, state = one_step(loss, params, 1e4)
    assert state.info.learning_rate < 1e4
    r, jacobian, _ = dense(loss, params)
    expected = damped(r, jacobian, 1 / (2 * float(state.info.learning_rate)))
    np.testing.assert_allclose(updates, expected, rtol=1e-8)
    assert loss(params + updates) + jnp.sum(updates**2) / 2e4 <= loss(params)


def test_a_step_to_where_the_loss_is_nan_is_damped(one_step):
    loss = LeastSquares(Residual(lambda p, x: jnp.log(p) * x, jnp.ones(1)))
    params = jnp.asarray(4.0)  # the full Gauss–Newton step leads to 4 − 4 log 4 < 0
    updates, state = one_step(loss, params, 1e6)
    assert state.info.accepted
    assert loss(params + updates) < loss(params)


def test_candidates_stay_within_the_controllers_bounds(make_problem):
    loss, params = make_problem(6)
    solver = implicit_step(gauss_newton(), largest_trusted(1.0, max_learning_rate=2.0), max_inner_steps=1)
    _, state = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss))(params)
    assert state.info.learning_rate == 2.0


def test_a_changed_incoming_gradient_does_not_change_the_trust(rosenbrock_residual):
    loss, params = rosenbrock_residual
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    update = jax.jit(lambda g, p: solver.update(g, solver.init(p), p, value_fn=loss))
    grad = jax.grad(loss)(params)
    whole, clipped = update(grad, params), update(1e-3 * grad, params)
    np.testing.assert_allclose(clipped[0], whole[0], rtol=1e-12)
