"""What the jets' own tests leave out: every activation, saturation, numpy constants, transformations."""

import folx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinns import MLP, FourierMLP, ModifiedMLP, gradient, laplacian, second_derivatives
from pinns._jet import Jet

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "nn.tanh": jax.nn.tanh,
    "sin": jnp.sin,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "cube": lambda z: z**3,
}
POINTS = np.random.default_rng(0).normal(size=(5, 3))


def tolerance(dtype):
    return 1e-11 if dtype == np.float64 else 2e-4


def hessian_trace(u, x):
    return jnp.trace(jax.hessian(lambda z: u(z)[0])(x))


def deep_network(kind, dtype):
    options = {"rngs": nnx.Rngs(4), "dtype": dtype}
    if kind == "mlp":
        return MLP(3, [10] * 6, 1, **options)
    if kind == "fourier":
        return FourierMLP(3, [10] * 3, 1, num_features=6, scale=0.4, **options)
    return ModifiedMLP(3, [10] * 4, 1, **options)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_laplacian_is_the_trace_of_the_hessian_for_every_activation(activation, depth, dtype):
    model = MLP(3, [7] * depth, 1, activation=ACTIVATIONS[activation], dtype=dtype, rngs=nnx.Rngs(2))
    points = jnp.asarray(POINTS, dtype)

    @jax.jit
    def both(points):
        ours = jax.vmap(lambda x: (laplacian(model, x)[2][0], second_derivatives(model, x)[2][:, 0]))(points)
        hessians = jax.vmap(jax.hessian(lambda x: model(x)[0]))(points)
        return ours, hessians

    (lap, seconds), hessians = both(points)
    options = {"rtol": tolerance(dtype), "atol": tolerance(dtype)}
    np.testing.assert_allclose(lap, jnp.trace(hessians, axis1=1, axis2=2), **options)
    np.testing.assert_allclose(seconds, jnp.diagonal(hessians, axis1=1, axis2=2), **options)


@pytest.mark.parametrize("kind", ["mlp", "fourier", "modified"])
def test_deep_networks_agree_with_folx_in_both_precisions(kind, dtype):
    model = deep_network(kind, dtype)
    points = jnp.asarray(POINTS, dtype)
    value, first, lap = jax.jit(jax.vmap(lambda x: laplacian(model, x)))(points)
    with jax.numpy_rank_promotion("allow"):
        theirs = jax.jit(jax.vmap(lambda x: folx.forward_laplacian(model)(x)))(points)
    scale = float(jnp.max(jnp.abs(theirs.laplacian)))
    close = lambda a, b: np.testing.assert_allclose(
        a, b, rtol=tolerance(dtype), atol=tolerance(dtype) * scale
    )
    close(value, theirs.x)
    close(first, theirs.jacobian.dense_array.reshape(first.shape))
    close(lap, theirs.laplacian)


def test_value_and_first_derivatives_agree_between_the_three_functions(dtype):
    model = deep_network("modified", dtype)
    x = jnp.asarray(POINTS[0], dtype)
    all_three = jax.jit(lambda x: [f(model, x)[:2] for f in (gradient, laplacian, second_derivatives)])
    expected_value, expected_first = jax.jit(jax.value_and_grad(lambda z: model(z)[0]))(x)
    for value, first in all_three(x):
        np.testing.assert_allclose(value[0], expected_value, rtol=tolerance(dtype), atol=tolerance(dtype))
        np.testing.assert_allclose(first[:, 0], expected_first, rtol=tolerance(dtype), atol=tolerance(dtype))


def test_one_point_under_jit_is_a_row_of_the_batch_under_vmap(x64):
    model = deep_network("mlp", jnp.float64)
    points = jnp.asarray(POINTS)
    batch = jax.jit(jax.vmap(lambda x: laplacian(model, x)))(points)
    single = jax.jit(lambda x: laplacian(model, x))
    for i, x in enumerate(points):
        for got, expected in zip(single(x), batch, strict=True):
            np.testing.assert_allclose(got, expected[i], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("scale", [5.0, 100.0])
def test_saturated_tanh_networks_stay_accurate_and_finite(scale, x64):
    exact = MLP(3, [8, 8], 1, dtype=jnp.float64, rngs=nnx.Rngs(2))
    points = scale * jnp.asarray(POINTS)
    graphdef, params = nnx.split(exact)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)

    def loss(params, points):
        u = nnx.merge(graphdef, params)
        return jnp.mean(jnp.square(jax.vmap(lambda x: laplacian(u, x)[2][0] + 1)(points)))

    reference = jax.jit(jax.vmap(lambda x: hessian_trace(exact, x)))(points)
    ours = jax.jit(jax.vmap(lambda x: laplacian(nnx.merge(graphdef, single), x)[2][0]))
    np.testing.assert_allclose(ours(points.astype(jnp.float32)), reference, rtol=2e-3, atol=5e-5)
    grads = jax.jit(jax.grad(loss))(single, points.astype(jnp.float32))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize(
    "constant",
    [2, 2.5, np.float64(2.5), np.array([2.0, -3.0]), "jax"],
    ids=["int", "float", "numpy scalar", "numpy array", "jax array"],
)
def test_constants_may_stand_on_either_side_of_a_jet(constant, x64):
    c = jnp.array([2.0, -3.0]) if isinstance(constant, str) else constant
    x = jnp.array([0.4, -1.3])
    for f in (
        lambda x: c * x + (x * x) * c,
        lambda x: (c + x) * (x + c),
        lambda x: (c - x * x) * (x - c),
    ):
        value, first = f(x), jax.jacobian(f)(x).T
        pure = jnp.diagonal(jax.hessian(f)(x), axis1=1, axis2=2).T
        expected = {"none": pure[:0], "laplacian": pure.sum(axis=0, keepdims=True), "diagonal": pure}
        for second, seconds in expected.items():
            jet = f(Jet.of(x, second))
            assert isinstance(jet, Jet)
            np.testing.assert_allclose(jet.value, value, rtol=1e-12)
            np.testing.assert_allclose(jet.first, first, rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(jet.seconds, seconds, rtol=1e-12, atol=1e-13)


def test_a_function_that_knows_no_jets_may_be_discontinuous_or_of_several_outputs(x64):
    u = lambda x: jnp.stack([jnp.where(x[0] > 0, x[0] ** 3 * x[1], 0.0), jnp.prod(x), jnp.sum(x**4)])
    x = jnp.array([2.0, 3.0])
    value, first, lap = laplacian(u, x)
    np.testing.assert_allclose(value, [24.0, 6.0, 97.0])
    np.testing.assert_allclose(first, [[36.0, 3.0, 32.0], [8.0, 2.0, 108.0]])
    np.testing.assert_allclose(lap, [36.0, 0.0, 12 * (4 + 9)])
