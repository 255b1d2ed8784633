"""Nothing non-finite is ever returned, wherever it comes from."""

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

START = np.array([1.0, 2.0], np.float32)


def loss(p):
    return jnp.sum((p - 4.0) ** 2)


def compiled_update(solver, value_fn):
    """``(grad, state, params, value) -> (updates, state)``."""
    return jax.jit(lambda g, s, p, v: solver.update(g, s, p, value=v, value_fn=value_fn))


def take_step(solver, value_fn, **overrides):
    value, grad = jax.value_and_grad(loss)(START)
    args = {"grad": grad, "state": solver.init(START), "params": START, "value": value} | overrides
    return compiled_update(solver, value_fn)(*args.values())


def beyond(bad):
    """The loss, except ``bad`` where the first coordinate exceeds 3."""
    return lambda p: jnp.where(p[0] > 3.0, bad, loss(p))


def nan_gradient_beyond(p):
    """Like the loss, with a finite value but a NaN gradient where the first coordinate exceeds 3."""
    return loss(p) + 0.0 * jnp.where(p[0] > 3.0, jnp.sqrt(jnp.maximum(3.0 - p[0], 0.0)), 0.0)


BAD_LOSSES = {
    "nan": beyond(jnp.nan),
    "inf": beyond(jnp.inf),
    "minus inf": beyond(-jnp.inf),
    "nan gradient": nan_gradient_beyond,
}


@pytest.mark.parametrize("bad_loss", BAD_LOSSES.values(), ids=BAD_LOSSES.keys())
def test_best_finite_iterate_is_returned_when_a_later_one_is_not(bad_loss):
    solver = implicit_step(optax.sgd(0.1), 1e3, max_inner_steps=50, rtol=0.0)
    updates, state = take_step(solver, bad_loss)
    assert state.info.accepted
    assert 2.5 < START[0] + updates[0] <= 3.0
    assert jnp.isfinite(state.info.residual)
    assert 2 <= state.info.num_inner_steps < 50  # it stops there


@pytest.mark.parametrize("safeguard", [True, False])
@pytest.mark.parametrize("bad_loss", BAD_LOSSES.values(), ids=BAD_LOSSES.keys())
def test_update_is_zero_when_no_iterate_is_finite(bad_loss, safeguard):
    solver = implicit_step(optax.sgd(0.45), 1e3, max_inner_steps=50, safeguard=safeguard)
    updates, state = take_step(solver, bad_loss)
    np.testing.assert_array_equal(updates, jnp.zeros(2))
    assert not state.info.accepted
    assert state.info.num_inner_steps == 1


@pytest.mark.parametrize("safeguard", [True, False])
def test_update_is_zero_when_the_inner_solver_overflows(safeguard):
    solver = implicit_step(optax.sgd(1e30), 1.0, max_inner_steps=50, safeguard=safeguard)
    updates, state = take_step(solver, loss)
    np.testing.assert_array_equal(updates, jnp.zeros(2))
    assert not state.info.accepted


def test_without_safeguard_a_non_finite_last_iterate_is_not_returned():
    solver = implicit_step(optax.sgd(0.1), 1e3, max_inner_steps=50, rtol=0.0, safeguard=False)
    updates, state = take_step(solver, beyond(jnp.nan))
    np.testing.assert_array_equal(updates, jnp.zeros(2))
    assert not state.info.accepted


def test_line_search_stays_inside_the_domain_of_the_loss(inner):
    barrier = lambda p: jnp.sum(p - 0.1 * jnp.log(p))
    start = jnp.array([0.5, 3.0])
    solver = implicit_step(inner, 1e3, max_inner_steps=40)
    updates, state = jax.jit(
        lambda p: solver.update(jax.grad(barrier)(p), solver.init(p), p, value_fn=barrier)
    )(start)
    assert jnp.all(start + updates > 0)
    assert state.info.accepted
    assert barrier(start + updates) < barrier(start)


@pytest.mark.parametrize("options", [{}, {"reset_inner": False}, {"store_grad": True}, {"safeguard": False}])
def test_non_finite_input_gives_a_zero_update_and_spoils_nothing(options):
    solver = implicit_step(optax.adam(0.1), 1.0, max_inner_steps=5, **options)
    update = compiled_update(solver, loss)
    value, grad = jax.value_and_grad(loss)(START)
    init = solver.init(START)
    clean, _ = update(grad, init, START, value)
    bad_gradients = [(jnp.array([bad, 1.0]), value) for bad in (jnp.nan, jnp.inf)]
    bad_values = [(grad, jnp.float32(bad)) for bad in (jnp.nan, jnp.inf, -jnp.inf)]
    for bad_grad, bad_value in bad_gradients + bad_values:
        updates, state = update(bad_grad, init, START, bad_value)
        np.testing.assert_array_equal(updates, jnp.zeros(2))
        assert not state.info.accepted
        assert state.info.num_inner_steps == 0
        after, _ = update(grad, state, START, value)
        np.testing.assert_array_equal(after, clean)


