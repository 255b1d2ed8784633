import folx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinns import MLP, FourierMLP, ModifiedMLP, gradient, laplacian, second_derivatives
from pinns._jet import Jet, activate


def networks(dtype, dim=2):
    rngs = nnx.Rngs(0)
    options = {"rngs": rngs, "dtype": dtype}
    return {
        "tanh": MLP(dim, [12, 9, 7], 2, **options),
        "sin": MLP(dim, [8] * 2, 1, activation=jnp.sin, **options),
        "gelu": MLP(dim, [8], 3, activation=jax.nn.gelu, **options),
        "linear": MLP(dim, [], 1, **options),
        "fourier": FourierMLP(dim, [8, 8], 1, num_features=5, scale=0.5, **options),
        "modified": ModifiedMLP(dim, [8] * 3, 2, **options),
    }


@pytest.fixture(params=["tanh", "sin", "gelu", "linear", "fourier", "modified"])
def network(request, dtype):
    model = networks(dtype)[request.param]
    for leaf in jax.tree.leaves(model, is_leaf=lambda x: isinstance(x, nnx.Param)):
        if isinstance(leaf, nnx.Param) and leaf[...].ndim == 1:  # biases are zero at the start
            leaf[...] = 0.1 * jnp.arange(1, 1 + leaf[...].size, dtype=dtype) / leaf[...].size
    return model


def tolerance(dtype):
    return 2e-12 if dtype == np.float64 else 1e-4


def reference(u, x):
    """Value (m,), first (d, m) and pure second derivatives (d, m) by nested reverse-mode autodiff."""
    first = jnp.moveaxis(jax.jacrev(u)(x), -1, 0)
    second = jnp.moveaxis(jnp.diagonal(jax.jacrev(jax.jacrev(u))(x), axis1=-2, axis2=-1), -1, 0)
    return u(x), first, second


@pytest.mark.parametrize("hidden_as_function", [False, True], ids=["jets", "any function"])
def test_derivatives_are_those_of_nested_autodiff(network, dtype, hidden_as_function):
    u = (lambda x: network(x)) if hidden_as_function else network
    x = jnp.array([0.3, -0.8], dtype)
    value, first, second = jax.jit(lambda x: reference(network, x))(x)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance(dtype), atol=tolerance(dtype))
    got = jax.jit(lambda x: (gradient(u, x), laplacian(u, x), second_derivatives(u, x)))(x)
    for (v, d, *_), _name in zip(got, ("gradient", "laplacian", "second"), strict=True):
        close(v, value)
        close(d, first)
    close(got[1][2], second.sum(axis=0))
    close(got[2][2], second)
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype(dtype)}


@pytest.mark.long
def test_laplacian_is_that_of_folx(x64):
    model = networks(jnp.float64, dim=3)["tanh"]
    points = jax.random.normal(jax.random.key(1), (5, 3), jnp.float64)
    ours = jax.vmap(lambda x: laplacian(model, x)[2])(points)
    with jax.numpy_rank_promotion("allow"):
        theirs = jax.vmap(lambda x: folx.forward_laplacian(model)(x).laplacian)(points)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_gradient_of_a_loss_by_the_parameters(network, dtype):
    graphdef, params, rest = nnx.split(network, nnx.Param, ...)
    points = jax.random.uniform(jax.random.key(0), (6, 2), dtype)

    def loss(params, lap):
        u = nnx.merge(graphdef, params, rest)
        return jnp.mean(jnp.square(jax.vmap(lambda x: lap(u, x))(points) + 1))

    ours = jax.jit(jax.grad(lambda p: loss(p, lambda u, x: laplacian(u, x)[2])))(params)
    theirs = jax.jit(jax.grad(lambda p: loss(p, lambda u, x: reference(u, x)[2].sum(axis=0))))(params)
    scale = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(theirs)) + 1
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=5 * tolerance(dtype) * scale)


@pytest.mark.parametrize("z", [-30.0, -8.0, 1e-8, 8.0, 30.0])
def test_second_derivative_of_tanh_is_right_where_it_saturates(z):
    jet = activate(jnp.tanh, Jet.of(jnp.array([z], jnp.float32), "diagonal"))
    exact = -2 * np.tanh(z) * (1 - np.tanh(z) ** 2)
    np.testing.assert_allclose(jet.seconds[0, 0], exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("second", ["none", "laplacian", "diagonal"])
def test_arithmetic_of_jets(second, x64):
    x = jnp.array([0.4, -1.3])
    c = jnp.array([2.0, 5.0])

    def f(x):
        y = 2.0 - x * x * c + c * x
        z = activate(jnp.sin, y) - 0.5
        return (-z) * y + 3.0 - x

    jet = f(Jet.of(x, second))
    value, first, seconds = reference(f, x)
    np.testing.assert_allclose(jet.value, value, rtol=1e-12)
    np.testing.assert_allclose(jet.first, first, rtol=1e-12)
    expected = {"none": seconds[:0], "laplacian": seconds.sum(axis=0, keepdims=True), "diagonal": seconds}
    np.testing.assert_allclose(jet.seconds, expected[second], rtol=1e-12)
