"""Fixtures shared by the tests of the core."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, isgd_adam, isgd_lbfgs


def _for_any_loss(solver):
    """A solver of least-squares problems for losses L ≥ 0 that are none: of the one residual √L."""

    def update(updates, state, params, *, value_fn, **extra_args):
        collects = inspect.Parameter.VAR_KEYWORD in [
            parameter.kind for parameter in inspect.signature(value_fn).parameters.values()
        ]
        data = {k: v for k, v in extra_args.items() if k not in ("value", "grad")} if collects else {}
        root = Residual(lambda params, _: jnp.sqrt(value_fn(params, **data)), np.zeros(1, np.float32))
        return solver.update(updates, state, params, value_fn=LeastSquares(root), **extra_args)

    return optax.GradientTransformationExtraArgs(solver.init, update)


SOLVERS = {
    "sgd": lambda: implicit_step(optax.sgd(0.05), 0.5, max_inner_steps=5),
    "adam": lambda: implicit_step(optax.adam(0.05), 0.5, max_inner_steps=5),
    "lbfgs": lambda: implicit_step(optax.lbfgs(memory_size=3), 0.5, max_inner_steps=5),
    "gauss_newton": lambda: _for_any_loss(implicit_step(gauss_newton(), 0.5, max_inner_steps=5)),
    "isgd_adam": lambda: isgd_adam(0.5, num_implicit_steps=2, num_inner_steps=3, inner_learning_rate=0.05),
    "isgd_lbfgs": lambda: isgd_lbfgs(0.5, num_implicit_steps=2, num_inner_steps=3, memory_size=3),
}


@pytest.fixture(params=SOLVERS)
def solver(request):
    """Every solver of the package, with few inner steps."""
    return SOLVERS[request.param]()


@pytest.fixture(params=["adam", "lbfgs"])
def inner(request):
    """Inner solvers of the two kinds: gradients only, and with a line search on the proximal objective."""
    return optax.adam(0.05) if request.param == "adam" else optax.lbfgs(memory_size=3)


def _make_step(solver, loss, **extra_args):
    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(
            grad, state, params, value=value, grad=grad, value_fn=loss, **extra_args
        )
        return optax.apply_updates(params, updates), state

    return step


@pytest.fixture
def make_step():
    """``make_step(solver, loss)``: a compiled training step ``(params, state) -> (params, state)``."""
    return _make_step


def _trajectory(loss, params, alpha, inner, num_steps, state=None):
    def phi(p, center):
        return loss(p) + jnp.sum((p - center) ** 2) / (2 * alpha)

    @jax.jit
    def step(p, state, center):
        updates, state = inner.update(jax.grad(phi)(p, center), state, p)
        return optax.apply_updates(p, updates), state

    state = inner.init(params) if state is None else state
    points = [params]
    for _ in range(num_steps):
        point, state = step(points[-1], state, params)
        points.append(point)
    return points, [phi(p, params) for p in points], state


@pytest.fixture
def trajectory():
    """The inner loop of Algorithm 1 in plain Python, for parameters that are one array.

    ``trajectory(loss, params, alpha, inner, num_steps)`` gives the points visited, their proximal
    values and the last state of ``inner``.
    """
    return _trajectory


@pytest.fixture
def rosenbrock():
    """A curved valley in any number of dimensions: non-convex and ill-conditioned, minimum at 1."""

    def loss(p):
        return jnp.sum(5 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2)

    return loss


@pytest.fixture
def assert_close():
    """``assert_close(tree, other, rtol=..., atol=...)`` for pytrees of the same structure."""

    def check(actual, desired, **tolerances):
        tolerances = {"rtol": 0, "atol": 0} | tolerances
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerances), actual, desired)

    return check


@pytest.fixture
def dtypes():
    """``dtypes(tree)``: the tree of its leaves' dtypes."""
    return lambda tree: jax.tree.map(lambda leaf: leaf.dtype, tree)


class CountedLoss:
    """A loss that counts how often it is executed, not how often it is traced."""

    def __init__(self, loss):
        self.loss = loss
        self._count = 0

    def __call__(self, params):
        jax.debug.callback(self._increment)
        return self.loss(params)

    def _increment(self):
        self._count += 1

    def executions(self):
        """Executions since the last call."""
        jax.effects_barrier()
        count, self._count = self._count, 0
        return count


@pytest.fixture
def counted():
    """``counted(loss)``: the loss, with a method ``executions()``."""
    return CountedLoss
