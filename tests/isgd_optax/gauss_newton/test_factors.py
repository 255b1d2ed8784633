"""Factors of any residual's derivatives against its dense Jacobian: a zoo of networks and derivatives."""

import itertools

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pinns
from isgd_optax._gauss_newton import _costs
from isgd_optax._gauss_newton._factors import block_factors, leaf_ways
from isgd_optax._gauss_newton._gram import gram
from isgd_optax._gauss_newton._rows import rows

NUM_POINTS = 5
H = 4  # width


def normal(seed, *shape):
    return jnp.asarray(0.6 * np.random.default_rng(seed).normal(size=shape))


def layers(*sizes):
    return [
        {"w": normal(i, a, b), "b": normal(10 + i, b)} for i, (a, b) in enumerate(itertools.pairwise(sizes))
    ]


def mlp(p, x, activation=jnp.tanh):
    for layer in p[:-1]:
        x = activation(x @ layer["w"] + layer["b"])
    return x @ p[-1]["w"] + p[-1]["b"]


def laplacian(u):
    return lambda x: jnp.trace(jax.hessian(u)(x))


def along_first(u):
    return lambda x: jax.jvp(u, (x,), (jnp.zeros_like(x).at[0].set(1),))[1]


@jax.custom_jvp
def odd_rule(x):
    return jnp.sin(x)


odd_rule.defjvp(lambda primals, tangents: (odd_rule(*primals), 0.5 * tangents[0]))


@jax.custom_vjp
def odd_pullback(x, w):
    return jnp.sin(x @ w)


odd_pullback.defvjp(lambda x, w: (odd_pullback(x, w), (x, w)), lambda r, g: (g @ r[1].T, 3 * r[1]))


@jax.custom_jvp
def odd_layer(x, w):
    return x @ w


odd_layer.defjvp(lambda primals, t: (odd_layer(*primals), t[0] @ primals[1] + 2 * primals[0] @ t[1]))


# What a case expects of each parameter: a matrix in products, an added vector, rows, or no use at all.
F, A, R, U = "factors", "added", "rows", "unused"
CASES = {}


def case(params, expected):
    """Adds ``function(params, point)`` to the zoo; ``params`` is a function without arguments."""
    return lambda function: CASES.setdefault(function.__name__, (function, params, expected))


MLP = lambda: layers(2, H, H, 1)
MLP_WAYS = [A, F] * 3


@case(MLP, MLP_WAYS)
def value(p, x):
    return mlp(p, x)


@case(MLP, MLP_WAYS)
def first_derivatives_squared(p, x):
    return jnp.sum(jax.grad(lambda z: mlp(p, z)[0])(x) ** 2) - 1


@case(MLP, MLP_WAYS)
def laplacian_by_hessian(p, x):
    return laplacian(lambda z: mlp(p, z)[0])(x)


@case(lambda: layers(2, H, 2), [A, F, A, F])
def system_with_mixed_derivatives(p, x):
    h = jax.hessian(lambda z: mlp(p, z))(x)
    return jnp.stack([h[0, 1, 0], h[1, 0, 0] + h[1, 1, 1], mlp(p, x)[1]])


@case(lambda: layers(2, H, 1), [A, F, A, F])
def third_derivative(p, x):
    u = lambda z: mlp(p, z)[0]
    return jax.grad(u)(x)[1] + 6 * u(x) * along_first(u)(x) + along_first(along_first(along_first(u)))(x)


@case(lambda: layers(2, H, 1), [A, F, A, F])
def taylor_mode(p, x):
    from jax.experimental.jet import jet

    _, (u1, u2) = jet(lambda z: mlp(p, z, jnp.sin)[0], (x,), ((jnp.ones(2, x.dtype), jnp.zeros(2, x.dtype)),))
    return u1 * u2


@case(lambda: layers(2, H, 1), [A, F, A, F])
def relu_network(p, x):
    return mlp(p, x, jax.nn.relu)


@case(lambda: layers(2, H, 1), [A, F, A, F])
def sine_network_on_fourier_features(p, x):
    z = x @ jnp.asarray([[1.0], [2.0]], x.dtype)
    return mlp(p, jnp.concatenate([jnp.sin(z), jnp.cos(z)]), lambda y: jnp.sin(3 * y))


