"""Derivatives of any order and along any directions, against nested autodiff."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from isgd_optax import LeastSquares, Residual, diagnostics
from pinns import (
    MLP,
    FourierMLP,
    ModifiedMLP,
    PeriodicMLP,
    biharmonic,
    derivatives,
    gradient,
    hessian,
    laplacian,
    mixed_derivative,
    second_derivatives,
)

NETWORKS = {
    "tanh": lambda **o: MLP(2, [9, 7], 2, **o),
    "sin": lambda **o: MLP(2, [8, 8], 1, activation=jnp.sin, **o),
    "cos": lambda **o: MLP(2, [8, 8], 1, activation=jnp.cos, **o),
    "gelu": lambda **o: MLP(2, [8, 6], 1, activation=jax.nn.gelu, **o),
    "periodic": lambda **o: PeriodicMLP((2.0, 3.0), [8], 1, **o),
    "fourier": lambda **o: FourierMLP(2, [8], 1, num_features=4, scale=0.3, **o),
    "modified": lambda **o: ModifiedMLP(2, [8, 8], 2, **o),
}


def network(name, dtype):
    return NETWORKS[name](rngs=nnx.Rngs(0), dtype=dtype)


def reference(u, x, direction, order):
    """The derivative of this order along one direction, by reverse-mode derivatives of t ↦ u(x + tv)."""
    along = lambda t: u(x + t * direction)
    for _ in range(order):
        along = jax.jacfwd(along)
    return along(jnp.zeros((), x.dtype))


@pytest.fixture
def close(dtype):
    tolerance = 1e-10 if dtype == np.float64 else 3e-3
    return lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("own", [True, False], ids=["jets", "any function"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in ("cos", "gelu", "fourier"))) for n in NETWORKS]
)
def test_derivatives_up_to_order_four_are_those_of_nested_autodiff(name, own, dtype, close):
    model = network(name, dtype)
    u = model if own else (lambda x: model(x))
    x = jnp.array([0.3, -0.8], dtype)
    directions = np.array([[1.0, 0.0], [0.6, -1.0], [0.0, 1.0]])
    got = jax.jit(lambda x: derivatives(u, x, order=4, directions=directions))(x)
    close(got[0], model(x))
    every = lambda x, order: jnp.stack(
        [reference(model, x, jnp.asarray(v, dtype), order) for v in directions]
    )
    expected = jax.jit(lambda x: [every(x, order) for order in range(1, 5)])(x)
    for order in range(1, 5):
        close(got[order], expected[order - 1])
    assert {leaf.dtype for leaf in got} == {np.dtype(dtype)}


@pytest.mark.parametrize("own", [True, False], ids=["jets", "any function"])
@pytest.mark.parametrize("dim", [2, 3])
def test_hessian_and_biharmonic_are_those_of_nested_autodiff(own, dim, dtype, close):
    model = MLP(dim, [9, 7], 2, rngs=nnx.Rngs(0), dtype=dtype)
    u = model if own else (lambda x: model(x))
    x = jnp.linspace(-0.4, 0.7, dim, dtype=dtype)
    value, first, second = jax.jit(lambda x: hessian(u, x))(x)
    expected = jax.jit(lambda x: (model(x), jax.jacfwd(model)(x), jax.hessian(model)(x)))(x)
    close(value, expected[0])
    close(first, expected[1].T)
    close(second, jnp.moveaxis(expected[2], 0, -1))
    trace = lambda f: lambda x: jnp.trace(jax.hessian(f)(x), axis1=-2, axis2=-1)
    close(jax.jit(lambda x: biharmonic(u, x))(x), jax.jit(trace(trace(model)))(x))


@pytest.mark.parametrize("own", [True, False], ids=["jets", "any function"])
@pytest.mark.parametrize("axes", [(0, 1), (2, 0), (-1, 1)])
def test_a_mixed_derivative_is_that_of_nested_autodiff(own, axes, dtype, close):
    model = MLP(3, [9, 7], 2, rngs=nnx.Rngs(0), dtype=dtype)
    u = model if own else (lambda x: model(x))
    x = jnp.array([-0.4, 0.1, 0.7], dtype)
    value, first, mixed = jax.jit(lambda x: mixed_derivative(u, x, axes))(x)
    close(value, model(x))
    close(first, jax.jacfwd(model)(x).T[jnp.array(axes)])
    close(mixed, jax.hessian(model)(x)[:, axes[0], axes[1]])


@pytest.mark.parametrize("axes", [(0, 0), (0, -2), (0,), (0, 1, 1), (0, 2)])
def test_a_mixed_derivative_needs_two_coordinates(axes):
    with pytest.raises(ValueError, match="numbers"):
        mixed_derivative(lambda x: x, jnp.zeros(2), axes)


@pytest.mark.parametrize("own", [True, False], ids=["jets", "any function"])
def test_only_the_coordinates_asked_for_are_propagated(own, dtype, close):
    model = network("tanh", dtype)
    u = model if own else (lambda x: model(x))
    x = jnp.array([0.3, -0.8], dtype)
    found = lambda x: (
        second_derivatives(u, x),
        second_derivatives(u, x, axes=(1,)),
        gradient(u, x, axes=(0,))[1],
        laplacian(u, x, axes=(0,))[2],
        derivatives(u, x, order=2, directions=(1, 0))[2],
    )
    (value, first, second), one, slope, bend, turned = jax.jit(found)(x)
    for got, expected in zip(one, (value, first[1:], second[1:]), strict=True):
        close(got, expected)
    close(slope, first[:1])
    close(bend, second[0])
    close(turned, second[::-1])


@pytest.mark.parametrize("own", [True, False], ids=["jets", "any function"])
def test_of_a_hessian_and_a_biharmonic_too(own, dtype, close):
    model = MLP(3, [5], 2, rngs=nnx.Rngs(0), dtype=dtype)
    u = model if own else (lambda x: model(x))
    x, t = jnp.array([0.3, -0.8], dtype), jnp.array([0.4], dtype)
    at_time = lambda x: model(jnp.concatenate([t, x]))  # of (t, x, y) the plane of x and y
    point = jnp.concatenate([t, x])
    value, first, second = jax.jit(lambda point: hessian(u, point, axes=(2, 1)))(point)
    expected = jax.jit(lambda x: (at_time(x), jax.jacfwd(at_time)(x), jax.hessian(at_time)(x)))(x)
    close(value, expected[0])
    close(first, expected[1].T[::-1])
    close(second, jnp.moveaxis(expected[2], 0, -1)[::-1, ::-1])
    bent = lambda u, axes: jax.jit(lambda x: biharmonic(u, x, axes=axes))
    close(bent(u, (1, 2))(point), bent(at_time, None)(x))
    with pytest.raises(ValueError, match="numbers below 3"):
        biharmonic(u, point, axes=(1, 3))


def test_one_stream_less_for_each_coordinate_left_out():
    model = MLP(3, [16], 1, rngs=nnx.Rngs(0))
    flops = lambda axes: (
        jax.jit(lambda x: second_derivatives(model, x, axes=axes)).lower(jnp.ones(3)).cost_analysis()["flops"]
    )
    assert flops((0,)) < 0.6 * flops(None)


@pytest.mark.parametrize("order", [3, 4])
def test_parameter_gradients_are_those_of_nested_autodiff(order, dtype, close):
    model = network("tanh", dtype)
    graphdef, params = nnx.split(model)
    x, v = jnp.array([0.3, -0.8], dtype), jnp.array([1.0, 0.5], dtype)

    def loss(derivative):
        return jax.jit(jax.grad(lambda p: jnp.sum(derivative(nnx.merge(graphdef, p)) ** 2)))(params)

    got = loss(lambda u: derivatives(u, x, order=order, directions=v[None])[order])
    expected = loss(lambda u: reference(u, x, v, order))
    jax.tree.map(close, got, expected)


def residual(graphdef, kind, params, x):
    u = nnx.merge(graphdef, params)
    if kind == "third":
        return derivatives(u, x, order=3, directions=(0,))[3][0]
    if kind == "fourth":
        return derivatives(u, x, order=4, directions=(0,))[4][0]
    return hessian(u, x)[2][0, 1] if kind == "mixed" else biharmonic(u, x)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", ["third", "fourth", "mixed", "biharmonic"])
def test_the_kernel_is_read_by_layers(kind):
    graphdef, params = nnx.split(network("tanh", jnp.float64))
    points = jax.random.uniform(jax.random.key(0), (6, 2), jnp.float64)
    loss = LeastSquares(Residual(functools.partial(residual, graphdef, kind), points))
    layers = diagnostics.gram_matrix(loss, params, kernel="layers")
    np.testing.assert_allclose(
        layers, diagnostics.gram_matrix(loss, params, kernel="rows"), rtol=1e-9, atol=1e-11 * layers.max()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, "order must be at least 1"),
        ({"order": 1, "directions": (2,)}, "numbers below 2"),
        ({"order": 1, "directions": np.ones((3, 3))}, r"an array of shape \(D, 2\)"),
        ({"order": 1, "directions": ()}, r"an array of shape \(D, 2\)"),
    ],
)
def test_unfit_input_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        derivatives(lambda x: x, jnp.ones(2), **options)
