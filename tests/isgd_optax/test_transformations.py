"""Under jit with donation, vmap, differentiation and scan."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import implicit_step

START = np.array([-0.7, 0.4, 0.9, -0.2])


def displaced(solver, loss):
    """Parameters after one step, as a function of those before."""

    def step(params, *args):
        value_fn = lambda p: loss(p, *args)
        value, grad = jax.value_and_grad(value_fn)(params)
        updates, _ = solver.update(grad, solver.init(params), params, value=value, value_fn=value_fn)
        return params + updates

    return step


@pytest.mark.usefixtures("x64")
def test_vmap_over_parameters_equals_a_loop(inner, rosenbrock, assert_close):
    solver = implicit_step(inner, 0.3, max_inner_steps=400, rtol=1e-2)

    def step(params):
        value, grad = jax.value_and_grad(rosenbrock)(params)
        return solver.update(grad, solver.init(params), params, value=value, value_fn=rosenbrock)

    starts = 0.5 * jax.random.normal(jax.random.key(1), (5, 4))
    batched = jax.jit(jax.vmap(step))(starts)
    one_by_one = [jax.jit(step)(start) for start in starts]
    assert len({int(state.info.num_inner_steps) for _, state in one_by_one}) > 1
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *one_by_one)
    assert_close(batched, stacked, rtol=1e-7, atol=1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("inner", [optax.sgd(0.01), optax.lbfgs()], ids=["sgd", "lbfgs"])
def test_jvp_of_a_solved_step_equals_finite_differences(inner, rosenbrock):
    loss = lambda params, shift: rosenbrock(params - shift)
    step = jax.jit(displaced(implicit_step(inner, 0.05, max_inner_steps=2000, rtol=1e-11), loss))
    primals = (jnp.asarray(START), jnp.asarray(0.1))
    tangents = (jnp.array([0.3, -1.0, 0.5, 0.2]), jnp.asarray(0.7))
    out, tangent_out = jax.jvp(step, primals, tangents)
    np.testing.assert_allclose(out, step(*primals), rtol=1e-12)
    eps = 1e-6
    ahead, behind = (
        step(*(x + sign * eps * dx for x, dx in zip(primals, tangents, strict=True))) for sign in (1, -1)
    )
    np.testing.assert_allclose(tangent_out, (ahead - behind) / (2 * eps), rtol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("inner", "batch_size"),
    [(optax.sgd(0.2), None), (optax.lbfgs(), None), (optax.sgd(0.2), 3)],
    ids=["sgd", "lbfgs", "batch"],
)
@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_jacobian_of_a_solved_step_is_that_of_the_proximal_map(inner, batch_size, mode):
    curvatures = jnp.array([0.1, 1.0, 5.0])
    loss = lambda p: jnp.sum(curvatures * p**2) / 2
    step = displaced(implicit_step(inner, 0.5, max_inner_steps=300, rtol=1e-10), loss)
    jacobian = mode(step)
    if batch_size is None:
        result = jax.jit(jacobian)(jnp.ones(3))
    else:
        result = jax.jit(jax.vmap(jacobian))(jnp.ones((batch_size, 3)))[1]
    np.testing.assert_allclose(result, np.diag(1 / (1 + 0.5 * curvatures)), rtol=1e-6, atol=1e-9)


def check_donation(solver, loss):
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return params + updates, state

    params = jnp.asarray(START, jnp.float32)
    state, donating = solver.init(params), jax.jit(step, donate_argnums=(0, 1), keep_unused=True)
    for _ in range(2):
        old_params, old_state = params, state
        params, state = donating(params, state)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves((old_params, old_state)))
    assert loss(params) < loss(START)


def test_parameters_and_state_can_be_donated(solver, rosenbrock):
    check_donation(solver, rosenbrock)


@pytest.mark.parametrize(
    ("inner", "options"),
    [(optax.adam(0.05), {"store_grad": True}), (optax.lbfgs(), {"reset_inner": False})],
    ids=["store_grad", "carry"],
)
def test_state_with_more_in_it_can_be_donated(inner, options, rosenbrock):
    check_donation(implicit_step(inner, 0.5, max_inner_steps=3, **options), rosenbrock)


def test_scan_equals_a_loop_of_compiled_steps(inner, rosenbrock, make_step, assert_close):
    solver = implicit_step(inner, 0.5, max_inner_steps=5)
    params = jnp.asarray(START, jnp.float32)
    step, carry = make_step(solver, rosenbrock), (params, solver.init(params))
    scanned, accepted = jax.lax.scan(
        lambda carry, _: ((new := step(*carry)), new[1].info.accepted), carry, length=4
    )
    for _ in range(4):
        carry = step(*carry)
    assert_close(scanned, carry, rtol=1e-4, atol=1e-5)
    assert accepted.shape == (4,)


def test_gradient_may_be_stopped_at_the_updates(rosenbrock):
    """Reverse mode passes by the implicit step where the updates are constants."""
    solver = implicit_step(optax.adam(0.05), 0.5, max_inner_steps=3)

    def after(params):
        grad = jax.grad(rosenbrock)(params)
        updates, _ = solver.update(grad, solver.init(params), params, value_fn=rosenbrock)
        return rosenbrock(params + jax.lax.stop_gradient(updates))

    params = jnp.asarray(START, jnp.float32)
    updates, _ = jax.jit(
        lambda p: solver.update(jax.grad(rosenbrock)(p), solver.init(p), p, value_fn=rosenbrock)
    )(params)
    np.testing.assert_allclose(
        jax.jit(jax.grad(after))(params), jax.grad(rosenbrock)(params + updates), rtol=1e-4
    )