@case(lambda: {"u": layers(2, H)[0], "v": layers(2, H)[0], "net": layers(2, H, H, H)}, [A, F] * 5)
def gated_network(p, x):
    u, v = (jnp.tanh(x @ p[k]["w"] + p[k]["b"]) for k in "uv")
    for layer in p["net"]:
        z = jnp.tanh(x @ layer["w"] + layer["b"])
        x = z * u + (1 - z) * v
    return x[0]


@case(lambda: layers(2, H, H, H), [A, F] * 3)
def residual_network_at_two_points(p, x):
    x = jnp.stack([x, 2 * x])
    x = x @ p[0]["w"] + p[0]["b"][None]
    for layer in p[1:]:
        x = x + jnp.tanh(x @ layer["w"] + layer["b"][None])
    return x[:, 0]


@case(lambda: layers(2, H, 1), [A, F, A, F])
def integral_over_nodes(p, x):
    nodes = jnp.linspace(0.0, 1.0, 21, dtype=x.dtype)
    return jnp.mean(jax.vmap(lambda t: mlp(p, t * x)[0] ** 2)(nodes))


@case(lambda: {"i": normal(0, 2, H), "o": normal(1, H, 1), "w": normal(2, H, H)}, [F, F, F])
def matrix_used_three_times_once_transposed(p, x):
    x = jnp.tanh(x @ p["i"])
    for w in (p["w"], p["w"], p["w"].T):
        x = jnp.tanh(x @ w)
    return x @ p["o"]


@case(lambda: {"a": normal(0, H, 2), "b": normal(1, 2, H), "w": normal(2, 2, H)}, [F, F, F])
def product_of_parameters(p, x):
    return x @ p["w"] @ (p["a"] @ p["b"]) @ (p["a"] @ p["b"]).T


@case(lambda: {"net": layers(2, H, 1), "nu": jnp.asarray(0.3)}, [A, F, A, F, R])
def unknown_coefficient(p, x):
    return p["nu"] * laplacian(lambda z: mlp(p["net"], z)[0])(x)


@case(lambda: {"c": normal(3), "w": normal(0, 2, H), "v": normal(1, H, H)}, [R, F, F])
def matrices_times_scalars(p, x):
    return jnp.sin(x @ (-p["w"] / 2**0.5)) @ (p["c"] * p["v"]).T


@case(lambda: {"g": normal(0, H), "v": normal(1, 2, H), "o": normal(2, H)}, [R, F, R])
def weight_normalised_layer(p, x):
    norm = jnp.linalg.norm(p["v"], axis=0)
    return jnp.tanh(x @ (p["v"] * (p["g"] / norm)[None])) @ p["o"]


@case(lambda: {k: normal(i, 2 if k == "a" else H, 2 * H) for i, k in enumerate("abcd")}, [F, F, R, R])
def slices_of_matrices(p, x):
    z, y = (jnp.tanh(x @ w) for w in jnp.split(p["a"], 2, axis=1))
    strided, small = p["c"][:, ::2], p["d"][2:, 1:3]  # no block of rows and columns; too little of it
    return (z[1:] * y[1:]) @ p["b"][1:, 2:6] @ strided @ small.repeat(2, axis=0)


@case(lambda: {"q": normal(0, 2, 2, H), "o": normal(1, 2, H, 1), "f": normal(2, 6 * H)}, [R, F, F])
def reshaped_matrices(p, x):
    heads = jnp.einsum("d,dhk->hk", x, p["q"])
    y = jnp.einsum("hk,hko->o", jnp.tanh(heads), p["o"])
    flat = p["f"]  # holds a matrix and what is left over
    return (
        y
        + jnp.sum(jnp.sin(x @ flat[: 2 * H].reshape(2, H))) * flat[-1]
        + jnp.sum(x @ flat[2 * H :].reshape(H, 4)[:2])
    )


@case(lambda: {"w": normal(0, 3, 2, H)}, [R])
def ensemble(p, x):
    return jnp.sum(jax.vmap(lambda w: jnp.tanh(x @ w))(p["w"]), axis=0)


@case(lambda: {"a": normal(0, H, H), "b": normal(1, H), "i": normal(2, 2, H)}, [R, R, F])
def loops_and_branches(p, x):
    y = x @ p["i"]
    y = jax.lax.fori_loop(0, 2, lambda i, y: jnp.tanh(y @ p["a"]), y)
    y, _ = jax.lax.scan(lambda y, z: (jnp.sin(y + z * p["b"]), None), y, jnp.arange(2.0, dtype=x.dtype))
    return jax.lax.cond(x[0] > 0, lambda y: y @ p["a"], jnp.cos, y)


