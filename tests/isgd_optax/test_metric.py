"""``metric``: the unit in which the proximal term measures each parameter's step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, largest_trusted

LINEAR_SOLVERS = ["dual", "primal", "qr", "cg"]
X = np.linspace(0.0, 1.0, 7)
START = {"a": np.array([0.5, -1.5]), "b": np.array(0.3)}
# Powers of two: scaling by them rounds nothing.
SCALES = {"a": np.array([2.0**40, 2.0**-30]), "b": np.array(2.0**-50)}
METRIC = {"a": np.array([3.0, 0.2]), "b": 7.0}  # an array and a number


def residual(params, x):
    a, b = params["a"], params["b"]
    return a[0] * jnp.sin(2 * x + b) + a[1] * x * jnp.cos(b) - jnp.exp(-3 * x)


def fit():
    return LeastSquares(Residual(residual, X, weight=2.0))


def history(solver, loss, params, num_steps):
    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        return optax.apply_updates(params, updates), state, value

    params, state = jax.tree.map(jnp.asarray, params), solver.init(params)
    losses, rates = [], []
    for _ in range(num_steps):
        params, state, value = step(params, state)
        losses.append(float(value))
        rates.append(float(state.info.learning_rate))
    return params, state, np.array(losses), np.array(rates)


def rescaled(scales):
    """The same loss in other units: θ = S θ'."""
    inside = lambda p: jax.tree.map(lambda s, q: s * q, scales, p)
    loss = LeastSquares(Residual(lambda p, x: residual(inside(p), x), X, weight=2.0))
    return loss, jax.tree.map(lambda s, q: q / s, scales, START)


@pytest.mark.long
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("linear_solver", LINEAR_SOLVERS)
def test_jacobi_makes_gauss_newton_invariant_under_a_change_of_units(linear_solver):
    solver = implicit_step(
        gauss_newton(linear_solver=linear_solver), largest_trusted(), max_inner_steps=1, metric="jacobi"
    )
    _, _, losses, rates = history(solver, fit(), START, 15)
    _, _, other_losses, other_rates = history(solver, *rescaled(SCALES), 15)
    np.testing.assert_allclose(other_losses, losses, rtol=1e-9)
    np.testing.assert_array_equal(other_rates, rates)
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.usefixtures("x64")
def test_a_large_parameter_that_rests_does_not_hide_the_steps_of_others():
    """Whether a step is lost in rounding errors is measured in the metric too."""
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, metric="jacobi")
    unit = 2.0**-60
    fn = lambda p, x: jnp.stack([jnp.exp(p["a"] * x) - 2, unit * p["b"] - 1])
    params = {"a": np.array(0.1), "b": np.array(1 / unit)}
    _, state, losses, rates = history(solver, LeastSquares(Residual(fn, X[3:])), params, 2)
    assert rates[0] > 1
    assert rates[1] > rates[0]
    assert losses[1] < losses[0]
    assert not state.info.at_floor


@pytest.mark.usefixtures("x64")
def test_several_inner_steps_are_invariant_too():
    solver = implicit_step(gauss_newton(), 10.0, max_inner_steps=20, rtol=1e-9, metric="jacobi", momentum=0.5)
    params, _, losses, _ = history(solver, fit(), START, 6)
    other, _, other_losses, _ = history(solver, *rescaled(SCALES), 6)
    np.testing.assert_allclose(other_losses, losses, rtol=1e-9)
    jax.tree.map(lambda s, q, p: np.testing.assert_allclose(s * q, p, rtol=1e-9), SCALES, other, params)


@pytest.mark.long
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("with_residuals", [True, False], ids=["LeastSquares", "function"])
def test_a_solved_step_of_lbfgs_is_invariant(with_residuals):
    solver = implicit_step(optax.lbfgs(), 0.5, max_inner_steps=500, rtol=1e-10, metric="jacobi")
    scales = {"a": np.array([2.0, 0.5]), "b": np.array(4.0)}
    wrap = (lambda loss: loss) if with_residuals else (lambda loss: lambda p: loss(p))
    loss, start = rescaled(scales)
    params, state, *_ = history(solver, wrap(fit()), START, 1)
    other, *_ = history(solver, wrap(loss), start, 1)
    assert state.info.accepted
    assert state.info.residual < 1e-8
    jax.tree.map(lambda s, q, p: np.testing.assert_allclose(s * q, p, rtol=1e-7), scales, other, params)


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_jacobi_keeps_the_largest_diagonal_so_far():
    loss = fit()
    solver = implicit_step(gauss_newton(), 1.0, max_inner_steps=1, metric="jacobi")
    diagonals, params, state = [], jax.tree.map(jnp.asarray, START), solver.init(START)
    for _ in range(3):
        rows = jax.jacobian(loss.residuals)(params)
        diagonals.append(jax.tree.map(lambda j: jnp.sum(j**2, axis=0), rows))
        updates, state = jax.jit(solver.update)(jax.grad(loss)(params), state, params, value_fn=loss)
        params = optax.apply_updates(params, updates)
    largest = jax.tree.map(lambda *d: np.max(np.stack(d), axis=0), *diagonals)
    jax.tree.map(lambda m, d: np.testing.assert_allclose(m, d, rtol=1e-12), state.metric_state, largest)
    assert any(np.any(m > d) for m, d in zip(*map(jax.tree.leaves, (largest, diagonals[-1])), strict=True))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("linear_solver", LINEAR_SOLVERS)
