"""What ``store_grad`` leaves for the next step is not used where parameters or data have changed since."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, largest_trusted

START = jnp.array([-0.7, 0.4, 0.9])
X = np.linspace(-1.0, 1.0, 5)
pytestmark = pytest.mark.usefixtures("x64")


def residual(p, x):
    return p[0] * jnp.tanh(p[1] * x) + p[2] - jnp.cos(2 * x)


def averaged_with_the_last_update():
    """The mean of this update and the last one."""

    def update(updates, state, params=None):
        del params
        return jax.tree.map(lambda u, old: (u + old) / 2, updates, state), updates

    return optax.GradientTransformation(optax.tree.zeros_like, update)


INNERS = {
    "adam": lambda: optax.adam(0.05),
    "lbfgs": lambda: optax.lbfgs(memory_size=3),
    "gauss_newton": gauss_newton,
}
AFTER = {
    "clip": lambda: optax.clip(0.05),
    "scale": lambda: optax.scale(0.5),
    "ema": lambda: optax.ema(0.6),
    "average": averaged_with_the_last_update,
}


def histories(step, states, num_steps):
    """Parameters and losses of the step with stored values, and of that with fresh ones."""
    records = []
    for stored, state in zip((True, False), states, strict=True):
        params, record = START.astype(float), []
        for i in range(num_steps):
            params, state, value = step(stored, params, state, i)
            record.append((np.asarray(params), float(value)))
        records.append(record)
    return [[np.stack(x) for x in zip(*record, strict=True)] for record in records]


@pytest.mark.parametrize(
    ("inner", "after"),
    [("gauss_newton", "clip"), ("gauss_newton", "average"), ("adam", "scale"), ("lbfgs", "ema")],
)
def test_a_transformation_after_the_step_makes_nothing_stale(inner, after):
    loss = LeastSquares(Residual(residual, X))
    solvers = {
        stored: optax.chain(
            implicit_step(INNERS[inner](), 2.0, max_inner_steps=4, rtol=0, store_grad=stored), AFTER[after]()
        )
        for stored in (True, False)
    }

    def take(stored, params, state, i):
        del i
        if stored:
            value, grad = optax.value_and_grad_from_state(loss)(params, state=state)
        else:
            value, grad = jax.value_and_grad(loss)(params)
        updates, state = solvers[stored].update(grad, state, params, value=value, grad=grad, value_fn=loss)
        # Of the loss itself: the one from the state is known to be stale.
        return optax.apply_updates(params, updates), state, loss(params)

    states = [solvers[stored].init(START.astype(float)) for stored in (True, False)]
    mine, fresh = histories(jax.jit(take, static_argnums=0), states, 8)
    np.testing.assert_allclose(mine[0], fresh[0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(mine[1], fresh[1], rtol=1e-10)
    assert fresh[1][-1] < 0.7 * fresh[1][0]


@pytest.mark.parametrize("named", [True, False], ids=["batch=", "closed over"])
@pytest.mark.parametrize("with_value", [True, False], ids=["value", "no value"])
def test_new_data_make_new_values(named, with_value):
    def mean_square(p, batch):
        return jnp.mean(jax.vmap(residual, (None, 0))(p, batch) ** 2)

    solvers = [implicit_step(optax.adam(0.05), 0.5, max_inner_steps=4, store_grad=s) for s in (False, True)]
    batches = jax.random.uniform(jax.random.key(0), (6, 4), minval=-1, maxval=1)

    def take(stored, params, state, i):
        batch = batches[i]
        loss = lambda p: mean_square(p, batch)
        if stored:
            value, grad = optax.value_and_grad_from_state(loss)(params, state=state)
        else:
            value, grad = jax.value_and_grad(loss)(params)
        extra = {"value_fn": mean_square, "batch": batch} if named else {"value_fn": loss}
        if with_value:
            extra |= {"value": value, "grad": grad}
        updates, state = solvers[stored].update(grad, state, params, **extra)
        return optax.apply_updates(params, updates), state, loss(params)

    states = [solver.init(START.astype(float)) for solver in solvers[::-1]]
    mine, fresh = histories(jax.jit(take, static_argnums=0), states, 6)
    np.testing.assert_allclose(mine[0], fresh[0], rtol=1e-10, atol=1e-10)


def test_new_data_show_in_a_loss_of_half_precision():
    """Its values differ by percents or not at all."""
    loss = lambda p, scale: jnp.sum((scale * p - 1) ** 2)
    solvers = [implicit_step(optax.sgd(0.05), 0.5, max_inner_steps=2, store_grad=s) for s in (True, False)]
    scales = jnp.array([1.0, 1.25], jnp.bfloat16)
    start = jnp.array([0.5, -1.0], jnp.bfloat16)

    def take(solver, params, state, value, grad, scale):
        updates, state = solver.update(grad, state, params, value=value, value_fn=lambda p: loss(p, scale))
        return optax.apply_updates(params, updates), state

    ends = []
    for solver in solvers:
        step = jax.jit(lambda *args, solver=solver: take(solver, *args))
        params, state = step(
            start, solver.init(start), *jax.value_and_grad(loss)(start, scales[0]), scales[0]
        )
        known = jax.value_and_grad(loss)(params, scales[1])
        if solver is solvers[0]:
            known = state.stored.value.astype(jnp.bfloat16), state.stored.grad
            assert known[0] == loss(params, scales[0])
        ends.append(step(params, state, *known, scales[1])[0])
    np.testing.assert_array_equal(*ends)


def test_what_is_stored_is_of_the_loss_with_a_search_a_metric_and_momentum():
    loss = LeastSquares(Residual(residual, X))
    solver = implicit_step(
        gauss_newton(), largest_trusted(), max_inner_steps=3, metric="jacobi", momentum=0.3, store_grad=True
    )
    step = jax.jit(lambda p, s: solver.update(jax.grad(loss)(p), s, p, value_fn=loss))
    params = START.astype(float)
    state = solver.init(params)
    for _ in range(4):
        updates, state = step(params, state)
        params = optax.apply_updates(params, updates)
        value, grad = jax.value_and_grad(loss)(params)
        np.testing.assert_allclose(state.stored.value, value, rtol=1e-12)
        np.testing.assert_allclose(state.stored.grad, grad, rtol=1e-10, atol=1e-12)


def test_a_fresh_value_does_not_vouch_for_a_stored_gradient():
    """The user evaluates the loss of another mini-batch; the gradient is still that of the one before."""
    square = lambda p, target: jnp.sum((p - target) ** 2)
    solver = optax.chain(
        optax.scale(0.5), implicit_step(optax.sgd(0.1), 1.0, max_inner_steps=1, rtol=0, store_grad=True)
    )
    before, after = (lambda p, target=target: square(p, target) for target in (1.0, -1.0))
    params = jnp.zeros(2)
    _, state = solver.update(
        jax.grad(before)(params), solver.init(params), params, grad=jax.grad(before)(params), value_fn=before
    )
    params = jnp.asarray(state[1].stored.point)
    _, grad = optax.value_and_grad_from_state(after)(params, state=state)
    np.testing.assert_array_equal(grad, jax.grad(before)(params))
    updates, state = solver.update(grad, state, params, value=after(params), value_fn=after)
    np.testing.assert_allclose(updates, -0.1 * jax.grad(after)(params))
    assert state[1].num_gradients == 2


def test_what_is_kept_after_rejections_is_the_gradient_itself():
    """Not what stands before the step makes of it, which would then be made of that again."""
    loss = lambda p: jnp.sum(p**2)
    solver = optax.chain(
        optax.scale(0.5), implicit_step(optax.sgd(10.0), 1.0, max_inner_steps=1, store_grad=True)
    )
    params = jnp.ones(2)
    for explicit in (False, True):
        state = solver.init(params)
        for _ in range(2):
            value, grad = optax.value_and_grad_from_state(loss)(params, state=state)
            np.testing.assert_array_equal(grad, 2 * params)
            extra = {"grad": grad} if explicit else {}
            updates, state = solver.update(grad, state, params, value=value, value_fn=loss, **extra)
            assert not updates.any()
            assert bool(jnp.isfinite(state[1].stored.value)) == explicit


def test_a_loss_that_is_no_number_is_seen_behind_a_stored_one():
    solver = implicit_step(gauss_newton(), largest_trusted(10.0), max_inner_steps=1, store_grad=True)
    params = jnp.asarray(3.0)

    @jax.jit
    def step(params, state, batch):
        loss = LeastSquares(Residual(lambda p, y: p - y, batch))
        value, grad = optax.value_and_grad_from_state(loss)(params, state=state)
        updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return params + updates, state

    params, first = step(params, solver.init(params), jnp.array([1.0, 2.0]))
    same, state = step(params, first, jnp.array([jnp.nan, 2.0]))
    assert same == params
    assert not state.info.accepted
    np.testing.assert_array_equal(state.controller_state, first.controller_state)


def test_a_gradient_that_was_evaluated_for_new_data_is_not_evaluated_again():
    solver = implicit_step(optax.sgd(0.1), 1.0, max_inner_steps=1, store_grad=True)
    state, params = solver.init(START), START
    for shift in (0.0, 1.0, 2.0):
        loss = lambda p, shift=shift: jnp.sum((p - shift) ** 2)
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = jax.jit(solver.update, static_argnames="value_fn")(
            grad, state, params, value=value, grad=grad, value_fn=loss
        )
        assert state.num_gradients == 1  # of the inner step
        params = params + updates