@case(lambda: {"a": normal(0, 2, H), "w": normal(1, 3, H, H)}, [F, R])
def scan_over_layers(p, x):
    return jax.lax.scan(lambda y, w: (jnp.tanh(y @ w), None), x @ p["a"], p["w"])[0]


@case(lambda: layers(2, H, 1), [A, F, A, F])
def rematerialised_and_compiled(p, x):
    block = jax.checkpoint(lambda layer, z: jnp.tanh(z @ layer["w"] + layer["b"]))
    last = jax.jit(lambda layer, z: z @ layer["w"] + layer["b"])
    return laplacian(lambda z: last(p[1], block(p[0], z))[0])(x)


@case(lambda: layers(2, H, H, H), [A, F, U, R, A, R])
def rules_of_their_own(p, x):
    y = odd_rule(x @ p[0]["w"] + p[0]["b"])
    y = odd_pullback(y, p[1]["w"])
    return odd_layer(y, p[2]["w"]) + p[2]["b"]


@case(lambda: {"table": normal(0, 6, H), "w": normal(1, H, 1), "x": normal(2, 2, 1)}, [R, F, F])
def embedding(p, x):
    return p["table"][(jnp.abs(10 * x[0]).astype(int) % 6)] @ p["w"] + x @ p["x"]


@case(lambda: {"q": normal(0, 2, H), "k": normal(1, 2, H), "v": normal(2, 2, H)}, [F, F, F])
def attention(p, x):
    z = jnp.outer(jnp.array([1.0, -0.5, 2.0], x.dtype), x)
    q, k, v = (z @ p[name] for name in "qkv")
    return (jax.nn.softmax(q @ k.T) @ v)[0]


@case(lambda: {"i": normal(0, 2, 3 * H), "h": normal(1, H, 3 * H), "b": normal(2, 3 * H)}, [A, F, F])
def gated_recurrent_unit(p, x):
    h = jnp.zeros(H, x.dtype)
    for z in (x, -2 * x):
        (ri, zi, ni), (rh, zh, nh) = jnp.split(z @ p["i"] + p["b"], 3), jnp.split(h @ p["h"], 3)
        n, z = jnp.tanh(ni + jax.nn.sigmoid(ri + rh) * nh), jax.nn.sigmoid(zi + zh)
        h = (1 - z) * n + z * h
    return h


@case(lambda: {"net": layers(2, H, 1), "step": 3, "none": None, "ok": jnp.asarray(True)}, [A, F, A, F, U, U])
def constants_among_parameters(p, x):
    jax.debug.callback(lambda y: None, x)
    noise = jax.random.normal(jax.random.key(0), x.shape, x.dtype)
    return mlp(p["net"], x + noise)


@case(lambda: {"w": normal(0, 2, H), "s": normal(1, 2, H)}, [R, R])
def parameters_as_they_are(p, x):
    return jnp.concatenate([jax.lax.stop_gradient(p["s"]).T @ x, (p["w"] * p["s"])[0], p["w"][1]])


EQX, EQX_STATIC = eqx.partition(eqx.nn.MLP(2, "scalar", H, 2, jnp.tanh, key=jax.random.key(0)), eqx.is_array)


@case(lambda: EQX, [F, A] * 3)
def equinox_mlp(p, x):
    return laplacian(eqx.combine(p, EQX_STATIC))(x)