def test_a_gauss_newton_step_in_a_given_metric_equals_the_dense_one(linear_solver):
    loss, alpha = fit(), 0.7
    inner = gauss_newton(linear_solver=linear_solver, max_corrections=0)
    solver = implicit_step(inner, alpha, max_inner_steps=1, metric=METRIC)
    params, *_ = history(solver, loss, START, 1)

    flat, unravel = jax.flatten_util.ravel_pytree(jax.tree.map(jnp.asarray, START))
    rows = jax.jacobian(lambda v: loss.residuals(unravel(v)))(flat)
    damped = rows.T @ rows + np.diag([3.0, 0.2, 7.0]) / (2 * alpha)
    expected = unravel(flat - jnp.linalg.solve(damped, rows.T @ loss.residuals(unravel(flat))))
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-5), params, expected)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("metric", [METRIC, "jacobi"], ids=["given", "jacobi"])
@pytest.mark.parametrize(
    "inner",
    [optax.sgd(0.02), optax.adam(0.005), optax.lbfgs(), gauss_newton()],
    ids=["sgd", "adam", "lbfgs", "gauss_newton"],
)
def test_the_step_solves_the_implicit_equation_in_the_metric(inner, metric):
    loss, alpha = fit(), 0.5
    solver = implicit_step(inner, alpha, max_inner_steps=3000, rtol=1e-5, metric=metric)
    params, state, *_ = history(solver, loss, START, 1)
    diagonal = METRIC
    if metric == "jacobi":
        rows = jax.jacobian(loss.residuals)(jax.tree.map(jnp.asarray, START))
        diagonal = jax.tree.map(lambda j: jnp.sum(j**2, axis=0), rows)
    moved = jax.tree.map(lambda p, q: p - q, params, START)
    error = jax.tree.map(lambda m, d, g: m + alpha * g / d, moved, diagonal, jax.grad(loss)(params))
    norm = lambda tree: np.sqrt(
        sum(jax.tree.leaves(jax.tree.map(lambda d, v: np.sum(d * v**2), diagonal, tree)))
    )
    assert state.info.accepted
    assert norm(moved) > 0.1
    assert norm(error) <= 1.01e-5 * norm(moved)
    # The residual itself is a difference of numbers as large as the step.
    np.testing.assert_allclose(state.info.residual, norm(error) / norm(moved), rtol=1e-3, atol=1e-12)


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_the_derivative_by_alpha_is_that_in_the_metric():
    loss = fit()
    start = jax.tree.map(jnp.asarray, START)

    def stepped(alpha):
        solver = implicit_step(gauss_newton(), alpha, max_inner_steps=50, rtol=1e-13, metric=METRIC)
        return solver.update(jax.grad(loss)(start), solver.init(start), start, value_fn=loss)[0]

    _, derivative = jax.jit(lambda a: jax.jvp(stepped, (a,), (1.0,)))(0.5)
    above, below = stepped(0.5 + 1e-4), stepped(0.5 - 1e-4)
    jax.tree.map(
        lambda d, a, b: np.testing.assert_allclose(d, (a - b) / 2e-4, rtol=1e-6, atol=1e-8),
        derivative,
        above,
        below,
    )


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ({"a": 1.0}, "structure of params"),
        ({"a": np.ones(3), "b": 1.0}, r"of its parameter's shape, got \(3,\) for \(2,\)"),
        ({"a": np.array([1.0, 0.0]), "b": 1.0}, r"metric\['a'\] must be positive and finite"),
        ({"a": 1.0, "b": -1.0}, r"metric\['b'\] must be positive and finite"),
        ({"a": 1.0, "b": np.inf}, r"metric\['b'\] must be positive and finite"),
        ("Jacobi", "'identity', 'jacobi' or a pytree"),
    ],
)
def test_an_unfit_metric_is_an_error(metric, message):
    with pytest.raises(ValueError, match=message):
        implicit_step(optax.adam(0.1), 1.0, metric=metric).init(START)


def decay():
    """Parameters in physical units, eleven decades apart."""
    truth, times = np.array([2e-7, 3e-3, 5e4]), np.linspace(0.0, 1e-4, 60)
    model = lambda p, t: p[0] + p[1] * jnp.exp(-p[2] * t)
    data = truth[0] + truth[1] * np.exp(-truth[2] * times)
    return LeastSquares(Residual(lambda p, point: model(p, point[0]) - point[1], (times, data))), truth


STARTS = [(0.0, 1e-3, 1e4), (1e-7, 1.5e-3, 1e5)]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("start", STARTS)
def test_parameters_in_physical_units_are_found_with_jacobi(start):
    loss, truth = decay()
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, metric="jacobi")
    params, *_ = history(solver, loss, jnp.array(start), 100)
    np.testing.assert_allclose(params, truth, rtol=1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("start", STARTS)
def test_without_a_metric_a_step_held_back_by_the_bound_of_alpha_says_so(start):
    loss, truth = decay()
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    params, state, *_ = history(solver, loss, jnp.array(start), 100)
    assert state.info.at_bound or np.allclose(params, truth, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    "metric", ["identity", "jacobi", {"a": jnp.ones(3)}], ids=["identity", "jacobi", "given"]
)
def test_placeholders_have_a_state_too(metric):
    """As checkpoint libraries ask for it, before there are arrays."""
    solver = implicit_step(gauss_newton(), 1.0, metric=metric)
    state = solver.init({"a": jax.ShapeDtypeStruct((3,), jnp.float32)})
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, solver.init({"a": jnp.ones(3)}))
