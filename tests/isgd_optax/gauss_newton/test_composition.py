"""Gauss–Newton steps inside jit, vmap, other transformations and a loop that stores the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import gauss_newton, implicit_step, largest_trusted, switch_after

pytestmark = pytest.mark.usefixtures("x64")


def test_new_points_of_the_same_shape_do_not_compile_again(make_problem):
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    calls = []

    @jax.jit
    def step(params, state, loss):
        calls.append(None)
        return solver.update(jax.grad(loss)(params), state, params, value_fn=loss)

    loss, params = make_problem(6)
    _, state = step(params, solver.init(params), loss)
    step(params, state, jax.tree.map(lambda leaf: leaf * 1.1, loss))
    assert len(calls) == 1


def test_an_ensemble_is_trained_by_vmap(make_problem):
    loss, params = make_problem(6)
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    step = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss)[0])
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 1.2, leaf - 0.3]), params)
    together = jax.vmap(step)(several)
    for i in range(3):
        alone = step(jax.tree.map(lambda leaf, i=i: leaf[i], several))
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-7)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda solver: optax.chain(solver, optax.clip_by_global_norm(1e6)),
        lambda solver: switch_after(1, optax.adam(1e-3), solver),
        lambda solver: optax.apply_if_finite(solver, 3),
        lambda solver: optax.inject_hyperparams(implicit_step)(gauss_newton(), learning_rate=1.0),
    ],
    ids=["chain", "switch_after", "apply_if_finite", "inject_hyperparams"],
)
def test_it_works_inside_other_transformations(wrap, make_problem):
    loss, params = make_problem(6)
    solver = optax.with_extra_args_support(wrap(implicit_step(gauss_newton(), largest_trusted())))

    @jax.jit
    def run(params):
        def step(carry, _):
            params, state = carry
            value, grad = jax.value_and_grad(loss)(params)
            updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
            return (optax.apply_updates(params, updates), state), value

        return jax.lax.scan(step, (params, solver.init(params)), length=30)[1]

    values = run(params)
    assert values[-1] < 0.2 * values[0]


def test_the_stored_gradient_is_that_of_the_new_parameters(make_problem):
    loss, params = make_problem(6)
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True)
    update = jax.jit(lambda g, s, p: solver.update(g, s, p, value_fn=loss))
    updates, state = update(jax.grad(loss)(params), solver.init(params), params)
    new = optax.apply_updates(params, updates)
    value, grad = optax.value_and_grad_from_state(loss)(new, state=state)
    np.testing.assert_allclose(value, loss(new), rtol=1e-12)
    for ours, theirs in zip(jax.tree.leaves(grad), jax.tree.leaves(jax.grad(loss)(new)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