@pytest.mark.parametrize("make_inner", [lambda: optax.adam(3.0), optax.lbfgs], ids=["adam", "lbfgs"])
def test_carried_inner_state_recovers_from_non_finite_iterates(make_inner):
    solver = implicit_step(make_inner(), 1e3, max_inner_steps=10, rtol=1e-6, reset_inner=False)

    @jax.jit
    def step(params, state, broken):
        value, grad = jax.value_and_grad(loss)(params)
        value_fn = lambda p: jnp.where(broken & jnp.any(p != params), jnp.nan, loss(p))
        updates, state = solver.update(grad, state, params, value=value, value_fn=value_fn)
        return params + updates, state

    params, state = step(START, solver.init(START), True)
    np.testing.assert_array_equal(params, START)
    for _ in range(5):
        params, state = step(params, state, False)
    assert loss(params) < 0.1 * loss(START)


@pytest.mark.parametrize("alpha", [0.0, -1.0, jnp.nan, jnp.inf])
def test_useless_step_size_from_a_schedule_gives_a_zero_update(alpha):
    solver = implicit_step(optax.sgd(0.1), lambda count: jnp.where(count == 0, alpha, 1.0))
    updates, state = take_step(solver, loss)
    np.testing.assert_array_equal(updates, jnp.zeros(2))
    assert not state.info.accepted
    updates, state = take_step(solver, loss, state=state)
    assert state.info.accepted
    assert jnp.all(updates > 0)


@pytest.mark.parametrize("controller", [largest_trusted, gain_ratio, switched_evolution_relaxation])
def test_batches_whose_loss_is_no_number_leave_the_learning_rate_alone(controller):
    """A failure at every α says nothing about α."""
    solver = implicit_step(gauss_newton(), controller(10.0), max_inner_steps=1)
    batch = jnp.array([1.0, 2.0])
    take = jax.jit(
        lambda state, params, loss: solver.update(jax.grad(loss)(params), state, params, value_fn=loss)
    )
    make = lambda y: LeastSquares(Residual(_difference, y))
    params = jnp.asarray(5.0)
    _, good = take(solver.init(params), params, make(batch))
    state = good
    for _ in range(3):
        updates, state = take(state, params, make(batch.at[0].set(jnp.nan)))
        assert updates == 0
        assert not state.info.accepted
    for before, after in zip(
        jax.tree.leaves(good.controller_state), jax.tree.leaves(state.controller_state), strict=True
    ):
        assert before == after


def _difference(p, y):
    return p - y


def test_an_alpha_at_which_there_is_no_gradient_is_left(x64):
    """Two roots: the loss is finite beyond the first, its gradient is not; α must come down again."""
    fn = lambda p, x: jnp.where(p < 2, jnp.sqrt(2 - p) - jnp.sqrt(0.1), 0.05)
    loss = LeastSquares(Residual(fn, jnp.zeros(1)))
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    step = jax.jit(lambda p, s: solver.update(jax.grad(loss)(p), s, p, value_fn=loss))
    params, state = jnp.asarray(-30.0), solver.init(jnp.asarray(-30.0))
    for _ in range(30):
        updates, state = step(params, state)
        params = params + updates
        assert not (state.info.at_floor and loss(params) > 1e-10)
    assert params == pytest.approx(1.9, rel=1e-12)


@pytest.mark.long
def test_a_masked_class_has_no_part_in_the_model(x64):
    """Its logit is −∞ and its probability 0: loss and gradient are finite, and so are the steps."""
    images, labels = jax.random.normal(jax.random.key(0), (40, 3)), jnp.arange(40) % 3
    mask = jnp.array([True, True, True, False])
    cross_entropy = lambda logits, d: optax.softmax_cross_entropy_with_integer_labels(logits, d["y"])
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    ends = []
    for beyond in (-jnp.inf, -1e9):
        fn = lambda p, d, beyond=beyond: jnp.where(mask, d["x"] @ p, beyond)
        loss = LeastSquares(Residual(fn, {"x": images, "y": labels}, loss=cross_entropy))
        params = jnp.zeros((3, 4))
        state = solver.init(params)
        update = jax.jit(lambda p, s, loss=loss: solver.update(jax.grad(loss)(p), s, p, value_fn=loss))
        for _ in range(10):
            updates, state = update(params, state)
            params = params + updates
            assert state.info.accepted
        ends.append(float(loss(params)))
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)
    assert ends[0] < 1.09
