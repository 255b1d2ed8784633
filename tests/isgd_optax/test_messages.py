"""Uses that are refused in words, with the way out; and that way works."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import (
    LeastSquares,
    Residual,
    gauss_newton,
    implicit_step,
    isgd_lbfgs,
    largest_trusted,
)

D = np.array([1.0, 10.0, 100.0])
MINIMUM = [0.5, 0.90909, 0.990099]  # d/(1 + d), of the proximal objective


def partly_frozen(p):
    return 0.5 * jnp.sum(D * (p["w"] - 1) ** 2) + (p["b"] - 2) ** 2


def freezing(train, **kwargs):
    return optax.partition(
        {"train": train, "freeze": optax.set_to_zero()}, {"w": "train", "b": "freeze"}, **kwargs
    )


def line_searches():
    return [
        optax.lbfgs(),
        optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20, store_grad=True)),
    ]


def step_from_zero(inner):
    params = {"w": jnp.zeros(3), "b": jnp.array(0.0)}
    solver = implicit_step(inner, 1.0, rtol=1e-6, max_inner_steps=500)
    grad = jax.grad(partly_frozen)(params)
    updates, _ = jax.jit(lambda: solver.update(grad, solver.init(params), params, value_fn=partly_frozen))()
    return updates


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("which", [0, 1], ids=["lbfgs", "backtracking"])
def test_a_masked_line_search_needs_its_own_part_of_the_gradient(which):
    with pytest.raises(TypeError, match="mask_compatible_extra_args=True"):
        step_from_zero(freezing(line_searches()[which]))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["adam", "lbfgs", "backtracking"])
def test_parameters_frozen_inside_do_not_move(name):
    if name == "adam":
        inner = freezing(optax.adam(0.05))
    else:
        train = line_searches()[name == "backtracking"]
        inner = freezing(train, mask_compatible_extra_args=True)
    updates = step_from_zero(inner)
    np.testing.assert_allclose(updates["w"], MINIMUM, atol=1e-3)
    assert updates["b"] == 0


def test_an_inner_solver_in_a_chain_is_named():
    solver, params = implicit_step(optax.chain(gauss_newton()), 1.0), jnp.ones(1)
    with pytest.raises(TypeError, match=r"gauss_newton is an inner solver.*implicit_step\(gauss_newton\(\)"):
        solver.update(params, solver.init(params), params, value_fn=lambda p: jnp.sum(p**2))


HALF = {"a": jnp.array([0.5, -1.0], jnp.bfloat16), "b": jnp.array(0.25, jnp.float32)}


@pytest.mark.parametrize(
    ("rate", "num_inner_steps", "points"),
    [(10.0, 1, jnp.float32), (largest_trusted(), 1, jnp.bfloat16), (10.0, 3, jnp.bfloat16)],
    ids=["constant", "largest_trusted", "several"],
)
def test_gauss_newton_takes_parameters_of_half_precision(rate, num_inner_steps, points, dtypes):
    x = jnp.linspace(0.0, 1.0, 5, dtype=points)
    loss = LeastSquares(Residual(lambda p, x: p["a"][0] + p["a"][1] * x + p["b"] * x**2 - 1 - x, x))
    solver = implicit_step(gauss_newton(), rate, max_inner_steps=num_inner_steps)
    step = jax.jit(lambda p, s: solver.update(jax.grad(loss)(p), s, p, value_fn=loss))
    params, state = HALF, solver.init(HALF)
    for _ in range(3):
        updates, state = step(params, state)
        assert dtypes(updates) == dtypes(HALF)
        params = optax.apply_updates(params, updates)
    assert dtypes(params) == dtypes(HALF)
    assert loss(params) < 0.02 * loss(HALF)


@pytest.mark.long
def test_isgd_lbfgs_needs_neither_value_nor_grad(rosenbrock):
    solver = isgd_lbfgs(0.5, num_implicit_steps=2, num_inner_steps=3, memory_size=3)

    def step(params, state, known):
        value, grad = jax.value_and_grad(rosenbrock)(params)
        extra = {"value": value, "grad": grad} if known else {}
        updates, state = solver.update(grad, state, params, value_fn=rosenbrock, **extra)
        return optax.apply_updates(params, updates), state

    ends = []
    for known in (True, False):
        params = jnp.array([-0.7, 0.4, 0.9])
        state, compiled = solver.init(params), jax.jit(step, static_argnums=2)
        for _ in range(4):
            params, state = compiled(params, state, known)
        ends.append(params)
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-5)


def test_a_model_with_functions_among_its_leaves_is_named():
    eqx = pytest.importorskip("equinox")
    model = eqx.nn.MLP(1, 1, 4, 1, key=jax.random.key(0))
    with pytest.raises(TypeError, match=r"not an array.*eqx\.partition\(model"):
        implicit_step(optax.adam(0.1), 1.0).init(model)


class Affine(nnx.Module):
    def __init__(self):
        self.w = nnx.Param(jnp.ones(2))

    def __call__(self, x):
        return self.w[...] @ x


def test_a_loss_of_a_module_is_told_to_put_it_together():
    model, x = Affine(), jnp.array([1.0, 2.0])
    optimizer = nnx.Optimizer(model, implicit_step(optax.adam(0.1), 1.0), wrt=nnx.Param)
    loss = lambda module: (module(x) - 1) ** 2
    grads = nnx.grad(loss)(model)
    with pytest.raises(TypeError, match=r"nnx\.merge\(graphdef, state\)"):
        optimizer.update(model, grads, value_fn=loss)
    graphdef, _ = nnx.split(model)
    optimizer.update(model, grads, value_fn=lambda state: loss(nnx.merge(graphdef, state)))
    assert loss(model) < 4


def test_flattening_around_the_step_is_named():
    params = {"a": jnp.ones(2), "b": jnp.array(1.0)}
    loss = lambda p: jnp.sum(p["a"] ** 2) + p["b"] ** 2
    solver = optax.flatten(implicit_step(optax.adam(0.1), 1.0))
    with pytest.raises(TypeError, match=r"inside optax\.flatten, take it out"):
        solver.update(params, solver.init(params), params, value_fn=loss)


def test_a_condition_takes_one_weight():
    pinns = pytest.importorskip("pinns")
    box = pinns.Box((0.0,), (1.0,))
    with pytest.raises(TypeError, match="multiply the residual by the root of the weight"):
        pinns.Condition(lambda u, x: u(x), box, 2, weight=np.array([10.0, 1.0]))
    with pytest.raises(ValueError, match="weight ≥ 0"):
        pinns.Condition(lambda u, x: u(x), box, 2, weight=-1.0)
    condition = pinns.Condition(lambda u, x: u(x), box, 2, weight=np.float32(2.0))
    assert dataclasses.replace(condition, num_points=3).weight == 2.0