class Dense(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(2):
            x = nn.silu(nn.Dense(H, param_dtype=x.dtype)(x))
        return nn.Dense(1, param_dtype=x.dtype)(x)


@case(lambda: Dense().init(jax.random.key(0), jnp.ones(2)), [A, F] * 3)
def linen_mlp(p, x):
    return laplacian(lambda z: Dense().apply(p, z)[0])(x)


class Convolution(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Conv(2, (2,), param_dtype=x.dtype)(x[:, None]))
        return nn.Dense(1, param_dtype=x.dtype)(x.reshape(-1))


@case(lambda: Convolution().init(jax.random.key(0), jnp.ones(2)), [A, R, A, F])
def linen_convolution(p, x):
    return Convolution().apply(p, x)


NNX, NNX_STATE = nnx.split(nnx.Linear(2, H, rngs=nnx.Rngs(0)))


@case(lambda: NNX_STATE, [A, F])
def nnx_layer(p, x):
    return jnp.tanh(nnx.merge(NNX, p)(x))


JETS, JETS_STATE = nnx.split(pinns.ModifiedMLP(2, [H, H], 1, dtype=jnp.float32, rngs=nnx.Rngs(0)))


@case(lambda: JETS_STATE, None)
def jets_of_a_modified_mlp(p, x):
    return pinns.laplacian(nnx.merge(JETS, p), x)[2]


def cast(tree, dtype):
    floating = lambda x: eqx.is_array(x) and jnp.issubdtype(x.dtype, jnp.floating)
    return jax.tree.map(lambda x: x.astype(dtype) if floating(x) else x, tree)


def dense_jacobian(fn, params, points):
    """J by ``jax.jacrev`` of all residuals at once, zero columns for parameters that are no floats."""
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


@pytest.mark.parametrize("name", CASES)
def test_factors_give_the_dense_jacobian_and_its_gram_matrix(name, dtype, monkeypatch):
    monkeypatch.setitem(_costs._ELEMENTWISE_COST, "cpu", -1e9)  # products of factors wherever there are any
    fn, make, _ = CASES[name]
    params = cast(make(), dtype)
    points = cast(normal(99, NUM_POINTS, 2), dtype)

    @jax.jit
    def compute(params, points):
        factors = block_factors(fn, params, points)
        one = jnp.ones((), dtype)
        return rows(factors, one, dtype), gram([factors], [one], dtype), dense_jacobian(fn, params, points)

    jacobian, kernel, dense = compute(params, points)
    scale = float(jnp.max(jnp.abs(dense)))
    eps = 100 * jnp.finfo(dtype).eps
    np.testing.assert_allclose(jacobian, dense, rtol=eps, atol=eps * scale)
    np.testing.assert_allclose(kernel, dense @ dense.T, rtol=eps, atol=eps * float(jnp.max(kernel)))
    np.testing.assert_array_equal(kernel, kernel.T)


@pytest.mark.parametrize("name", [name for name, (_, _, ways) in CASES.items() if ways])
def test_parameters_enter_as_expected(name):
    fn, make, expected = CASES[name]
    params = cast(make(), jnp.float32)
    ways = leaf_ways(fn, params, jnp.ones(2))
    kinds = {"dot_general": F, "add": A, "": U}
    assert [R if way.rows else kinds[way.reason] for way in ways] == expected


def test_complex_residuals_and_parameters_are_to_be_split():
    with pytest.raises(TypeError, match=r"residuals must be real.*real and imaginary"):
        block_factors(lambda p, x: p * jnp.exp(1j * x), jnp.ones(()), jnp.ones(3))
    with pytest.raises(TypeError, match="parameters must be real"):
        block_factors(lambda p, x: jnp.abs(p * x), jnp.ones((), jnp.complex64), jnp.ones(3))


def test_no_parameters_is_an_error():
    with pytest.raises(ValueError, match="no leaves"):
        block_factors(lambda p, x: x, None, jnp.ones(3))


def test_residuals_of_no_parameter_have_rows_of_zeros():
    factors = block_factors(lambda p, x: jnp.stack([x, 2]), {"a": jnp.ones(2), "b": jnp.ones(3)}, jnp.ones(4))
    np.testing.assert_array_equal(rows(factors, jnp.ones(()), jnp.float32), jnp.zeros((8, 5)))


def test_basis_combines_the_residuals_of_each_point(x64):
    params, points, basis = (
        cast(layers(2, H, 3), float),
        normal(1, NUM_POINTS, 2),
        normal(2, NUM_POINTS, 2, 3),
    )
    every = rows(block_factors(mlp, params, points), jnp.ones(()), float)
    combined = rows(block_factors(mlp, params, points, basis), jnp.ones(()), float)
    expected = jnp.einsum("nkm,nmp->nkp", basis, every.reshape(NUM_POINTS, 3, -1)).reshape(2 * NUM_POINTS, -1)
    np.testing.assert_allclose(combined, expected, rtol=1e-12, atol=1e-14)


def test_functions_with_arrays_of_their_own_and_points_of_many_arrays():
    offset = jnp.arange(2.0)
    fn = jax.tree_util.Partial(lambda c, p, point: jnp.tanh((point["x"] + c) @ p) * point["t"], offset)
    points = {"x": normal(0, NUM_POINTS, 2), "t": normal(1, NUM_POINTS)}
    factors = jax.jit(lambda p, points: block_factors(fn, p, points))(normal(2, 2, H), points)
    dense = dense_jacobian(fn, normal(2, 2, H), points)
    np.testing.assert_allclose(rows(factors, jnp.ones(()), jnp.float32), dense, rtol=1e-5, atol=1e-6)
