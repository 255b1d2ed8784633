"""``store_grad``: loss and gradient at the new parameters, for ``optax.value_and_grad_from_state``."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import implicit_step

START = np.array([-0.7, 0.4, 0.9, -0.2])


def reusing_step(solver, loss):
    """A training step that reuses the stored value and gradient, and returns them too."""

    @jax.jit
    def step(params, state):
        value, grad = optax.value_and_grad_from_state(loss)(params, state=state)
        updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(params, updates), state, (value, grad)

    return step


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("rtol", [1e-3, 0.0])
def test_stored_value_and_gradient_are_those_of_the_loss(inner, rtol, rosenbrock):
    solver = implicit_step(inner, 0.5, max_inner_steps=6, rtol=rtol, store_grad=True)
    step = reusing_step(solver, rosenbrock)
    params, state = jnp.asarray(START), solver.init(START)
    for _ in range(5):
        expected_value, expected_grad = jax.value_and_grad(rosenbrock)(params)
        params, state, (value, grad) = step(params, state)
        np.testing.assert_allclose(value, expected_value, rtol=1e-10)
        np.testing.assert_allclose(grad, expected_grad, rtol=1e-9, atol=1e-12)
    assert rosenbrock(params) < rosenbrock(START)


def counting(loss):
    """The loss, and counts of its executions: with a gradient and without."""
    counts = {"gradients": 0, "values": 0}

    def count(kind):
        counts[kind] += 1

    @jax.custom_vjp
    def noted(p):
        jax.debug.callback(lambda: count("values"))
        return p

    def backward(_, cotangent):
        jax.debug.callback(lambda: count("gradients"))
        return (cotangent,)

    noted.defvjp(lambda p: (p, None), backward)
    return lambda p: loss(noted(p)), counts


def test_stored_value_and_gradient_save_gradients(rosenbrock):
    solver = implicit_step(optax.adam(0.05), 0.5, max_inner_steps=6, rtol=0.0, store_grad=True)
    loss, counts = counting(rosenbrock)
    step = reusing_step(solver, loss)
    params, state = jnp.asarray(START, jnp.float32), solver.init(jnp.asarray(START))
    history = []
    for _ in range(3):
        params, state, _ = step(params, state)
        jax.effects_barrier()
        history.append((counts["gradients"], counts["values"]))
        counts.update(gradients=0, values=0)
    # One value tells whether what is stored is still current.
    assert history == [(7, 1), (6, 1), (6, 1)]


@pytest.mark.parametrize("safeguard", [True, False])
def test_after_a_rejection_the_unchanged_value_and_gradient_are_stored(safeguard, rosenbrock):
    inner = optax.scale(0.1 if safeguard else 1e30)
    solver = implicit_step(inner, 0.5, max_inner_steps=3, store_grad=True, safeguard=safeguard)
    step = reusing_step(solver, rosenbrock)
    start = jnp.asarray(START)
    params, state, (first_value, first_grad) = step(start, solver.init(start))
    np.testing.assert_array_equal(params, start)
    assert not state.info.accepted
    _, _, (value, grad) = step(params, state)
    np.testing.assert_array_equal(value, first_value)
    np.testing.assert_array_equal(grad, first_grad)


@pytest.mark.parametrize("reset_inner", [True, False])
def test_without_store_grad_nothing_is_taken_from_the_state(inner, reset_inner, rosenbrock, make_step):
    """A line search inside knows the proximal value, which must not pass for the loss."""
    solver = implicit_step(inner, 0.5, max_inner_steps=3, reset_inner=reset_inner)
    start = jnp.asarray(START)
    params, state = make_step(solver, rosenbrock)(start, solver.init(start))
    assert optax.tree.get(state, "value") is None
    assert optax.tree.get(state, "grad") is None
    with pytest.raises(ValueError, match="Value or gradient not found in the state"):
        optax.value_and_grad_from_state(rosenbrock)(params, state=state)


@pytest.mark.parametrize("reset_inner", [True, False])
def test_stored_value_is_accurate_when_the_loss_drops_by_orders_of_magnitude(reset_inner):
    """In float32, φ − ‖p − c‖²/(2α) would keep too few digits of a small L."""
    target = jnp.array([1.0, -2.0, 3.0])
    loss = lambda p: jnp.sum((p - target) ** 2)
    solver = implicit_step(optax.lbfgs(), 1e4, rtol=1e-5, store_grad=True, reset_inner=reset_inner)
    step = reusing_step(solver, loss)
    start = jnp.zeros(3)  # from here adding the update rounds nothing
    params, state, (before, _) = step(start, solver.init(start))
    value, grad = jax.value_and_grad(loss)(params)
    assert value < 1e-6 * before
    np.testing.assert_allclose(optax.tree.get(state, "value"), value, rtol=1e-5)
    np.testing.assert_allclose(optax.tree.get(state, "grad"), grad, rtol=1e-5)


def test_stored_gradient_has_the_dtypes_of_the_parameters(dtypes):
    params = {"a": jnp.ones(3, jnp.bfloat16), "b": jnp.full((2, 2), 2.0)}
    loss = lambda p: jnp.sum(p["a"].astype(jnp.float32) ** 2) + jnp.sum(p["b"] ** 2)
    solver = implicit_step(optax.adam(0.1), 1.0, max_inner_steps=3, store_grad=True)
    step = reusing_step(solver, loss)
    state = solver.init(params)
    for _ in range(2):
        params, state, _ = step(params, state)
    np.testing.assert_allclose(optax.tree.get(state, "value"), loss(params), rtol=1e-2)
    assert dtypes(optax.tree.get(state, "grad")) == dtypes(params)


@pytest.mark.parametrize(("param", "loss_dtype"), [("float32", "bfloat16"), ("bfloat16", "bfloat16")])
@pytest.mark.parametrize("momentum", [None, 0.5])
def test_a_loss_of_another_dtype_is_stored_in_its_own(param, loss_dtype, momentum):
    loss = lambda p: jnp.sum((p.astype(jnp.float32) - 1) ** 2).astype(loss_dtype)
    solver = implicit_step(
        optax.adam(0.1), 1.0, max_inner_steps=3, store_grad=jnp.dtype(loss_dtype), momentum=momentum
    )
    step = reusing_step(solver, loss)
    params = jnp.zeros(3, param)
    state = solver.init(params)
    before = loss(params)
    for _ in range(3):
        params, state, (value, grad) = step(params, state)
        assert (value.dtype, grad.dtype) == (loss_dtype, param)
        np.testing.assert_allclose(optax.tree.get(state, "value"), loss(params), rtol=1e-2, atol=1e-2)
    assert loss(params) < 0.1 * before


@pytest.mark.usefixtures("x64")
def test_a_float32_loss_of_float64_parameters_is_stored_in_float32(rosenbrock):
    loss = lambda p: rosenbrock(p).astype(jnp.float32)
    solver = implicit_step(optax.adam(0.05), 0.5, max_inner_steps=3, store_grad=jnp.float32)
    params = jnp.asarray(START)
    _, state, _ = reusing_step(solver, loss)(params, solver.init(params))
    assert optax.tree.get(state, "value").dtype == jnp.float32


@pytest.mark.parametrize("wrong", [None, "much", jnp.int32, jnp.complex64])
def test_what_is_no_dtype_of_a_loss_is_refused(wrong):
    with pytest.raises(TypeError, match="store_grad must be True, False or the dtype that value_fn returns"):
        implicit_step(optax.adam(0.05), 0.5, store_grad=wrong)
