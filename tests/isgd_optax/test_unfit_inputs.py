"""What cannot be differentiated or counted is said in words; what is only written otherwise is taken."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, diagnostics, gauss_newton, implicit_step
from isgd_optax._gauss_newton._memory import available_bytes

LOSS = LeastSquares(Residual(lambda p, x: p * x - 1, jnp.array([1.0, 2.0, 3.0])))
START = jnp.asarray(0.5)


def update(solver, params=START, loss=LOSS):
    return solver.update(params, solver.init(params), params, value_fn=loss)


def test_a_loop_without_a_derivative_in_reverse_mode_is_named():
    root = lambda p, x: jax.lax.while_loop(lambda s: s < 1, lambda s: s * (1 + p) + x, p)
    with pytest.raises(TypeError, match=r"enter a jax.lax.while_loop.*lax.scan.*DirectAdjoint"):
        update(implicit_step(gauss_newton(), 1.0), loss=LeastSquares(Residual(root, jnp.ones(3))))
    of_points = lambda p, x: p * jax.lax.while_loop(lambda s: s < 1, lambda s: s + x, x)
    whole = lambda p, x: jnp.round(of_points(p, x)).astype(jnp.int32)
    for fn in (of_points, whole):
        update(implicit_step(gauss_newton(), 1.0), loss=LeastSquares(Residual(fn, jnp.ones(3))))


@pytest.mark.parametrize(
    "points", [np.array(["a", "b"]), np.array([None, 1]), np.array(["2020-01-01"], "datetime64[D]")]
)
def test_points_that_are_no_numbers_are_refused(points):
    with pytest.raises(TypeError, match="points must be arrays of numbers"):
        Residual(lambda p, x: p, points)


def test_gradients_of_whole_numbers_are_no_parameters():
    params = {"a": jnp.ones(2), "b": np.zeros(2, jax.dtypes.float0)}
    with pytest.raises(TypeError, match=r"floating-point parameters, got .*float0"):
        implicit_step(optax.sgd(0.1), 1.0).init(params)


def test_counts_may_be_written_as_floats():
    _, state = update(implicit_step(gauss_newton(row_block=2.0, linear_solver="primal"), 1.0))
    assert state.info.accepted
    cg = gauss_newton(preconditioner_rank=1.0, cg_max_steps=5.0, linear_solver="cg")
    assert update(implicit_step(cg, 1.0, max_inner_steps=1.0))[1].info.accepted
    assert diagnostics.gram_matrix(LOSS, START, kernel="rows", row_block=2.0).shape == (3, 3)


def test_contraction_refuses_losses_that_are_no_squares_before_it_computes():
    called = []
    fn = lambda p, x: called.append(x) or p * x
    with pytest.raises(TypeError, match="no sum of squares"):
        diagnostics.contraction(LeastSquares(Residual(fn, jnp.ones(3), loss=jnp.abs)), START, START, 1.0)
    assert not called


@pytest.mark.parametrize(
    "alpha", [jnp.float32(1.0), np.float32(1.0), lambda count: jnp.float32(0.5) ** count]
)
def test_a_learning_rate_in_float32_suits_parameters_in_float64(alpha, x64):
    params = jnp.asarray(0.5, jnp.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solver = implicit_step(optax.sgd(0.01), alpha)
        _, state = jax.jit(lambda p: update(solver, p, lambda p: (p - 1) ** 2))(params)
    assert state.info.accepted


def test_the_default_device_may_be_the_name_of_a_platform(monkeypatch):
    asked, devices = [], jax.local_devices
    monkeypatch.setattr(jax, "local_devices", lambda backend=None: asked.append(backend) or devices())
    with jax.default_device("cpu"):
        assert available_bytes() > 0
    assert asked == ["cpu"]  # its memory, not that of the host where it is another device
