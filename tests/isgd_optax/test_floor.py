"""At the end of a good run only rounding errors are left to gain: nothing breaks, and ``info`` says so."""

import itertools

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

WIDTHS = [1, 12, 12, 1]
X = np.linspace(0.0, 1.0, 32)
LOWEST, HIGHEST = 1e-12, 1e30
CONTROLLERS = {
    "largest_trusted": lambda: largest_trusted(min_learning_rate=LOWEST, max_learning_rate=HIGHEST),
    "gain_ratio": lambda: gain_ratio(min_learning_rate=LOWEST, max_learning_rate=HIGHEST),
}


def network(params, x):
    h = jnp.atleast_1d(x)
    for i in range(len(WIDTHS) - 1):
        h = params[f"w{i}"] @ h + params[f"b{i}"]
        h = jnp.tanh(h) if i < len(WIDTHS) - 2 else h
    return h[0]


def start(dtype):
    rng, params = np.random.default_rng(0), {}
    for i, (m, n) in enumerate(itertools.pairwise(WIDTHS)):
        params[f"w{i}"] = jnp.asarray(rng.normal(size=(n, m)) / np.sqrt(m), dtype)
        params[f"b{i}"] = jnp.asarray(0.1 * rng.normal(size=n), dtype)
    return params


def exponential(dtype):
    """exp(x) on [0, 1] from its values and from u' = u."""
    x = jnp.asarray(X, dtype)
    equation = lambda p, x: jax.grad(network, argnums=1)(p, x) - network(p, x)
    return LeastSquares(
        Residual(lambda p, x: network(p, x) - jnp.exp(x), x, name="data"), Residual(equation, x, name="ode")
    )


def run(solver, loss, params, num_steps):
    """Losses, α and whether the floor was reached, step by step; and all of the last state."""

    @jax.jit
    def steps(params, state):
        def body(carry, _):
            params, state = carry
            value, grad = jax.value_and_grad(loss)(params)
            updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
            info = state.info
            record = (value, info.learning_rate, info.at_floor)
            return (optax.apply_updates(params, updates), state), record

        return jax.lax.scan(body, (params, state), None, length=num_steps)

    (params, state), records = steps(params, solver.init(params))
    return params, state, [np.asarray(record) for record in records]


@pytest.mark.long
@pytest.mark.parametrize(
    ("linear_solver", "controller"),
    [
        ("dual", "largest_trusted"),
        ("primal", "largest_trusted"),
        pytest.param("qr", "largest_trusted", marks=pytest.mark.slow),
        ("dual", "gain_ratio"),
    ],
)
def test_the_floor_is_reached_and_kept(linear_solver, controller, dtype):
    solver = implicit_step(
        gauss_newton(linear_solver=linear_solver), CONTROLLERS[controller](), max_inner_steps=1
    )
    params, state, (losses, rates, at_floor) = run(solver, exponential(dtype), start(dtype), 400)
    state = state._replace(info=state.info._replace(residual=jnp.zeros(())))  # infinite where no step is made
    for leaf in [*jax.tree.leaves((params, state)), losses, rates]:
        assert np.all(np.isfinite(leaf))
    eps = float(jnp.finfo(dtype).eps)
    assert losses[-1] <= (1e-14 if dtype == jnp.float64 else 1e-8)
    # The loss of one point differs by its rounding errors from program to program.
    assert np.all(np.diff(losses) <= 1e-3 * losses[:-1] + (10 * eps) ** 2)
    # In float64 there is a little to gain still.
    assert at_floor[-20:].any() or losses[-1] < (1 - 1e-3) * losses[-20]
    assert at_floor[-20:].any() or dtype == jnp.float64
    assert not at_floor[:5].any()
    assert rates.min() > 1e3 * LOWEST
    if dtype == jnp.float32:  # the floor is not forgotten, and α is one that was of use before
        assert at_floor[-100:].all()
        assert rates[-100:].min() == rates[-1] == state.controller_state.next_learning_rate
        assert rates[-1] > 1  # where it began; what it is by then, 40 or 1e5, depends on rounding


