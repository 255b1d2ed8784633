"""Mixed dtypes, bounds beyond a dtype, steps that a chain has changed, derivatives of one mode alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import (
    LeastSquares,
    Residual,
    diagnostics,
    gain_ratio,
    gauss_newton,
    implicit_step,
    largest_trusted,
    switched_evolution_relaxation,
)


@pytest.fixture
def steps(make_step):
    """``steps(solver, loss, params, n)``: the parameters after n steps, and what each of them reports."""

    def run(solver, loss, params, num_steps):
        state, told, step = solver.init(params), [], make_step(solver, loss)
        for _ in range(num_steps):
            params, state = step(params, state)
            told.append(optax.tree.get(state, "info"))
        return params, told

    return run


@pytest.mark.parametrize("controller", [largest_trusted(0.1), gain_ratio(0.1)], ids=["search", "ratio"])
def test_coarse_parameters_do_not_hide_what_others_gain(controller, steps):
    x = jnp.linspace(-1, 1, 9)
    fit = lambda p, x: p["w"][0] * jnp.exp(p["w"][1] * x) - jnp.exp(x) + 0 * p["idle"].sum().astype(x.dtype)
    loss = LeastSquares(Residual(fit, x))
    rates = {}
    for dtype in (jnp.bfloat16, jnp.float32):
        params = {"w": jnp.array([1.05, 0.95]), "idle": jnp.ones(256, dtype)}
        _, told = steps(implicit_step(gauss_newton(), controller, max_inner_steps=1), loss, params, 3)
        assert not told[0].at_floor
        rates[dtype] = [float(info.learning_rate) for info in told]
    np.testing.assert_allclose(rates[jnp.bfloat16], rates[jnp.float32], rtol=1e-5)


@pytest.mark.parametrize("upper", [float("inf"), pytest.param(1e40, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "controller",
    [
        lambda upper: largest_trusted(1e33, max_learning_rate=upper),
        lambda upper: gain_ratio(1e34, max_learning_rate=upper),
        lambda upper: switched_evolution_relaxation(3e38, max_learning_rate=upper),
    ],
    ids=["search", "ratio", "evolution"],
)
def test_no_upper_bound_is_the_largest_that_can_be_used(controller, upper):
    """Else α is infinite one day, and no step succeeds any more."""
    points = jax.random.normal(jax.random.key(0), (12, 8, 4))
    solver = implicit_step(gauss_newton(), controller(upper), max_inner_steps=1)

    def body(carry, points):
        params, state = carry
        loss = LeastSquares(Residual(lambda p, x: x[:3] @ p - x[3], points))
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        return (params + updates, state), state.info

    params = jnp.zeros(3)
    _, told = jax.jit(lambda: jax.lax.scan(body, (params, solver.init(params)), points))()
    assert np.isfinite(told.learning_rate).all()
    assert told.accepted.all()


def test_momentum_is_that_of_the_steps_that_were_taken(steps):
    """What follows in the chain shortens them; the centre is θₙ + μ(θₙ − θₙ₋₁) of what came of it."""
    inner = implicit_step(optax.sgd(0.5), 1.0, max_inner_steps=60, rtol=1e-6, momentum=0.5)
    solver = optax.chain(inner, optax.scale(0.25))
    loss, got, want = lambda p: 0.5 * p**2, jnp.asarray(8.0), [8.0, 8.0]
    for _ in range(3):
        center = want[-1] + 0.5 * (want[-1] - want[-2])
        want.append(want[-1] + 0.25 * (center / 2 - want[-1]))
    got, _ = steps(solver, loss, jnp.asarray(8.0), 3)
    np.testing.assert_allclose(got, want[-1], rtol=1e-5)


def test_a_loss_below_zero_lets_alpha_grow(steps):
    solver = implicit_step(optax.sgd(0.01), switched_evolution_relaxation(0.1), max_inner_steps=5)
    _, told = steps(solver, lambda p: 0.5 * p**2 - 0.6, jnp.asarray(1.0), 4)
    assert np.all(np.diff([float(info.learning_rate) for info in told]) > 0)


def test_diagnostics_take_what_steps_take():
    loss = lambda p: jnp.sum(p["w"].astype(jnp.float32) ** 2) + p["b"] ** 2
    tree = lambda v: {"w": jnp.full(3, v, jnp.bfloat16), "b": jnp.asarray(v, jnp.float32)}
    assert float(diagnostics.loss_decay(loss, tree(1.0), tree(0.5), 1.0).actual) == pytest.approx(-3.0)
    half = lambda p: jnp.sum(jnp.array([1.0, 2.0, 3.0]) * p.astype(jnp.float32) ** 2)
    spectrum = diagnostics.hessian_spectrum(half, jnp.zeros(3, jnp.bfloat16), jax.random.key(0))
    np.testing.assert_allclose(spectrum.eigenvalues[0], [2.0, 4.0, 6.0], rtol=0.02)
    diagonal = LeastSquares(Residual(lambda p, x: p["a"] * x - 1, jnp.ones(2))).gauss_newton_diagonal(
        {"a": 0.5}
    )
    assert float(diagonal["a"]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "solver",
    [
        implicit_step(gauss_newton(), 1.0, max_inner_steps=1),
        implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, metric="jacobi"),
        implicit_step(optax.sgd(0.05), 1.0, max_inner_steps=3),
    ],
    ids=["gauss_newton", "searched, jacobi", "sgd"],  # optax.adam itself promotes
)
def test_strict_promotion_of_dtypes(solver, steps, dtype):
    loss = LeastSquares(Residual(lambda p, x: p * x - 1, jnp.ones(2, dtype)))
    with jax.numpy_dtype_promotion("strict"):
        params, _ = steps(solver, loss, jnp.asarray(0.5, dtype), 2)
    assert params.dtype == dtype
    assert 0.5 < float(params) < 1.0


@jax.custom_vjp
def reverse_only(x):
    """A sine whose derivative is known in reverse mode alone."""
    return jnp.sin(x)


reverse_only.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))


@pytest.mark.parametrize("linear_solver", ["auto", "cg"])
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_what_has_no_forward_derivative_is_refused_by_gauss_newton(linear_solver, wrap, steps):
    solver = implicit_step(gauss_newton(linear_solver=linear_solver), 1.0, max_inner_steps=1)
    loss = LeastSquares(Residual(lambda p, x: wrap(reverse_only)(p * x) - 0.3, jnp.ones(2)))
    with pytest.raises(TypeError, match="no derivative in forward mode"):
        steps(solver, loss, jnp.asarray(0.1), 1)
    of_points = LeastSquares(Residual(lambda p, x: p * wrap(reverse_only)(x) - 0.3, jnp.ones(2)))
    params, _ = steps(solver, of_points, jnp.asarray(0.1), 1)
    assert np.isfinite(params)
    whole = LeastSquares(Residual(wrap(lambda p, x: p * reverse_only(x) - 0.3), jnp.ones(2)))
    assert steps(solver, whole, jnp.asarray(0.1), 1)[0] == params
