"""Mistakes in a loop of one's own are said in words."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import (
    LeastSquares,
    Residual,
    diagnostics,
    gauss_newton,
    implicit_step,
    largest_trusted,
    linear_solvers,
    step_info,
)

X = jnp.array([1.0, 2.0, 3.0])
fit = lambda p, x: p * x - 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Residual(None, X), TypeError, "a residual is a function"),
        (lambda: Residual(fit, X, loss="huber"), TypeError, "loss must be a function"),
        (lambda: Residual(fit, [1.0, 2.0]), ValueError, r"jnp.array\(points\)"),
        (lambda: Residual(fit, X, weight=None), TypeError, "weight must be a number or an array"),
        (lambda: Residual(fit, X, weight=jnp.inf), ValueError, "weight must be finite"),
        (
            lambda: LeastSquares([Residual(fit, X, name="a")]),
            TypeError,
            r"got \[Residual\(a, 3 points\)\]: unpack",
        ),
        (lambda: implicit_step(optax.adam(0.1), 1.0, rtol="a"), TypeError, "rtol must be a number"),
        (lambda: implicit_step(optax.adam(0.1), 1.0, momentum="x"), TypeError, "momentum must be a number"),
        (lambda: implicit_step(optax.adam(0.1), 1.0, max_inner_steps=2.5), ValueError, "a whole number"),
    ],
)
def test_constructors(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda loss: diagnostics.gram_matrix(loss, 1.0, kernel="layer"), "kernel must be one of 'auto'"),
        (lambda loss: diagnostics.gram_matrix(loss, 1.0, row_block=0), "row_block must be at least 1"),
        (lambda loss: diagnostics.gram_spectrum(loss, 1.0, kernel="layer"), "kernel must be one of 'auto'"),
        (
            lambda loss: diagnostics.contraction(loss, 1.0, 1.0, 1.0, kernel=""),
            "kernel must be one of 'auto'",
        ),
        (lambda loss: diagnostics.loss_decay(loss, 1.0, 1.0, 1.0, num_nodes=0), "num_nodes must be at least"),
        (lambda loss: diagnostics.covariance(loss, 1.0, rcond=-1.0), "rcond must be at least 0"),
        (
            lambda loss: diagnostics.error_estimate(loss, 1.0, lambda p: p, rcond=-1.0),
            "rcond must be at least",
        ),
        (lambda loss: linear_solvers.nystrom(2.5), "rank must be a whole number"),
        (lambda loss: linear_solvers.cg(max_steps=2.5), "max_steps must be a whole number"),
        (lambda loss: gauss_newton(memory_limit=-1), "memory_limit must be at least 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(measure, message):
    with pytest.raises(ValueError, match=message):
        measure(LeastSquares(Residual(fit, X)))


@pytest.mark.parametrize(
    ("fn", "error", "message"),
    [
        (lambda p, x: (p * x, p), TypeError, "one array, got a tuple. Join its parts"),
        (lambda p, x: [p * x], TypeError, "one array, got a list"),
        (lambda p, x: {"a": p * x}, TypeError, "one array, got a dict"),
        (lambda p, x: (p * x)[None][:0], ValueError, "an empty array"),
        (lambda p, x: p * x * 1j, TypeError, "must be real"),
    ],
)
@pytest.mark.parametrize("weight", [1.0, np.array([1.0, 0.0, 0.0])])
def test_a_residual_is_one_array_of_numbers(fn, error, message, weight):
    """A tuple would be taken for points: its parts lie where the points should."""
    loss = LeastSquares(Residual(fn, X, weight=weight))
    solver = implicit_step(gauss_newton(), 1.0)
    p = jnp.asarray(1.0)
    for call in (loss, lambda p: solver.update(p, solver.init(p), p, value_fn=loss)):
        with pytest.raises(error, match=message):
            call(p)


def step(solver, loss, **extra):
    p = jnp.ones(6)
    return solver.update(p, solver.init(p), p, value_fn=loss, **extra)


def test_a_loss_that_lacks_an_argument_is_told_how_it_gets_it():
    with pytest.raises(TypeError, match="an array of shape") as caught:
        step(implicit_step(optax.adam(0.1), 1.0), lambda p, batch: jnp.sum(p * batch), bacth=3.0)
    assert "handed to update by name" in str(caught.value)
    assert "optax.flatten" not in str(caught.value)


def test_a_parameter_asked_for_by_name_in_a_flat_vector():
    with pytest.raises(TypeError, match=r"inside optax\.flatten, take it out"):
        step(implicit_step(optax.adam(0.1), 1.0), lambda p: jnp.sum(p["w"]))


def test_schedules_that_are_none():
    with pytest.raises(TypeError, match="a schedule must return one number"):
        step(implicit_step(optax.adam(0.1), lambda count: jnp.array([1.0])), lambda p: jnp.sum(p**2))
    with pytest.raises(TypeError, match=r"write largest_trusted\(\)"):
        implicit_step(optax.adam(0.1), largest_trusted)


@pytest.mark.parametrize("inner", [optax.adam(0.1), optax.lbfgs()], ids=["adam", "lbfgs"])
def test_a_learning_rate_of_zero_takes_no_step_and_reports_no_nan(inner):
    solver = implicit_step(inner, optax.linear_schedule(0.0, 1.0, 2))
    updates, state = step(solver, lambda p: jnp.sum(p**2))
    assert not updates.any()
    info = step_info(state)
    assert info is not None
    assert not info.accepted
    assert not jnp.isnan(info.residual)


def test_the_spectrum_of_a_small_model_takes_as_many_steps_as_it_has_parameters():
    pytest.importorskip("matfree")
    loss = lambda p: 0.5 * jnp.sum(jnp.arange(1.0, 7.0) * p**2)
    spectrum = diagnostics.hessian_spectrum(loss, jnp.ones(6), jax.random.key(0))
    np.testing.assert_allclose(spectrum.eigenvalues[0], np.arange(1, 7), rtol=1e-4)


STATE = implicit_step(optax.adam(0.1), 1.0).init(jnp.ones(6))
GRAD = jnp.ones(6)


def squares(p):
    return jnp.sum(p**2)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((None, STATE), TypeError, "the gradient is None: call update"),
        (((jnp.asarray(1.0), GRAD), STATE), TypeError, "value_and_grad returns: value, grad"),
        ((STATE, GRAD), TypeError, "It looks like a state: the gradient comes first"),
        (({"w": GRAD}, STATE), TypeError, "a dict of another structure than params"),
        ((jnp.ones(5), STATE), ValueError, r"gradient has shape \(5,\) and params \(6,\)"),
        ((GRAD, optax.adam(0.1).init(GRAD)), TypeError, "not one of implicit_step"),
        ((GRAD, implicit_step(optax.adam(0.1), largest_trusted()).init(GRAD)), TypeError, "controller_state"),
        ((GRAD, implicit_step(optax.adam(0.1), 1.0, store_grad=True).init(GRAD)), TypeError, "its stored"),
    ],
)
def test_what_update_is_given_is_checked_in_the_users_words(args, error, message):
    with pytest.raises(error, match=message):
        implicit_step(optax.adam(0.1), 1.0).update(*args, jnp.ones(6), value_fn=squares)


@pytest.mark.parametrize(
    ("value", "message"),
    [((1.0, {"aux": 2}), "With has_aux=True unpack it"), (jnp.ones(1), r"an array of shape \(1,\)")],
)
@pytest.mark.parametrize("store_grad", [False, True])
def test_the_value_is_one_number(value, message, store_grad):
    solver = implicit_step(optax.adam(0.1), 1.0, store_grad=store_grad)
    with pytest.raises(TypeError, match=message):
        solver.update(GRAD, solver.init(GRAD), GRAD, value=value, value_fn=squares)


@pytest.mark.parametrize("linear_solver", ["dual", "primal", "qr", "auto"])
def test_empty_parameters_are_said(linear_solver):
    solver = implicit_step(gauss_newton(linear_solver=linear_solver), 1.0)
    params = {"w": jnp.zeros((0, 3))}
    loss = LeastSquares(Residual(lambda p, x: jnp.sum(p["w"]) + x, jnp.ones(4)))
    with pytest.raises(ValueError, match="nothing to fit"):
        solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)


def test_an_inner_solver_that_wants_other_arguments_is_named():
    inner = optax.contrib.sophia(0.1)
    solver = implicit_step(inner, 1.0)
    with pytest.raises(Exception, match="obj_fn") as raised:
        solver.update(GRAD, solver.init(GRAD), GRAD, value_fn=squares)
    assert "Raised by the inner solver of implicit_step" in raised.value.__notes__[0]


def test_a_state_of_other_parameters_is_said():
    solver = implicit_step(optax.adam(0.1), 1.0, momentum=0.5)
    with pytest.raises(ValueError, match=r"belongs to other parameters: an array of its velocity has shape"):
        solver.update(GRAD, solver.init(jnp.ones(5)), GRAD, value_fn=squares)


@pytest.mark.parametrize(
    ("value_fn", "message"),
    [
        (jnp.asarray(454.0), "hand over loss itself, not loss"),
        (lambda: squares(GRAD), "It must take the parameters"),
        (lambda q: squares(GRAD), "does not depend on the parameters that it is given"),
    ],
)
def test_a_value_that_is_no_loss_of_the_parameters(value_fn, message):
    with pytest.raises(TypeError, match=message):
        step(implicit_step(optax.adam(0.1), 1.0), value_fn)


def test_a_learning_rate_is_not_a_boolean():
    with pytest.raises(TypeError, match="learning_rate must be a number"):
        implicit_step(optax.adam(0.1), True)


def test_a_loss_tells_what_it_is_made_of():
    loss = LeastSquares(Residual(fit, X, name="data"), Residual(squares, X))
    assert repr(loss) == "LeastSquares(Residual(data, 3 points), Residual(squares, 3 points))"


@pytest.mark.parametrize(
    "value_fn",
    [lambda p: jnp.sum(p**2) if p[0] > 0 else -p[0], lambda p: np.sum(np.sin(p)), lambda p: p[int(p[0])]],
    ids=["if", "numpy", "index"],
)
def test_a_loss_that_asks_for_numbers_is_told_that_it_is_traced(value_fn):
    solver = implicit_step(optax.adam(0.1), 1.0)
    params = jnp.ones(3)
    with pytest.raises(TypeError, match=r"traced.*jnp\.where"):
        solver.update(jnp.ones(3), solver.init(params), params, value_fn=value_fn)
