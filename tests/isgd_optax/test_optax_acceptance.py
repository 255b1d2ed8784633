"""Optax's own tests of contributed optimisers, run on the transformations of this package.

The tests and their parameters are those that optax ships for its ``sophia``, which is handed the objective
as ``obj_fn``; only the factory of the optimiser is exchanged. Here ``obj_fn`` becomes ``value_fn``. For
``gauss_newton`` the objectives, all of them sums of squares, are written as such. ``optax.lbfgs`` goes
through the same tests for comparison.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from optax.contrib import _common_test as suite

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, isgd_adam, isgd_lbfgs

NUM_STEPS = 300  # of test_optimizers, which makes 30,000 with optimisers of one gradient per step

MAKERS = {
    "sgd": lambda alpha: implicit_step(optax.sgd(1e-3), alpha, max_inner_steps=100),
    "adam": lambda alpha: implicit_step(optax.adam(0.1), alpha, max_inner_steps=100),
    "lbfgs": lambda alpha: implicit_step(optax.lbfgs(memory_size=3), alpha, max_inner_steps=30),
    "gauss_newton": lambda alpha: implicit_step(gauss_newton(), alpha, max_inner_steps=5),
    "isgd_adam": lambda alpha: isgd_adam(
        alpha, num_implicit_steps=200, num_inner_steps=50, inner_learning_rate=0.05
    ),
    "isgd_lbfgs": lambda alpha: isgd_lbfgs(alpha, num_implicit_steps=20, num_inner_steps=10, memory_size=3),
    "optax.lbfgs": lambda alpha: optax.lbfgs(alpha, memory_size=3),
}


def cases():
    """Every test of the suite as a function, with the parameters that it has for ``sophia``."""
    for name, method in inspect.getmembers(suite.ContribTest, inspect.isfunction):
        if name.startswith("test"):
            bound = inspect.getclosurevars(method).nonlocals
            parameters = dict(bound["testcase_params"])
            if parameters.pop("opt_name") == "sophia" and parameters.get("wrapper_name") is None:
                del parameters["opt_kwargs"]
                rest = {key: value for key, value in parameters.items() if not key.startswith("wrapper")}
                labels = [getattr(value, "__name__", str(value)) for value in rest.values()]
                label = "-".join([bound["test_method"].__name__, *labels])
                yield pytest.param(bound["test_method"], parameters, id=label)


def as_least_squares(objective):
    """‖x‖², the objective of those tests of the suite that have no name for theirs."""
    if isinstance(objective, LeastSquares):
        return objective
    return LeastSquares(Residual(lambda params, _: ravel_pytree(params)[0], jnp.zeros(1)))


def adapted(solver, convert):
    """``solver`` as the suite calls ``sophia``; compiled, since one of its tests does not compile."""
    update = jax.jit(solver.update, static_argnames="value_fn")

    def update_fn(updates, state, params, *, obj_fn, **extra_args):
        value_fn = convert(obj_fn)
        value = value_fn(params)
        return update(updates, state, params, value=value, grad=updates, value_fn=value_fn, **extra_args)

    return optax.GradientTransformationExtraArgs(solver.init, update_fn)


def squares(setup, residual):
    """A target of the suite with its objective as a :class:`LeastSquares`."""

    @functools.wraps(setup)
    def least_squares(dtype):
        initial, final, objective = setup(dtype)
        loss = LeastSquares(Residual(lambda p, _: residual(p, final), jnp.zeros(1)))
        np.testing.assert_allclose(loss(initial), objective(initial))
        return initial, final, loss

    return least_squares


def distance(params, final):
    return ravel_pytree(params)[0] - ravel_pytree(final)[0]


def valley(params, final):
    del final
    return jnp.stack([1 - params[0], 10 * (params[1] - params[0] ** 2)])


SQUARES = {
    setup: squares(setup, valley if setup is suite._setup_rosenbrock else distance)
    for setup in vars(suite).values()
    if getattr(setup, "__name__", "").startswith("_setup")
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("test", "parameters"), list(cases()))
def test_passes_the_tests_of_optax(test, parameters, name, monkeypatch):
    least_squares = name == "gauss_newton"

    @functools.cache
    def convert(objective):
        return as_least_squares(objective) if least_squares else objective

    def factory(learning_rate: optax.ScalarOrSchedule):
        return adapted(MAKERS[name](learning_rate), convert)

    scan = jax.lax.scan
    shorter = lambda f, init, *args, length=None, **kwargs: scan(
        f, init, *args, length=NUM_STEPS if length == 30_000 else length, **kwargs
    )
    monkeypatch.setattr(jax.lax, "scan", shorter)
    monkeypatch.setattr(suite, "_get_opt_factory", lambda name: factory)
    if least_squares:
        for setup, replacement in SQUARES.items():
            monkeypatch.setattr(suite, setup.__name__, replacement)
        parameters = {
            key: SQUARES.get(value, value) if callable(value) else value for key, value in parameters.items()
        }
    test(suite.ContribTest(), opt_name="sophia", opt_kwargs={"learning_rate": 1.0}, **parameters)


def test_the_suite_is_complete():
    """Of every test of optax's file at least one case is among ours."""
    tests = {name.rstrip("0123456789") for name in dir(suite.ContribTest) if name.startswith("test")}
    assert {case.values[0].__name__ for case in cases()} == tests
