"""Conventions of optax: extra arguments, compilation, hyperparameters, tracing and tree utilities."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LearningRateController, implicit_step, isgd_adam

PARAMS = {"w": np.array([-0.7, 0.4, 0.9], np.float32), "b": np.array(-0.2, np.float32)}


def loss(params):
    return jnp.sum((params["w"] - 1.0) ** 2) + (params["b"] - params["w"][0]) ** 2


def traces_of_three_steps(solver):
    traces = []

    @jax.jit
    def step(params, state):
        traces.append(None)
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(params, updates), state

    params, state = jax.tree.map(jnp.asarray, PARAMS), solver.init(PARAMS)
    for _ in range(3):
        params, state = step(params, state)
    assert loss(params) < loss(PARAMS)
    return len(traces)


def test_one_compilation_for_many_steps(solver):
    assert traces_of_three_steps(solver) == 1


@pytest.mark.parametrize("start", [10.0, np.float32(10.0), 10], ids=["float", "float32", "int"])
def test_controller_state_made_of_python_numbers_does_not_recompile(start):
    controller = LearningRateController(
        init=lambda: jnp.asarray(start),
        propose=lambda state, count, value, grad_norm: state,
        update=lambda state, outcome: jnp.where(outcome.accepted, state, state / 2),
    )
    solver = implicit_step(optax.adam(0.05), controller, max_inner_steps=2)
    assert traces_of_three_steps(solver) == 1


def test_unknown_extra_arguments_are_ignored(solver):
    unknown = {"unknown": jnp.ones(7), "residual_fn": None}
    value, grad = jax.value_and_grad(loss)(PARAMS)
    update = lambda params: solver.update(
        grad, solver.init(params), params, value=value, grad=grad, value_fn=loss, **unknown
    )
    updates, _ = jax.eval_shape(update, PARAMS)
    assert jax.tree.map(jnp.shape, updates) == jax.tree.map(jnp.shape, PARAMS)


def test_value_fn_that_collects_its_data_works_in_every_solver(solver):
    def value_fn(params, **data):
        assert data.keys() == {"shift"}
        return loss(jax.tree.map(lambda leaf: leaf - data["shift"], params))

    value, grad = jax.value_and_grad(value_fn)(PARAMS, shift=0.1)
    update = lambda params, shift: solver.update(
        grad, solver.init(params), params, value=value, grad=grad, value_fn=value_fn, shift=shift
    )
    updates, _ = jax.eval_shape(update, PARAMS, 0.1)
    assert jax.tree.map(jnp.shape, updates) == jax.tree.map(jnp.shape, PARAMS)


@pytest.mark.parametrize(
    ("inner", "keywords"),
    [
        (optax.adam(0.05), "named"),
        (optax.adam(0.05), "collected"),
        (optax.lbfgs(memory_size=3), "positional or keyword"),
    ],
    ids=["named", "collected", "line search"],
)
def test_value_fn_gets_the_data_it_names(inner, keywords, assert_close):
    def with_data(params, x, y):
        return jnp.mean((params["w"] @ x + params["b"] - y) ** 2)

    value_fn = {
        "named": lambda params, *, x, y: with_data(params, x, y),
        "positional or keyword": with_data,
        "collected": lambda params, **data: with_data(params, data["x"], data["y"]),
    }[keywords]
    data = {"x": jnp.arange(6.0).reshape(3, 2) / 6, "y": jnp.array([1.0, -1.0])}
    other = {} if keywords == "collected" else {"unknown": jnp.ones(7)}
    solver = implicit_step(inner, 0.5, max_inner_steps=4)

    @jax.jit
    def update(params, data):
        grad = jax.grad(with_data)(params, **data)
        state = solver.init(params)
        named, _ = solver.update(grad, state, params, value_fn=value_fn, **data, **other)
        closed_over, _ = solver.update(grad, state, params, value_fn=lambda p: with_data(p, **data))
        return named, closed_over

    named, closed_over = update(PARAMS, data)
    assert_close(named, closed_over)
    assert all(jnp.all(leaf != 0) for leaf in jax.tree.leaves(named))


def test_value_fn_may_be_a_builtin_without_signature():
    solver = implicit_step(optax.sgd(0.1), 0.5)
    params = jnp.array([3.0, -4.0])
    norm = jax.tree_util.Partial(jnp.linalg.norm)
    updates, _ = jax.jit(
        lambda p: solver.update(jax.grad(norm)(p), solver.init(p), p, value_fn=norm, unknown=1)
    )(params)
    np.testing.assert_allclose(params + updates, params * (1 - 0.5 / 5), rtol=1e-2)


HYPERPARAMS = {
    "implicit_step": (implicit_step, {"inner": optax.adam(0.05), "rtol": 1e-2, "max_inner_steps": 4}),
    "isgd_adam": (isgd_adam, {"num_implicit_steps": 2, "num_inner_steps": 3}),
}


@pytest.mark.parametrize("name", HYPERPARAMS)
def test_injected_hyperparameters_change_nothing(name, make_step, assert_close):
    factory, options = HYPERPARAMS[name]
    plain = factory(learning_rate=0.3, **options)
    injected = optax.inject_hyperparams(factory)(learning_rate=0.3, **options)
    ours, theirs = (PARAMS, injected.init(PARAMS)), (PARAMS, plain.init(PARAMS))
    injected_step, plain_step = make_step(injected, loss), make_step(plain, loss)
    for _ in range(3):
        ours, theirs = injected_step(*ours), plain_step(*theirs)
    assert_close((ours[0], ours[1].inner_state), theirs, rtol=1e-4, atol=1e-5)


def test_injected_schedules_and_changed_hyperparameters_take_effect(make_step):
    schedule = lambda count: 0.5 / (1 + count)
    solver = optax.inject_hyperparams(implicit_step)(optax.adam(0.05), schedule, max_inner_steps=7, rtol=0.0)
    step, params, state = make_step(solver, loss), PARAMS, solver.init(PARAMS)
    for count in range(3):
        params, state = step(params, state)
        np.testing.assert_allclose(state.inner_state.info.learning_rate, schedule(count), rtol=1e-6)
        assert state.inner_state.info.num_inner_steps == 7
    state.hyperparams["max_inner_steps"] = jnp.asarray(2)
    params, state = step(params, state)
    assert state.inner_state.info.num_inner_steps == 2


def test_init_of_abstract_parameters(solver, dtypes):
    abstract_params = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, PARAMS))
    shapes = lambda tree: jax.tree.map(jnp.shape, tree)
    concrete = solver.init(PARAMS)
    for state in (jax.eval_shape(solver.init, PARAMS), solver.init(abstract_params)):
        assert jax.tree.structure(state) == jax.tree.structure(concrete)
        assert shapes(state) == shapes(concrete)
        assert dtypes(state) == dtypes(concrete)


@pytest.mark.parametrize(
    "options", [{}, {"store_grad": True}, {"reset_inner": False}], ids=["default", "store_grad", "carry"]
)
@pytest.mark.parametrize("inner", [optax.adam(0.1), optax.sgd(0.1, momentum=0.9)], ids=["adam", "momentum"])
def test_map_params_finds_what_is_shaped_like_the_parameters(inner, options, assert_close):
    solver = implicit_step(inner, 0.5, **options)
    state = solver.init(PARAMS)
    assert_close(optax.tree.map_params(solver, lambda leaf: leaf, state), state)
    marked = optax.tree.map_params(
        solver, lambda leaf: "params", state, transform_non_params=lambda leaf: "other"
    )
    if "store_grad" in options:
        assert set(jax.tree.leaves(marked.stored.grad)) == {"params"}
    if "reset_inner" in options:
        assert jax.tree.leaves(marked.inner_state).count("params") in (2, 4)  # one or two moments of w and b
    assert marked.count == "other"
    factors = {"w": 2.0, "b": 3.0}
    optax.tree.map_params(solver, lambda leaf, factor: factor * leaf, state, factors)


def test_map_params_of_isgd_adam(assert_close):
    solver = isgd_adam(0.5, num_implicit_steps=2, num_inner_steps=3)
    state = solver.init(PARAMS)
    doubled = optax.tree.map_params(solver, lambda leaf: leaf + 1, state)
    assert_close(doubled.second[0].mu, jax.tree.map(np.ones_like, PARAMS))
    assert doubled.count == 0


@pytest.mark.parametrize("make_inner", [lambda: optax.sgd(0.1), lambda: optax.adam(0.1)], ids=["sgd", "adam"])
@pytest.mark.parametrize("empty", [{}, (), {"a": None}], ids=str)
@pytest.mark.parametrize("store_grad", [False, True])
def test_empty_parameters(make_inner, empty, store_grad):
    solver = implicit_step(make_inner(), 0.5, store_grad=store_grad)
    updates, state = jax.jit(
        lambda s: solver.update(empty, s, empty, value_fn=lambda params: jnp.asarray(1.0))
    )(solver.init(empty))
    assert updates == empty
    assert state.count == 1
