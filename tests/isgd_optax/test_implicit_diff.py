"""Derivatives of a solved step: against finite differences, closed forms and each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, largest_trusted

START = {"a": np.array([0.5, -0.3]), "b": np.array(0.2)}
SOLVERS = {
    "lbfgs": lambda alpha, **options: implicit_step(
        optax.lbfgs(), alpha, max_inner_steps=200, rtol=1e-11, **options
    ),
    "gauss_newton": lambda alpha, **options: implicit_step(
        gauss_newton(), alpha, max_inner_steps=300, rtol=1e-10, **options
    ),
}
X64 = pytest.mark.usefixtures("x64")


def fit(params, x):
    return params["a"][0] * jnp.tanh(params["a"][1] * x + params["b"])


def after_steps(make, num_steps, hyper):
    """Validation loss after steps whose start, α, regularisation weight and data are all in ``hyper``."""
    y, weight = hyper["data"], hyper["weight"]
    x = jnp.linspace(-1.0, 1.0, y.size)
    data = Residual(lambda p, point: fit(p, point[0]) - point[1], jnp.stack([x, y], 1), name="data")
    decay = lambda p, point: point * jnp.sqrt(weight) * jnp.append(p["a"], p["b"])
    loss = LeastSquares(data, Residual(decay, jnp.ones(1), name="regularisation"))
    solver = make(hyper["alpha"])

    def step(carry, _):
        params, state = carry
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return (optax.apply_updates(params, updates), state), state.info.accepted

    start = hyper["start"]
    (params, _), accepted = jax.lax.scan(step, (start, solver.init(start)), length=num_steps)
    return jnp.sum((fit(params, x) - jnp.sin(x)) ** 2) + jnp.sum(params["a"] ** 3), accepted


def hyperparameters():
    return {
        "start": jax.tree.map(jnp.asarray, START),
        "alpha": jnp.asarray(0.7),
        "weight": jnp.asarray(0.1),
        "data": jnp.array([-0.9, -0.5, 0.1, 0.4, 1.1]),
    }


def directional_difference(fn, at, direction, eps=1e-5):
    ahead, behind = (fn(jax.tree.map(lambda x, d, s=s: x + s * eps * d, at, direction)) for s in (1, -1))
    return (ahead - behind) / (2 * eps)


def updates_of(loss, params, inner=None, alpha=0.5, **options):
    solver = implicit_step(inner or optax.lbfgs(), alpha, **options)
    return solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)


@X64
@pytest.mark.parametrize(
    ("solver", "num_steps", "momentum"),
    [("lbfgs", 1, None), ("gauss_newton", 1, None), ("gauss_newton", 2, None), ("lbfgs", 2, 0.6)],
)
def test_gradient_equals_finite_differences(solver, num_steps, momentum):
    make = functools.partial(SOLVERS[solver], momentum=momentum)
    hyper = hyperparameters()
    validate = jax.jit(functools.partial(after_steps, make, num_steps))
    assert validate(hyper)[1].all()
    grad = jax.jit(jax.grad(validate, has_aux=True))(hyper)[0]
    ones = jax.tree.map(jnp.ones_like, hyper)
    for name in hyper:
        direction = {key: optax.tree.scale(float(key == name), leaf) for key, leaf in ones.items()}
        expected = directional_difference(lambda h: validate(h)[0], hyper, direction)
        np.testing.assert_allclose(optax.tree.vdot(grad, direction), expected, rtol=1e-6, err_msg=name)


@pytest.mark.slow
@X64
def test_jacobians_of_both_modes_agree_with_the_gradient_of_each_in_a_batch():
    hyper = hyperparameters()
    weights = jnp.array([0.05, 0.1, 1.0])
    validate = lambda w: after_steps(SOLVERS["lbfgs"], 1, hyper | {"weight": w})[0]
    batch = jax.vmap(validate)
    by_columns, by_rows = (jax.jit(mode(batch))(weights) for mode in (jax.jacfwd, jax.jacrev))
    one_by_one = jax.jit(lambda ws: jax.lax.map(jax.grad(validate), ws))(weights)
    np.testing.assert_allclose(by_columns, by_rows, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(by_rows, np.diag(one_by_one), rtol=1e-7, atol=1e-10)


@X64
@pytest.mark.parametrize("mode", [jax.grad, jax.jacfwd])
def test_second_derivative_equals_finite_differences_of_the_first(mode):
    def step(weight):
        loss = lambda p: jnp.sum((p - 1) ** 4) + weight * jnp.sum(p**2)
        return jnp.sum(updates_of(loss, jnp.zeros(2), max_inner_steps=100, rtol=1e-11)[0])

    first, second = jax.jit(jax.grad(step)), jax.jit(mode(jax.grad(step)))
    expected = directional_difference(first, jnp.asarray(0.3), jnp.asarray(1.0))
    np.testing.assert_allclose(second(0.3), expected, rtol=1e-6)


@X64
def test_derivative_by_alpha_is_that_of_the_candidate_that_was_taken():
    """A linear residual, of which one Gauss-Newton step solves the equation for any α."""
    loss = LeastSquares(Residual(lambda p, x: p * x - 3.0, jnp.array([1.0, 2.0])))

    def step(alpha):
        solver = implicit_step(gauss_newton(), largest_trusted(alpha), max_inner_steps=1)
        params = jnp.ones(())
        updates, state = solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)
        return updates, state.info.learning_rate

    assert jax.jit(step)(0.1)[1] > 0.2  # a larger one
    derivative = jax.jit(jax.grad(lambda alpha: step(alpha)[0]))(0.1)
    expected = directional_difference(lambda a: jax.jit(step)(a)[0], jnp.asarray(0.1), jnp.asarray(1.0))
    np.testing.assert_allclose(derivative, expected, rtol=1e-6)


def test_a_refused_step_has_no_derivatives():
    def updates(weight, params):
        loss = lambda p: weight * jnp.sum(p**4)
        updates, state = updates_of(loss, params, optax.sgd(1e3), max_inner_steps=1)
        return updates, state.info.accepted

    arguments = (jnp.float32(2.0), jnp.ones(3))
    jacobian, accepted = jax.jit(jax.jacrev(updates, (0, 1), has_aux=True))(*arguments)
    assert not accepted
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0.0), jacobian)


def test_where_the_equation_has_no_minimiser_the_derivative_is_nan():
    step = lambda p: updates_of(lambda q: -jnp.sum(q**2), p, alpha=10.0)[0]
    assert np.isnan(jax.jit(jax.grad(step))(jnp.zeros(())))


def test_a_step_from_a_solution_has_the_derivatives_of_the_proximal_map():
    """The start is stationary and nothing moves, yet a shift of the minimum would have moved it."""
    step = lambda shift: updates_of(lambda p: (p - shift) ** 2, jnp.zeros(()), alpha=2.0)[0]
    np.testing.assert_allclose(jax.jit(jax.grad(step))(0.0), 0.8, rtol=1e-5)


@X64
def test_parameters_may_mix_float32_and_float64():
    def derivative(dtype):
        def updates(shift):
            params = {"x": jnp.ones(2, dtype), "y": jnp.ones(())}
            loss = lambda p: jnp.sum(p["x"] ** 2) * p["y"] ** 2 + jnp.sum((p["y"] - shift) ** 2)
            return updates_of(loss, params, max_inner_steps=50, rtol=1e-6)[0]

        return jax.jit(jax.jacrev(updates))(2.0)

    mixed, double = derivative(jnp.float32), derivative(jnp.float64)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), mixed, double)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_refused_only_where_it_is_differentiated(dtype):
    def step(params):
        return jnp.sum(updates_of(lambda p: jnp.sum(p**2), params, optax.sgd(0.1), max_inner_steps=2)[0])

    params = jnp.ones(2, dtype)
    jax.eval_shape(step, params)
    with pytest.raises(TypeError, match=r"at least float32.*jax\.lax\.stop_gradient"):
        jax.eval_shape(jax.grad(step), params)


def test_the_loss_may_close_over_integers_and_keys_of_an_outer_jit():
    """They are constants of the step that a derivative, taken after jit has traced it, must not lose."""

    @jax.jit
    def step(weight, index, key):
        noise = jax.random.normal(key, (3,))
        loss = lambda p: weight * jnp.sum((p - noise) ** 2 + jax.random.normal(key) * p) + p[index]
        return updates_of(loss, jnp.ones(3), max_inner_steps=30, rtol=1e-6)[0].sum()

    arguments = (jnp.float32(2.0), 1, jax.random.key(0))
    grad = jax.grad(step)(*arguments)
    # p = (1 + α(2wn − wk − e))/(1 + 2αw) with α = 0.5
    noise, drift = jax.random.normal(arguments[2], (3,)), jax.random.normal(arguments[2])
    exact = lambda w: jnp.sum((1 + 0.5 * (2 * w * noise - w * drift)) / (1 + w)) - 0.5 / (1 + w)
    np.testing.assert_allclose(grad, jax.grad(exact)(2.0), rtol=1e-4)


def test_nothing_is_compiled_for_derivatives_that_nobody_takes(rosenbrock):
    step = lambda p: updates_of(rosenbrock, p, optax.adam(0.1), max_inner_steps=3)[0]
    count = lambda fn: jax.jit(fn).lower(jnp.zeros(3)).as_text().count("stablehlo.while")
    assert count(step) == 1
    assert count(lambda p: jax.jvp(step, (p,), (p,))) == 2


@pytest.mark.parametrize("cotangent", [1e20, 1.0, 1e-25])
def test_cotangents_whose_squares_leave_float32_have_their_derivatives(cotangent):
    solver, start = implicit_step(optax.lbfgs(), 2.0), jnp.zeros(())

    def step(a):
        loss = lambda p: (p - a) ** 2
        return solver.update(jax.grad(loss)(start), solver.init(start), start, value_fn=loss)[0]

    np.testing.assert_allclose(
        jax.jit(jax.grad(lambda a: cotangent * step(a)))(0.5), 0.8 * cotangent, rtol=1e-3
    )


def test_a_step_leaks_no_tracers():
    """Its rule of derivatives outlives the trace."""
    loss = lambda p: jnp.sum((p - 1) ** 2)
    solver, params = implicit_step(optax.sgd(0.1), 1.0, max_inner_steps=2), jnp.zeros(2)
    state = solver.init(params)
    step = lambda p, state: solver.update(jax.grad(loss)(p), state, p, value_fn=loss)
    with jax.checking_leaks():
        jax.make_jaxpr(step)(params, state)
