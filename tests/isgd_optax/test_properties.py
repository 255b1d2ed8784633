"""Properties of a step over thousands of drawn cases: trees, dtypes, α, metrics, losses that are none."""

import functools
import resource

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step

pytestmark = pytest.mark.slow
DTYPES = ("float32", "float64", "bfloat16")
# Sizes of the arrays that 6 numbers fill: a vector, scalars beside a matrix, nesting with an empty leaf.
TREES = {
    "vector": lambda v: v,
    "scalars and a matrix": lambda v: {"a": v[0], "b": v[1], "m": v[2:].reshape(2, 2)},
    "nested": lambda v: [(v[:1], {"x": v[1:4].reshape(3, 1)}), (), v[4:]],
}
INNER = {
    "sgd": lambda: optax.sgd(0.1),
    "adam": lambda: optax.adam(0.1),
    "lbfgs": lambda: optax.lbfgs(),
}
METRICS = ("identity", "jacobi", "tree")
FAULTS = {"none": 0.0, "nan": np.nan, "inf": np.inf, "minus inf": -np.inf}
MANY = hypothesis.settings(
    max_examples=5000,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)

numbers = st.floats(-100.0, 100.0, width=32)
vectors = st.lists(numbers, min_size=6, max_size=6)
alphas = st.floats(-12.0, 12.0).map(lambda exponent: 10.0**exponent)


def _metric(name, params):
    return jax.tree.map(lambda x: jnp.full_like(x, 2.0), params) if name == "tree" else name


def _flat(tree):
    return jnp.concatenate([jnp.ravel(x).astype(jnp.float32) for x in jax.tree.leaves(tree)])


@functools.cache
def _step(tree, dtype, inner, metric, safeguard):
    """``step(vector, alpha, curvatures, target, wall, fault)``, compiled once for all numbers."""

    @jax.jit
    def step(vector, alpha, curvatures, target, wall, fault):
        params = jax.tree.map(lambda x: x.astype(dtype), TREES[tree](vector))

        def loss(params):
            x = _flat(params)
            value = jnp.sum(curvatures * (x - target) ** 2) + jnp.sum(jnp.cos(3 * x))
            return jnp.where(x[0] > wall, value + fault, value)

        solver = implicit_step(
            INNER[inner](),
            lambda count: alpha,
            max_inner_steps=5,
            metric=_metric(metric, params),
            safeguard=safeguard,
        )
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, solver.init(params), params, value=value, value_fn=loss)
        new = optax.apply_updates(params, updates)
        return params, new, updates, value, loss(new), state.info

    return step


@MANY
@hypothesis.given(
    tree=st.sampled_from(sorted(TREES)),
    dtype=st.sampled_from(DTYPES),
    inner=st.sampled_from(sorted(INNER)),
    metric=st.sampled_from(METRICS),
    safeguard=st.booleans(),
    vector=vectors,
    alpha=alphas,
    curvatures=st.lists(st.floats(0.0, 1e4, width=32), min_size=6, max_size=6),
    target=vectors,
    wall=numbers,
    fault=st.sampled_from(sorted(FAULTS)),
)
def _check_step(tree, dtype, inner, metric, safeguard, vector, alpha, curvatures, target, wall, fault):
    step = _step(tree, dtype, inner, metric, safeguard)
    arrays = [jnp.asarray(x, jnp.float32) for x in (vector, alpha, curvatures, target, wall, FAULTS[fault])]
    params, new, updates, value, after, info = step(*arrays)
    # No update that is no number, whatever the loss is, and the parameters' own structure and dtypes.
    assert jax.tree.structure(new) == jax.tree.structure(params)
    for before, update in zip(jax.tree.leaves(params), jax.tree.leaves(updates), strict=True):
        assert update.dtype == before.dtype
        assert bool(jnp.isfinite(update).all())
    if not np.isfinite(value):
        assert not any(np.any(np.asarray(u, np.float32)) for u in jax.tree.leaves(updates))
    elif safeguard:
        # No ascent of the loss beyond rounding; a step that is not accepted is none.
        scale = abs(float(value)) + float(jnp.sum(arrays[2] * (_flat(params) - arrays[3]) ** 2))
        # The sum of parameters and update is rounded once more, and the loss there is another.
        ulp = float(jnp.finfo(dtype).eps) * jnp.maximum(abs(_flat(params)), abs(_flat(new)))
        rounding = jnp.sum(arrays[2] * (2 * abs(_flat(new) - arrays[3]) * ulp + ulp**2) + 3 * ulp)
        assert float(after) <= float(value) + 1e-5 * scale + float(rounding) + 1e-3
        if not info.accepted:
            assert not any(np.any(np.asarray(u, np.float32)) for u in jax.tree.leaves(updates))


