"""Gauss–Newton steps and factors of derivatives, and the dense linear algebra to compare them with."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step
from isgd_optax._gauss_newton import _costs
from isgd_optax._gauss_newton._factors import block_factors, leaf_ways
from isgd_optax._gauss_newton._gram import gram
from isgd_optax._gauss_newton._rows import rows


def _curve(p, x):
    """Two residuals per point."""
    fit = p["a"] * jnp.sin(p["b"][0] * x) + p["b"][1] * x**2 - jnp.cos(3 * x)
    return jnp.stack([fit, p["b"][2] * x - jnp.exp(-p["a"] * x)])


@pytest.fixture
def make_problem():
    """``make_problem(num_points)``: a curve to fit with a prior, and parameters to start at."""

    def make(num_points):
        x = jnp.linspace(0.1, 1.0, num_points)
        prior = Residual(lambda p, x: p["a"] - x, jnp.array([1.1]), weight=0.3, name="prior")
        loss = LeastSquares(Residual(_curve, x, weight=2.0, name="curve"), prior)
        return loss, {"a": jnp.asarray(0.5), "b": jnp.array([2.0, 1.0, -0.7])}

    return make


@pytest.fixture
def dense():
    """``dense(loss, params)``: residuals, their Jacobian and the parameters as one vector."""

    def compute(loss, params):
        flat, unravel = ravel_pytree(params)
        return (
            np.asarray(loss.residuals(params)),
            np.asarray(jax.jacobian(lambda v: loss.residuals(unravel(v)))(flat)),
            np.asarray(flat),
        )

    return compute


@pytest.fixture
def damped():
    """``damped(r, J, λ)``: the minimiser d of ‖r + J d‖² + λ‖d‖², by an augmented least-squares solve."""

    def solve(r, jacobian, damping):
        size = jacobian.shape[1]
        matrix = np.vstack([jacobian, np.sqrt(damping) * np.eye(size)])
        return np.linalg.lstsq(matrix, np.concatenate([-r, np.zeros(size)]), rcond=None)[0]

    return solve


@functools.cache
def _compiled_step(momentum, options):
    """A step of these options for every α: they are arguments, so that one compilation serves all of them."""
    inner = gauss_newton(**dict(options))
    solver = lambda alpha: implicit_step(inner, alpha, max_inner_steps=1, momentum=momentum, safeguard=False)

    @jax.jit
    def update(alpha, state, params, loss):
        return solver(alpha).update(jax.grad(loss)(params), state, params, value_fn=loss)

    return solver(1.0).init, update


@pytest.fixture
def one_step():
    """``one_step(loss, params, alpha, **options)``: one inner step, without corrections unless asked for."""

    def step(loss, params, alpha, *, state=None, momentum=None, **options):
        init, update = _compiled_step(momentum, tuple(sorted(({"max_corrections": 0} | options).items())))
        return update(alpha, init(params) if state is None else state, params, loss)

    return step


class Draw:
    """Normal numbers, and the matrices and vectors of layers."""

    def __call__(self, seed, *shape):
        return jnp.asarray(0.6 * np.random.default_rng(seed).normal(size=shape))

    def layers(self, *sizes):
        return [
            {"w": self(i, a, b), "b": self(10 + i, b)} for i, (a, b) in enumerate(itertools.pairwise(sizes))
        ]


@pytest.fixture
def draw():
    """``draw(seed, *shape)`` and ``draw.layers(*sizes)``: parameters and points, the same each time."""
    return Draw()


def _cast(tree, dtype):
    floating = lambda x: eqx.is_array(x) and jnp.issubdtype(x.dtype, jnp.floating)
    return jax.tree.map(lambda x: x.astype(dtype) if floating(x) else x, tree)


@pytest.fixture
def cast():
    """``cast(tree, dtype)``: the tree with its floating arrays in another dtype."""
    return _cast


def _dense_jacobian(fn, params, points):
    leaves, structure = jax.tree.flatten(params)
    floats = [k for k, leaf in enumerate(leaves) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)]

    def residuals(given):
        every = list(leaves)
        for k, leaf in zip(floats, given, strict=True):
            every[k] = leaf
        p = jax.tree.unflatten(structure, every)
        return jax.vmap(lambda x: jnp.ravel(fn(p, x)))(points).reshape(-1)

    parts = dict(zip(floats, jax.jacrev(residuals)([leaves[k] for k in floats]), strict=True))
    num = parts[floats[0]].shape[0]
    return jnp.concatenate(
        [parts[k].reshape(num, -1) if k in parts else jnp.zeros((num, 1)) for k in range(len(leaves))], axis=1
    )


@pytest.fixture
def dense_jacobian():
    """``dense_jacobian(fn, params, points)``: J by ``jax.jacrev`` of all residuals at once.

    Parameters that are no floats have zero columns.
    """
    return _dense_jacobian


@pytest.fixture
def check_factors(draw, monkeypatch):
    """``check_factors(fn, params, dtype)``: J and JJᵀ from factors against the dense Jacobian."""
    monkeypatch.setitem(_costs._ELEMENTWISE_COST, "cpu", -1e9)  # products of factors wherever there are any

    def check(fn, params, dtype):
        params, points = _cast(params, dtype), _cast(draw(99, 5, 2), dtype)

        @jax.jit
        def compute(params, points):
            factors = block_factors(fn, params, points)
            one = jnp.ones((), dtype)
            dense = _dense_jacobian(fn, params, points)
            return rows(factors, one, dtype), gram([factors], [one], dtype), dense

        jacobian, kernel, dense = compute(params, points)
        scale = float(jnp.max(jnp.abs(dense)))
        eps = 100 * jnp.finfo(dtype).eps
        np.testing.assert_allclose(jacobian, dense, rtol=eps, atol=eps * scale)
        np.testing.assert_allclose(kernel, dense @ dense.T, rtol=eps, atol=eps * float(jnp.max(kernel)))
        np.testing.assert_array_equal(kernel, kernel.T)

    return check


@pytest.fixture
def ways():
    """``ways(fn, params)``: how each parameter enters, by "factors", "added", by "rows" or "unused"."""

    def found(fn, params):
        kinds = {"dot_general": "factors", "add": "added", "": "unused"}
        entered = leaf_ways(fn, _cast(params, jnp.float32), jnp.ones(2))
        return ["rows" if way.rows else kinds[way.reason] for way in entered]

    return found
