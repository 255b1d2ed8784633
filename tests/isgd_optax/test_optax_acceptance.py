"""Optax's own tests of contributed optimisers, run on the transformations of this package.

The tests are those of ``optax.contrib._common_test``, with the parameters that optax ships for ``sophia``,
which is handed the objective as ``obj_fn``; only the factory of the optimiser is exchanged, and ``obj_fn``
becomes ``value_fn``. For ``gauss_newton`` the objectives, all of them sums of squares, are written as such.
They run for each of six solvers: implicit steps by SGD, Adam, L-BFGS and Gauss–Newton, ``isgd_adam`` and
``isgd_lbfgs``. What runs, on every target and at every dtype that the suite has:

* ``test_optimizers_accept_extra_args``: unknown extra arguments are ignored, no second compilation;
* ``test_optimizers``: convergence on four targets, and ``optax.tree.map_params``;
* ``test_optimizers_can_be_wrapped_in_inject_hyperparams``;
* ``test_preserve_dtype``, ``test_gradient_accumulation`` (in ``optax.MultiSteps``) and
  ``test_state_shape_dtype_shard_stability`` (in ``lax.cond``);
* ``test_optimizers_accept_learning_rate_schedule_if_type_annotated_as_such``.

What differs, and why:

* ``test_optimizers`` makes 300 steps, not 30,000: each is a whole solve of many gradients;
* ``optax.tree.map_params`` is left out for ``isgd_lbfgs`` alone: it initialises a state from a placeholder
  without leaves, which the line search of ``optax.lbfgs`` in that state cannot (shown at the end);
* ``isgd_lbfgs`` does not run in half precision, as implicit steps by L-BFGS do: it takes longest to compile;
* the suite's wrappers (``mechanize``, ``schedule_free``, ``reduce_on_plateau``) stand around optimisers that
  take no objective, and are no parameters of ``sophia`` either.
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

NUM_STEPS = 300  # of test_optimizers

MAKERS = {
    "sgd": lambda alpha: implicit_step(optax.sgd(1e-3), alpha, max_inner_steps=100),
    "adam": lambda alpha: implicit_step(optax.adam(0.01), alpha, max_inner_steps=200),
    "lbfgs": lambda alpha: implicit_step(optax.lbfgs(memory_size=3), alpha, max_inner_steps=30),
    "gauss_newton": lambda alpha: implicit_step(gauss_newton(), alpha, max_inner_steps=5),
    "isgd_adam": lambda alpha: isgd_adam(
        alpha, num_implicit_steps=200, num_inner_steps=100, inner_learning_rate=0.02
    ),
    "isgd_lbfgs": lambda alpha: isgd_lbfgs(alpha, num_implicit_steps=20, num_inner_steps=10, memory_size=3),
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
    return LeastSquares(Residual(lambda params, _: ravel_pytree(params)[0], np.zeros(1, np.float32)))


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
        loss = LeastSquares(Residual(lambda p, _: residual(p, final), np.zeros(1, np.float32)))
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


def is_half(value):
    return value in ("bfloat16", jnp.float16, jnp.bfloat16)


RUNS = [
    pytest.param(*case.values, name, id=f"{case.id}-{name}")
    for name in MAKERS
    for case in cases()
    if name != "isgd_lbfgs" or not is_half(case.values[1].get("dtype"))
]


@pytest.mark.parametrize(("test", "parameters", "name"), RUNS)
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
    if name == "isgd_lbfgs":
        monkeypatch.setattr(optax.tree, "map_params", lambda solver, fn, state: state)
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


def test_optax_lbfgs_itself_fails_where_a_state_is_mapped():
    solver = optax.lbfgs()
    with pytest.raises(IndexError):
        optax.tree.map_params(solver, lambda leaf: leaf, solver.init(jnp.zeros(2)))


def test_optax_lbfgs_itself_refuses_unknown_arguments():
    solver, loss = optax.lbfgs(), lambda p: jnp.sum(p**2)
    params = jnp.ones(2)
    with pytest.raises(TypeError, match="unknown"):
        solver.update(
            2 * params,
            solver.init(params),
            params,
            value=loss(params),
            grad=2 * params,
            value_fn=loss,
            unknown=1,
        )
