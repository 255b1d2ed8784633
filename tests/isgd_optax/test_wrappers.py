"""Inside and around other optax transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import implicit_step

PARAMS = {"w": np.array([-0.7, 0.4, 0.9], np.float32), "b": np.array(-0.2, np.float32)}


def loss(params):
    return jnp.sum((params["w"] - 1.0) ** 2) + (params["b"] - params["w"][0]) ** 2


def one_update(solver, value_fn=loss, params=PARAMS, **extra_args):
    @jax.jit
    def update(params):
        grad = jax.grad(loss)(params)
        return solver.update(grad, solver.init(params), params, value_fn=value_fn, **extra_args)

    return update(params)


def test_transformations_after_it_change_the_displacement(assert_close):
    solver = implicit_step(optax.adam(0.05), 0.5, max_inner_steps=4)
    plain, _ = one_update(solver)
    scaled, _ = one_update(optax.chain(solver, optax.scale(0.5)))
    assert_close(scaled, jax.tree.map(lambda u: 0.5 * u, plain), rtol=1e-6)
    clipped, _ = one_update(optax.chain(solver, optax.clip_by_global_norm(0.01)))
    np.testing.assert_allclose(optax.tree.norm(clipped), 0.01, rtol=1e-5)


def test_transformations_before_it_do_not_change_the_equation_solved(assert_close):
    solver = implicit_step(optax.adam(0.02), 0.5, max_inner_steps=2000, rtol=1e-4)
    plain, _ = one_update(solver)
    clipped, state = one_update(optax.chain(optax.clip_by_global_norm(0.1), solver))
    assert state[1].info.accepted
    assert_close(clipped, plain, rtol=1e-3)


def test_named_chain(assert_close):
    solver = implicit_step(optax.adam(0.05), 0.5, max_inner_steps=4)
    plain, _ = one_update(solver)
    named, state = one_update(optax.named_chain(("implicit", solver), ("half", optax.scale(0.5))))
    assert_close(named, jax.tree.map(lambda u: 0.5 * u, plain), rtol=1e-6)
    assert state["implicit"].info.num_inner_steps == 4


def test_apply_if_finite_sees_finite_updates_when_the_inner_loop_meets_nan():
    solver = optax.apply_if_finite(implicit_step(optax.adam(0.05), 0.5, max_inner_steps=4), 3)
    nan_elsewhere = lambda params: jnp.where(params["b"] == PARAMS["b"], loss(params), jnp.nan)
    updates, state = one_update(solver, nan_elsewhere)
    assert all(jnp.all(leaf == 0) for leaf in jax.tree.leaves(updates))
    assert state.last_finite
    assert not state.inner_state.info.accepted
    assert state.inner_state.count == 1


def test_apply_if_finite_skips_a_non_finite_gradient():
    solver = optax.apply_if_finite(implicit_step(optax.adam(0.05), 0.5, max_inner_steps=4), 3)
    grad = {"w": jnp.full(3, jnp.nan), "b": jnp.ones(())}
    updates, state = jax.jit(lambda p: solver.update(grad, solver.init(p), p, value_fn=loss))(PARAMS)
    assert all(jnp.all(leaf == 0) for leaf in jax.tree.leaves(updates))
    assert state.notfinite_count == 1
    assert state.inner_state.count == 0


def test_multi_steps_emits_one_implicit_step(assert_close):
    solver = implicit_step(optax.adam(0.05), 0.5, max_inner_steps=4)
    accumulating = optax.MultiSteps(solver, every_k_schedule=3)
    update = jax.jit(lambda g, s, p: accumulating.update(g, s, p, value_fn=loss))
    state, grad = accumulating.init(PARAMS), jax.grad(loss)(PARAMS)
    for factor in (0.5, 1.0):
        updates, state = update(jax.tree.map(lambda g, c=factor: c * g, grad), state, PARAMS)
        assert all(jnp.all(leaf == 0) for leaf in jax.tree.leaves(updates))
        assert state.inner_opt_state.count == 0
    updates, state = update(jax.tree.map(lambda g: 1.5 * g, grad), state, PARAMS)
    assert_close(updates, one_update(solver)[0], rtol=1e-4)
    assert state.inner_opt_state.count == 1


def test_partition_inside_freezes_parameters(assert_close):
    inner = optax.partition(
        {"train": optax.adam(0.05), "freeze": optax.set_to_zero()}, {"w": "train", "b": "freeze"}
    )
    solver = implicit_step(inner, 0.5, max_inner_steps=6, rtol=0.0)
    updates, state = one_update(solver)
    assert state.info.accepted
    assert updates["b"] == 0

    alone = implicit_step(optax.adam(0.05), 0.5, max_inner_steps=6, rtol=0.0)
    value_fn = lambda w: loss({"w": w, "b": PARAMS["b"]})
    expected, _ = jax.jit(lambda w: alone.update(jax.grad(value_fn)(w), alone.init(w), w, value_fn=value_fn))(
        PARAMS["w"]
    )
    assert_close(updates["w"], expected, rtol=1e-5)


def test_chain_inside(assert_close):
    """The line search comes last; its direction may come from anything."""
    inner = optax.chain(
        optax.clip_by_global_norm(1.0), optax.sgd(1.0), optax.scale_by_backtracking_linesearch(15)
    )
    solver = implicit_step(inner, 0.5, max_inner_steps=60, rtol=1e-3)
    updates, state = one_update(solver)
    exact, _ = one_update(implicit_step(optax.sgd(0.1), 0.5, max_inner_steps=500, rtol=1e-5))
    assert state.info.accepted
    assert_close(updates, exact, rtol=3e-2, atol=1e-3)


def test_freezing_after_it_is_possible_too():
    solver = implicit_step(optax.adam(0.05), 0.5, max_inner_steps=4)
    frozen = optax.chain(solver, optax.masked(optax.set_to_zero(), {"w": False, "b": True}))
    updates, _ = one_update(frozen)
    assert updates["b"] == 0
    assert jnp.all(updates["w"] != 0)


@pytest.mark.parametrize("reset_inner", [True, False])
def test_conditional_updates_keep_the_state_stable(reset_inner, assert_close):
    solver = implicit_step(optax.adam(0.05), 0.5, max_inner_steps=4, reset_inner=reset_inner)
    every_other = optax.conditionally_transform(
        optax.with_extra_args_support(solver),
        should_transform_fn=lambda step, **extra_args: step % 2 == 1,
    )
    update = jax.jit(lambda g, s, p: every_other.update(g, s, p, value_fn=loss))
    grad = jax.grad(loss)(PARAMS)
    updates, state = update(grad, every_other.init(PARAMS), PARAMS)
    assert_close(updates, grad)
    updates, _ = update(grad, state, PARAMS)
    assert_close(updates, one_update(solver)[0], rtol=1e-5)


@pytest.mark.parametrize(
    "after",
    [optax.scale(0.1), optax.clip_by_global_norm(0.05), optax.freeze({"w": False, "b": True})],
    ids=["scale", "clip", "freeze"],
)
@pytest.mark.parametrize("store_grad", [True, False])
def test_what_follows_a_line_search_inside_moves_the_point_that_is_measured(after, store_grad, assert_close):
    """Where it lands is another point than the search's, with another value and gradient."""
    solver = implicit_step(optax.chain(optax.lbfgs(), after), 0.5, max_inner_steps=1, store_grad=store_grad)
    updates, state = one_update(solver)
    params = optax.apply_updates(PARAMS, updates)
    grad = jax.grad(loss)(params)
    left = jax.tree.map(lambda u, g: u + 0.5 * g, updates, grad)  # of the implicit equation
    expected = optax.tree.norm(left) / optax.tree.norm(updates)
    np.testing.assert_allclose(state.info.residual, expected, rtol=1e-4)
    if store_grad:
        assert_close(state.stored.grad, grad, rtol=1e-5)
        np.testing.assert_allclose(state.stored.value, loss(params), rtol=1e-6)
