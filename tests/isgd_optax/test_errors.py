"""Every wrong argument is refused with a message that says what to do."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, implicit_step, isgd_adam, isgd_lbfgs, switch_after

PARAMS = np.ones(3, np.float32)


def loss(params):
    return jnp.sum(params**2)


def update(value_fn=loss, params=PARAMS, **extra_args):
    solver = implicit_step(optax.sgd(0.1), 0.5, max_inner_steps=2)
    return solver.update(jnp.ones(3), solver.init(PARAMS), params, value_fn=value_fn, **extra_args)


def test_missing_value_fn():
    solver = implicit_step(optax.sgd(0.1), 0.5)
    with pytest.raises(ValueError, match=r"needs value_fn.*update\(grad, state, params, value_fn=loss\)"):
        solver.update(jnp.ones(3), solver.init(PARAMS), PARAMS)


def test_missing_params():
    with pytest.raises(ValueError, match=r"needs params: call update\(grad, state, params, value_fn=loss\)"):
        update(params=None)


@pytest.mark.parametrize("alpha", [0, 0.0, -1.0, np.nan, np.inf, -np.inf, np.float32(0)])
@pytest.mark.parametrize(
    "make",
    [
        lambda alpha: implicit_step(optax.sgd(0.1), alpha),
        lambda alpha: isgd_adam(alpha, num_implicit_steps=1, num_inner_steps=1),
        lambda alpha: isgd_lbfgs(alpha, num_implicit_steps=1, num_inner_steps=1),
    ],
    ids=["implicit_step", "isgd_adam", "isgd_lbfgs"],
)
def test_step_size_that_is_not_positive_and_finite(make, alpha):
    with pytest.raises(ValueError, match=r"learning_rate must be positive and finite, got .* step size α"):
        make(alpha)


@pytest.mark.parametrize(
    "learning_rate",
    ["0.1", None, [0.1, 0.2], np.ones(2), 1j, optax.sgd(0.1)],
    ids=["text", "None", "list", "array", "complex", "optimiser"],
)
def test_step_size_of_a_wrong_type(learning_rate):
    with pytest.raises(TypeError, match="must be a number, an optax schedule or a LearningRateController"):
        implicit_step(optax.sgd(0.1), learning_rate)


@pytest.mark.parametrize("number", [0, -3])
def test_too_few_inner_steps(number):
    with pytest.raises(ValueError, match=f"max_inner_steps must be at least 1, got {number}"):
        implicit_step(optax.sgd(0.1), 0.5, max_inner_steps=number)
    for isgd in (isgd_adam, isgd_lbfgs):
        with pytest.raises(ValueError, match=f"inner_steps must be at least 1, got {number}"):
            isgd(0.5, num_implicit_steps=1, num_inner_steps=number)


@pytest.mark.parametrize("name", ["rtol", "atol"])
@pytest.mark.parametrize("tolerance", [-1e-3, np.nan, -np.inf])
def test_negative_or_nan_tolerance(name, tolerance):
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got {tolerance}"):
        implicit_step(optax.sgd(0.1), 0.5, **{name: tolerance})


@pytest.mark.parametrize("number", [-1, -10])
def test_negative_number_of_steps_before_the_switch(number):
    for make in (
        lambda: switch_after(number, optax.sgd(0.1), optax.sgd(0.1)),
        lambda: isgd_adam(0.5, num_implicit_steps=number, num_inner_steps=1),
        lambda: isgd_lbfgs(0.5, num_implicit_steps=number, num_inner_steps=1),
    ):
        with pytest.raises(ValueError, match=f"steps must be at least 0, got {number}"):
            make()


@pytest.mark.parametrize(
    "wrong", [0.1, None, optax.adam, lambda params: params], ids=["number", "None", "factory", "function"]
)
def test_inner_that_is_no_transformation(wrong):
    with pytest.raises(
        TypeError, match=r"inner must be an optax gradient transformation, e\.g\. optax\.adam"
    ):
        implicit_step(wrong, 0.5)
    with pytest.raises(TypeError, match=r"first must be an optax gradient transformation"):
        switch_after(1, wrong, optax.sgd(0.1))
    with pytest.raises(TypeError, match=r"second must be an optax gradient transformation"):
        switch_after(1, optax.sgd(0.1), wrong)


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (np.ones(2, np.int32), "floating-point parameters, got int32.*close over them in value_fn"),
        (np.ones(2, bool), "floating-point parameters, got bool.*close over them in value_fn"),
        (3, "floating-point parameters, got int.*close over them in value_fn"),
        (np.ones(2, np.complex64), "real parameters, got complex64.*two real arrays"),
        (1j, "real parameters, got complex.*two real arrays"),
    ],
    ids=["int array", "bool array", "int", "complex array", "complex"],
)
def test_parameters_that_are_not_real_and_floating(leaf, message):
    params = {"good": PARAMS, "bad": leaf}
    solver = implicit_step(optax.sgd(0.1), 0.5)
    with pytest.raises(TypeError, match=message):
        solver.init(params)
    with pytest.raises(TypeError, match=message):
        solver.update(params, (), params, value_fn=lambda p: jnp.sum(p["good"]))


@pytest.mark.parametrize(
    ("value_fn", "message"),
    [
        (lambda p: p, r"must return a scalar, got shape \(3,\).*jnp\.mean"),
        (lambda p: loss(p)[None], r"must return a scalar, got shape \(1,\)"),
        (lambda p: (loss(p), p), r"must return one scalar.*value_fn=lambda params: loss\(params\)\[0\]"),
        (lambda p: {"loss": loss(p)}, r"must return one scalar"),
        (lambda p: None, r"must return one scalar, got None"),
        (lambda p: jnp.argmax(p), r"real floating-point scalar, got int32"),
        (lambda p: loss(p) * 1j, r"real floating-point scalar, got complex64"),
    ],
    ids=["vector", "one element", "auxiliary output", "dict", "None", "integer", "complex"],
)
def test_loss_that_is_no_real_scalar(value_fn, message):
    with pytest.raises(TypeError, match=message):
        update(value_fn)
    with pytest.raises(TypeError, match=message):
        jax.jit(update, static_argnums=0)(value_fn)


def test_loss_may_be_a_python_float():
    updates, state = update(lambda p: 1.0)
    np.testing.assert_array_equal(updates.shape, PARAMS.shape)
    assert state.count == 1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda solver: optax.masked(solver, {"a": True, "b": False}),
        lambda solver: optax.masked(solver, lambda params: {"a": True, "b": False}),
        lambda solver: optax.partition(
            {"train": solver, "freeze": optax.set_to_zero()}, {"a": "train", "b": "freeze"}
        ),
    ],
    ids=["masked", "mask function", "partition"],
)
def test_masks_around_it(wrap):
    solver = wrap(implicit_step(optax.sgd(0.1), 0.5))
    params = {"a": jnp.ones(2), "b": jnp.ones(3)}
    with pytest.raises(TypeError, match=r"Put the mask inside: implicit_step\(optax\.partition"):
        solver.init(params)


@pytest.mark.parametrize(
    ("points", "shapes"),
    [
        (np.zeros(()), "[()]"),
        (np.zeros((0, 2)), "[(0, 2)]"),
        ((np.zeros(3), np.zeros((4, 2))), "[(3,), (4, 2)]"),
        ((np.zeros(3), 1.0), "[(3,), ()]"),
        ((), "[]"),
    ],
    ids=["scalar", "no points", "different lengths", "one scalar", "nothing"],
)
def test_residual_without_a_common_axis_of_points(points, shapes):
    message = "points must be arrays with one common, non-zero leading axis, got shapes " + re.escape(shapes)
    with pytest.raises(ValueError, match=message):
        Residual(lambda params, point: params, points)


@pytest.mark.parametrize("weight", [-1, -0.5, float("nan"), np.float64(-1.0), np.float32(-1.0)])
def test_residual_with_a_negative_weight(weight):
    with pytest.raises(ValueError, match=f"weight must be at least 0, got {float(weight)}|got {weight}"):
        Residual(lambda params, point: params, np.zeros(3), weight=weight)


def test_least_squares_without_blocks():
    with pytest.raises(ValueError, match="needs at least one Residual"):
        LeastSquares()


def test_least_squares_of_something_else():
    with pytest.raises(TypeError, match="takes Residual blocks, got <function"):
        LeastSquares(loss)


@pytest.mark.parametrize("names", [("a", "a"), ("block1", None)])
def test_least_squares_with_equal_names(names):
    blocks = [Residual(lambda params, point: params, np.zeros(3), name=name) for name in names]
    with pytest.raises(ValueError, match="blocks must have different names"):
        LeastSquares(*blocks)
