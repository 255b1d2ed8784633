"""A step ends at the rounded sum of parameters and update: there its loss is finite and lower."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, gain_ratio, gauss_newton, implicit_step, largest_trusted


def stepped(solver, value_fn, params):
    """One compiled step: the new parameters and what it tells of itself."""

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(value_fn)(params)
        return solver.update(grad, state, params, value=value, value_fn=value_fn)

    updates, state = step(params, solver.init(params))
    return optax.apply_updates(params, updates), state.info


@pytest.mark.parametrize("inner", [optax.lbfgs(), gauss_newton()], ids=["lbfgs", "gauss_newton"])
@pytest.mark.parametrize(
    ("start", "wall", "target"),
    [(0.3, 32.375, 46.0), (0.3, 24.06, 30.0), (0.3, 40.1, 41.3), (-100.0, -0.05, 0.1), (-37.0, 0.11, 0.13)],
)
def test_half_precision_parameters_are_measured_where_they_land(inner, start, wall, target):
    """A wall between a point and its rounding: the loss is infinite where x rounds beyond it."""
    params = jnp.array([start, 0.0], jnp.bfloat16)

    def residual(params, _):
        x = params.astype(jnp.float32)
        inside = (x[0] > wall) if wall > 1 else (abs(x[0]) < abs(wall))
        return jnp.where(inside, jnp.inf, x - jnp.array([target, 0.0]))

    value_fn = LeastSquares(Residual(residual, jnp.zeros(1)))
    new, _ = stepped(implicit_step(inner, 10.0, max_inner_steps=8), value_fn, params)
    assert value_fn(new) <= value_fn(params)


@pytest.mark.parametrize("safeguard", [True, False])
def test_a_parameter_that_loses_its_digits_is_measured_where_it_lands(safeguard):
    """From 1 to 1e-8 is to 0 in float32, where this loss is infinite."""
    loss = lambda p: jnp.where(p > 0, (p - 1e-8) ** 2, jnp.inf)
    solver = implicit_step(optax.sgd(0.45), 1e9, max_inner_steps=12, rtol=0.0, safeguard=safeguard)
    new, info = stepped(solver, loss, jnp.float32(1.0))
    assert np.isfinite(loss(new))
    assert not info.accepted


def test_subnormal_parameters_that_are_frozen_stay():
    params = {"w": jnp.ones(2, jnp.float16), "c": jnp.asarray(3e-5, jnp.float16)}
    loss = lambda p: jnp.sum((p["w"].astype(jnp.float32) - 3) ** 2) + jnp.log(p["c"].astype(jnp.float32))
    frozen = optax.partition({"t": optax.sgd(0.1), "f": optax.set_to_zero()}, {"w": "t", "c": "f"})
    new, info = stepped(implicit_step(frozen, 1.0, max_inner_steps=3), loss, params)
    assert info.accepted
    assert new["c"] == params["c"]


@pytest.mark.parametrize("unit", [1e-15, 1e-12, 1e11, 1e13])
def test_units_whose_squares_leave_float32_are_no_floor(unit):
    """Residuals in amperes, or pascals: ‖∇L‖² is 0, or infinite, where ∇L is a number."""
    points = jnp.linspace(0.0, 1.0, 20)
    loss = LeastSquares(Residual(lambda p, x: unit * (p[0] + p[1] * x - 1 - 2 * x), points))
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    params = jnp.zeros(2)
    state = solver.init(params)

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        return optax.apply_updates(params, updates), state

    for _ in range(40):
        params, state = step(params, state)
    if unit > 1:
        np.testing.assert_allclose(params, [1.0, 2.0], rtol=1e-4)
    else:  # α would have to be 1/unit²
        assert state.info.at_bound
        assert not state.info.at_floor


def test_predicted_decreases_of_float16_do_not_overflow():
    """⟨∇L, d⟩ is 5e5 here, beyond float16: a step that gains is no failure."""
    loss = lambda p: jnp.sum(p.astype(jnp.float32) ** 2)
    params = jnp.array([300.0, 400.0], jnp.float16)
    solver = implicit_step(optax.lbfgs(), gain_ratio(10.0))

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        return solver.update(grad, state, params, value=value, value_fn=loss)

    updates, state = step(params, solver.init(params))
    assert state.info.accepted
    _, after = step(optax.apply_updates(params, updates), state)
    assert after.info.learning_rate >= 10.0


@pytest.mark.parametrize(("num_points", "size"), [(10_000, 5.0), (70_000, 0.5)])
def test_a_mean_in_float16_is_summed_in_float32(num_points, size):
    points = jnp.linspace(0.0, 1.0, num_points).astype(jnp.float16)
    loss = LeastSquares(Residual(lambda p, x: p * x - jnp.float16(size), points))
    value = loss(jnp.float16(0))
    assert value.dtype == jnp.float16
    np.testing.assert_allclose(float(value), size**2, rtol=1e-3)
    np.testing.assert_allclose(
        float(jnp.linalg.norm(loss.residuals(jnp.float16(0)).astype(jnp.float32))), size, rtol=0.3
    )
