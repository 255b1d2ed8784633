"""Updates and state keep their dtypes, shapes and shardings, whatever those of parameters, loss and value."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import (
    LeastSquares,
    ProximalObjective,
    Residual,
    gain_ratio,
    gauss_newton,
    implicit_step,
    switched_evolution_relaxation,
)

FLOATS = ["float16", "bfloat16", "float32", "float64"]


def loss(params):
    return sum(jnp.sum((leaf - 1) ** 2) for leaf in jax.tree.leaves(params))


@pytest.fixture(params=FLOATS)
def param_dtype(request):
    jax.config.update("jax_enable_x64", request.param == "float64")
    yield jnp.dtype(request.param)
    jax.config.update("jax_enable_x64", False)


def test_state_is_stable_under_cond_with_a_value_of_another_dtype(solver, param_dtype, dtypes):
    params = {"w": jnp.zeros((2, 3), param_dtype), "b": jnp.zeros((), param_dtype)}
    state = solver.init(params)
    confused = jnp.bfloat16 if param_dtype == jnp.float16 else jnp.float16

    def step(params, state, skip):
        value, grad = jax.value_and_grad(loss)(params)
        value = value.astype(confused)
        update = lambda: solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return jax.lax.cond(skip, lambda: (params, state), update)

    updates, new_state = jax.eval_shape(step, params, state, True)
    assert dtypes(updates) == dtypes(params)
    assert dtypes(new_state) == dtypes(state)
    assert jax.tree.map(jnp.shape, new_state) == jax.tree.map(jnp.shape, state)


@pytest.mark.parametrize(
    ("inner", "options"),
    [
        (optax.adam(0.05), {}),
        (optax.adam(0.05), {"store_grad": True}),
        (optax.lbfgs(memory_size=3), {"store_grad": True}),
        (optax.lbfgs(memory_size=3), {"reset_inner": False}),
    ],
    ids=["adam", "adam store_grad", "lbfgs store_grad", "lbfgs carry"],
)
def test_mixed_trees_descend_and_keep_their_dtypes(inner, options, dtypes, x64):
    params = {
        "half": jnp.zeros(2, jnp.bfloat16),
        "single": jnp.zeros((2, 2), jnp.float32),
        "double": jnp.zeros((), jnp.float64),
    }
    wide_loss = lambda p: loss(jax.tree.map(lambda leaf: leaf.astype(jnp.float64), p))
    solver = implicit_step(inner, 1.0, max_inner_steps=8, **options)
    state = solver.init(params)
    updates, new_state = jax.jit(
        lambda s, p: solver.update(jax.grad(wide_loss)(p), s, p, value_fn=wide_loss)
    )(state, params)
    assert dtypes(updates) == dtypes(params)
    assert dtypes(new_state) == dtypes(state)
    assert new_state.info.residual.dtype == jnp.float64
    assert new_state.info.accepted
    assert wide_loss(optax.apply_updates(params, updates)) < wide_loss(params)


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "inner", [optax.sgd(0.1), optax.adam(0.05, eps=1e-3), optax.lbfgs()], ids=["sgd", "adam", "lbfgs"]
)
def test_half_precision_parameters_converge(inner, half, make_step):
    params = jnp.array([-1.0, 0.25, 3.0], half)
    solver = implicit_step(inner, 1.0, max_inner_steps=20, rtol=0.05)
    step, state = make_step(solver, loss), solver.init(params)
    for _ in range(12):
        params, state = step(params, state)
    assert params.dtype == half
    assert state.info.residual.dtype == jnp.float32
    np.testing.assert_allclose(params.astype(jnp.float32), np.ones(3), atol=0.1)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("params_dtype", "loss_dtype"), [("float32", "float64"), ("float64", "float32")])
def test_loss_may_be_wider_or_narrower_than_the_parameters(
    inner, params_dtype, loss_dtype, make_step, dtypes
):
    params = jnp.array([-1.0, 0.25, 3.0], params_dtype)
    value_fn = lambda p: loss(p.astype(loss_dtype))
    solver = implicit_step(inner, 1.0, max_inner_steps=30, rtol=1e-3, store_grad=True)
    step, state = make_step(solver, value_fn), solver.init(params)
    for _ in range(3):
        params, state = step(params, state)
    assert params.dtype == params_dtype
    assert dtypes(state) == dtypes(solver.init(params))
    assert state.info.accepted
    np.testing.assert_allclose(state.stored.value, value_fn(params), rtol=1e-3)


@pytest.mark.parametrize("numpy_dtype", [np.float32, np.float64])
def test_numpy_parameters_are_taken_like_jax_ones(numpy_dtype, assert_close, dtypes):
    start = np.array([-1.0, 0.25, 3.0], numpy_dtype)
    solver = implicit_step(optax.adam(0.05), 1.0, max_inner_steps=3, store_grad=True)
    from_numpy, from_jax = solver.init(start), solver.init(jnp.asarray(start))
    assert_close(from_numpy, from_jax)
    assert dtypes(from_numpy) == dtypes(from_jax)
    step = jax.jit(lambda p, s: solver.update(jax.grad(loss)(p), s, p, value_fn=loss))
    assert_close(step(start, from_numpy), step(jnp.asarray(start), from_jax))


@pytest.mark.long
@pytest.mark.parametrize("inner", [optax.adam(0.1), optax.lbfgs(), gauss_newton()])
def test_weakly_typed_scalars_are_parameters_like_others(inner, x64):
    """``jnp.asarray(1.0)`` has a weak type, whose sums with float32 are float32."""
    points = jnp.linspace(0, 1, 20, dtype=jnp.float32)
    curve = lambda p, t: p["a"][0] * jnp.exp(-p["b"] * t) - 2 * jnp.exp(-3 * t)
    loss = LeastSquares(Residual(curve, points))
    solver = implicit_step(inner, 10.0, max_inner_steps=5, momentum=0.5, store_grad=True)
    found = []
    for scalar in (jnp.asarray(1.0), jnp.asarray(1.0, jnp.float64)):
        params = {"a": jnp.ones(1, jnp.float32), "b": scalar}
        state = solver.init(params)
        update = jax.jit(lambda p, s: solver.update(jax.grad(loss)(p), s, p, value_fn=loss))
        updates, new_state = update(params, state)
        assert jax.tree.map(jnp.result_type, new_state) == jax.tree.map(jnp.result_type, state)
        found.append(updates["b"])
    np.testing.assert_allclose(*found, rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_python_floats_are_of_the_widest_dtype_from_the_start(dtypes):
    params = {"a": 1.0}
    solver = implicit_step(optax.adam(0.1), 1.0, max_inner_steps=2, momentum=0.5)
    before = solver.init(params)
    _, after = solver.update(jax.grad(loss)(params), before, params, value_fn=loss)
    assert dtypes(after) == dtypes(before)
    assert before.velocity.loss_before.dtype == jnp.float64
    shapes = jax.eval_shape(lambda s: solver.update({"a": 2.0}, s, params, value_fn=loss), before)
    assert dtypes(shapes[1]) == dtypes(before)  # of a gradient that is a Python float
    phi = ProximalObjective(lambda p: p["a"] ** 2, params, 0.5)
    assert (phi({"a": 3.0}), phi.term_gradient({"a": 3.0})) == (13.0, {"a": 4.0})
    whole = ProximalObjective(lambda p: p["a"] ** 2, {"a": jnp.float32(0)}, 1, {"a": 2})
    assert whole.term_gradient({"a": jnp.float32(0.5)}) == {"a": 1.0}
    assert whole.squared_distance_gain({"a": jnp.float32(0.5)}, {"a": jnp.float32(0)}) == 0.5


@pytest.fixture
def promotes_nothing():
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    yield
    jax.config.update("jax_numpy_dtype_promotion", "standard")


def test_nothing_is_promoted_where_jax_is_told_not_to(x64, promotes_nothing, make_step):
    """In bfloat16 and, with float64 allowed, in float32: controllers and options of a step."""
    everything = {"metric": "jacobi", "momentum": 0.5, "store_grad": True, "reset_inner": False}
    cases = [
        (jnp.float32, gauss_newton(), gain_ratio(), {}),
        (jnp.bfloat16, optax.sgd(0.1), switched_evolution_relaxation(), everything),
        (jnp.bfloat16, optax.sgd(0.1), gain_ratio(), {"metric": {"a": 2.0, "b": 3.0}, "momentum": 0.5}),
    ]
    for dtype, inner, controller, options in cases:
        params = {"a": jnp.ones((), dtype), "b": jnp.ones((), dtype)}
        fit = LeastSquares(Residual(lambda p, x: p["a"] * jnp.exp(p["b"] * x), jnp.ones(5, dtype)))
        solver = implicit_step(inner, controller, max_inner_steps=2, **options)
        state = solver.init(params)
        assert jax.eval_shape(make_step(solver, fit), params, state)[0]["a"].dtype == dtype


@pytest.mark.devices(4)
def test_states_keep_the_sharding_of_parameters_on_a_mesh(make_step):
    """On axes of type ``Explicit`` it is part of the type that a loop carries."""
    mesh = jax.make_mesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Explicit,))
    rows = jax.NamedSharding(mesh, jax.P("d"))
    with jax.set_mesh(mesh):
        params = {"w": jax.device_put(jnp.zeros((4, 6)), rows), "b": jnp.zeros(3)}
        by_residuals = LeastSquares(Residual(lambda p, x: jnp.sum(p["w"]) * x + p["b"][0], jnp.ones(8)))
        everything = {"metric": "jacobi", "momentum": 0.5, "store_grad": True}
        for inner, value_fn, options in [
            (optax.adam(0.1), loss, {"metric": "jacobi"}),
            (optax.adam(0.1), loss, {"metric": {"w": 2.0, "b": jnp.ones(3)}, "momentum": 0.5}),
            (optax.adam(0.1), loss, {"store_grad": True, "reset_inner": False}),
            (gauss_newton(), by_residuals, everything),
        ]:
            solver = implicit_step(inner, gain_ratio(), max_inner_steps=1, **options)
            step = make_step(solver, value_fn)

            def train(params, step=step, solver=solver):
                carry = params, solver.init(params)
                return jax.lax.scan(lambda carry, _: (step(*carry), None), carry, length=2)[0]

            leaves = jax.tree.leaves(jax.eval_shape(train, params))
            assert {x.sharding.spec for x in leaves if x.shape == (4, 6)} == {jax.P("d", None)}, options