def test_a_step_is_finite_and_no_ascent(x64):
    _check_step()


@functools.cache
def _least_squares(num_points, dtype, linear_solver, metric):
    """A Gauss–Newton step on a loss with weights and points given, N residuals and 6 parameters."""

    @jax.jit
    def step(vector, alpha, points, weights):
        params = jax.tree.map(lambda x: x.astype(dtype), TREES["scalars and a matrix"](vector))

        def residual(params, x):
            v = _flat(params).astype(x.dtype)
            return jnp.tanh(v[0] * x + v[1]) * v[2] + v[3] * jnp.exp(-jnp.square(v[4] * x)) + 0.1 * v[5] - x

        loss = LeastSquares(Residual(residual, points.astype(dtype), weights.astype(dtype)))
        solver = implicit_step(
            gauss_newton(linear_solver=linear_solver), lambda count: alpha, max_inner_steps=2, metric=metric
        )
        value, grad = jax.value_and_grad(loss)(params)
        updates, _ = solver.update(grad, solver.init(params), params, value=value, value_fn=loss)
        return params, updates, value, loss(optax.apply_updates(params, updates))

    return step


@MANY
@hypothesis.given(
    num_points=st.sampled_from([1, 5, 6, 17]),  # below, at and above the number of parameters
    dtype=st.sampled_from(DTYPES),
    linear_solver=st.sampled_from(["dual", "primal", "qr", "cg"]),
    metric=st.sampled_from(["identity", "jacobi"]),
    vector=vectors,
    alpha=alphas,
    repeated=st.integers(1, 17),
    zero_weights=st.integers(0, 17),
    seed=st.integers(0, 1000),
)
def _check_least_squares(
    num_points, dtype, linear_solver, metric, vector, alpha, repeated, zero_weights, seed
):
    random = np.random.default_rng(seed)
    points = random.uniform(-2, 2, num_points)[np.arange(num_points) % min(repeated, num_points)]
    weights = np.where(np.arange(num_points) < zero_weights, 0.0, random.uniform(0, 10, num_points))
    step = _least_squares(num_points, dtype, linear_solver, metric)
    arrays = [jnp.asarray(x, jnp.float32) for x in (vector, alpha, points, weights)]
    params, updates, value, after = step(*arrays)
    for before, update in zip(jax.tree.leaves(params), jax.tree.leaves(updates), strict=True):
        assert update.dtype == before.dtype
        assert bool(jnp.isfinite(update).all())
    assert np.isfinite(after)
    precision = 5e-2 if dtype == "bfloat16" else 1e-5
    assert float(after) <= float(value) * (1 + precision) + 1e-6


def test_a_gauss_newton_step_is_finite_and_no_ascent(x64):
    _check_least_squares()


def test_memory_stays_flat_over_a_hundred_thousand_steps():
    """Outer steps one call at a time, as in a plain loop, with a new loss object in each."""
    solver = implicit_step(gauss_newton(), 1.0, max_inner_steps=1)
    points = jnp.linspace(-1, 1, 8)

    @jax.jit
    def step(params, state, shift):
        loss = LeastSquares(Residual(lambda p, x: p[0] * x + p[1] - jnp.sin(x + shift), points))
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        return optax.apply_updates(params, updates), state

    params = jnp.zeros(2)
    state = solver.init(params)
    sizes = []
    for i in range(100_000):
        params, state = step(params, state, 1e-3 * (i % 100))
        if i % 10_000 == 9_999:
            jax.block_until_ready(params)
            sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert int(state.count) == 100_000
    assert bool(jnp.isfinite(params).all())
    assert sizes[-1] - sizes[0] < 5000  # KiB, of the largest size so far