@pytest.mark.parametrize("make", [largest_trusted, gain_ratio, switched_evolution_relaxation])
def test_another_loss_ends_the_floor(make):
    """The floor belongs to a loss: where its data change, steps gain again."""
    solver = implicit_step(gauss_newton(), make(10.0), max_inner_steps=1)

    @jax.jit
    def step(params, state, data):
        loss = LeastSquares(Residual(lambda p, x: jnp.exp(p * x["at"]) - x["of"], data))
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        return optax.apply_updates(params, updates), state

    at = jnp.asarray(X, jnp.float32)
    params = jnp.asarray(0.5, jnp.float32)
    state = solver.init(params)
    for slope in (1.0, -1.0):
        rates = []
        params, state = step(params, state, {"at": at, "of": jnp.exp(slope * at) + 0.1 * jnp.sin(9 * at)})
        assert not state.info.at_floor
        for _ in range(40):
            params, state = step(params, state, {"at": at, "of": jnp.exp(slope * at) + 0.1 * jnp.sin(9 * at)})
            rates.append(state.info.learning_rate)
        assert state.info.at_floor
        assert rates[-1] > 1.0


@pytest.mark.parametrize("make", [gain_ratio, largest_trusted])
def test_a_line_search_that_fails_is_no_floor(make, x64):
    """Beside the edge of the loss, at p₁ = 0, it takes no step, though one gains."""
    x = jnp.asarray(X)
    values = lambda p: jnp.log(p[0]) * x + jnp.sqrt(p[1])
    loss = lambda p: jnp.mean((values(p) - values(jnp.array([1e-3, 1e-4]))) ** 2)
    solver = implicit_step(optax.lbfgs(), make(100.0))

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        return params + updates, state

    params = jnp.array([5.0, 4.0])
    state, rates = solver.init(params), []
    for _ in range(10):
        params, state = step(params, state)
        rates.append(float(state.info.learning_rate))
    assert not state.info.accepted
    assert not state.info.at_floor
    assert rates[-1] < 0.01 * max(rates)


@pytest.mark.parametrize("name", ["adam", "lbfgs", "gauss_newton"])
def test_debugging_nans_gives_no_false_alarm(name):
    inner = {"adam": optax.adam(0.01), "lbfgs": optax.lbfgs(memory_size=3), "gauss_newton": gauss_newton()}
    loss, params = LeastSquares(Residual(lambda p, x: p[0] * jnp.exp(p[1] * x) - 1, X)), jnp.ones(2)
    solver = implicit_step(inner[name], gain_ratio(), max_inner_steps=3)
    step = jax.jit(lambda p, s: solver.update(jax.grad(loss)(p), s, p, value_fn=loss))
    with jax.debug_nans(True):
        state = solver.init(params)
        for _ in range(3):
            updates, state = step(params, state)
            params = optax.apply_updates(params, updates)
    assert np.all(np.isfinite(params))


@pytest.mark.parametrize("controller", [largest_trusted, gain_ratio, switched_evolution_relaxation])
@pytest.mark.parametrize("unit", [1e-4, 1e-5])
def test_a_loss_in_small_units_is_no_floor(controller, unit):
    """What the first α promises is lost in rounding; a larger one solves it."""
    t = jnp.linspace(0, 1, 20)
    loss = LeastSquares(Residual(lambda p, t: unit * (p[0] + p[1] * t - 1 - 2 * t), t))
    solver = implicit_step(gauss_newton(), controller(), max_inner_steps=1)
    step = jax.jit(lambda p, s: solver.update(jax.grad(loss)(p), s, p, value_fn=loss))
    params, state = jnp.zeros(2), solver.init(jnp.zeros(2))
    for i in range(200):
        updates, state = step(params, state)
        params = optax.apply_updates(params, updates)
        assert i > 3 or not state.info.at_floor
    np.testing.assert_allclose(params, [1.0, 2.0], rtol=1e-5)
    assert state.info.at_floor
