"""Factors of residuals of networks and their derivatives against the dense Jacobian: a zoo of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax._gauss_newton._factors import block_factors
from isgd_optax._gauss_newton._rows import rows

NUM_POINTS = 5
H = 4  # width


def mlp(p, x, activation=jnp.tanh):
    for layer in p[:-1]:
        x = activation(x @ layer["w"] + layer["b"])
    return x @ p[-1]["w"] + p[-1]["b"]


def laplacian(u):
    return lambda x: jnp.trace(jax.hessian(u)(x))


def along_first(u):
    return lambda x: jax.jvp(u, (x,), (jnp.zeros_like(x).at[0].set(1),))[1]


# What a case expects of each parameter: a matrix in products, an added vector, rows, or no use at all.
F, A, R, U = "factors", "added", "rows", "unused"
CASES = {}


def case(params, expected):
    """Adds ``function(params, point)`` to the zoo; ``params`` is a function of ``draw``."""
    return lambda function: CASES.setdefault(function.__name__, (function, params, expected))


MLP = lambda draw: draw.layers(2, H, H, 1)
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


@case(lambda draw: draw.layers(2, H, 2), [A, F, A, F])
def system_with_mixed_derivatives(p, x):
    h = jax.hessian(lambda z: mlp(p, z))(x)
    return jnp.stack([h[0, 1, 0], h[1, 0, 0] + h[1, 1, 1], mlp(p, x)[1]])


@case(lambda draw: draw.layers(2, H, 1), [A, F, A, F])
def third_derivative(p, x):
    u = lambda z: mlp(p, z)[0]
    return jax.grad(u)(x)[1] + 6 * u(x) * along_first(u)(x) + along_first(along_first(along_first(u)))(x)


@case(lambda draw: draw.layers(2, H, 1), [A, F, A, F])
def taylor_mode(p, x):
    from jax.experimental.jet import jet

    _, (u1, u2) = jet(lambda z: mlp(p, z, jnp.sin)[0], (x,), ((jnp.ones(2, x.dtype), jnp.zeros(2, x.dtype)),))
    return u1 * u2


@case(lambda draw: draw.layers(2, H, 1), [A, F, A, F])
def relu_network(p, x):
    return mlp(p, x, jax.nn.relu)


@case(lambda draw: draw.layers(2, H, 1), [A, F, A, F])
def sine_network_on_fourier_features(p, x):
    z = x @ jnp.asarray([[1.0], [2.0]], x.dtype)
    return mlp(p, jnp.concatenate([jnp.sin(z), jnp.cos(z)]), lambda y: jnp.sin(3 * y))


@case(
    lambda draw: {"u": draw.layers(2, H)[0], "v": draw.layers(2, H)[0], "net": draw.layers(2, H, H, H)},
    [A, F] * 5,
)
def gated_network(p, x):
    u, v = (jnp.tanh(x @ p[k]["w"] + p[k]["b"]) for k in "uv")
    for layer in p["net"]:
        z = jnp.tanh(x @ layer["w"] + layer["b"])
        x = z * u + (1 - z) * v
    return x[0]


@case(lambda draw: draw.layers(2, H, H, H), [A, F] * 3)
def residual_network_at_two_points(p, x):
    x = jnp.stack([x, 2 * x])
    x = x @ p[0]["w"] + p[0]["b"][None]
    for layer in p[1:]:
        x = x + jnp.tanh(x @ layer["w"] + layer["b"][None])
    return x[:, 0]


@case(lambda draw: draw.layers(2, H, 1), [A, F, A, F])
def integral_over_nodes(p, x):
    nodes = jnp.linspace(0.0, 1.0, 21, dtype=x.dtype)
    return jnp.mean(jax.vmap(lambda t: mlp(p, t * x)[0] ** 2)(nodes))


@case(lambda draw: {"i": draw(0, 2, H), "o": draw(1, H, 1), "w": draw(2, H, H)}, [F, F, F])
def matrix_used_three_times_once_transposed(p, x):
    x = jnp.tanh(x @ p["i"])
    for w in (p["w"], p["w"], p["w"].T):
        x = jnp.tanh(x @ w)
    return x @ p["o"]


@case(lambda draw: {"a": draw(0, H, 2), "b": draw(1, 2, H), "w": draw(2, 2, H)}, [F, F, F])
def product_of_parameters(p, x):
    return x @ p["w"] @ (p["a"] @ p["b"]) @ (p["a"] @ p["b"]).T


@case(lambda draw: {"net": draw.layers(2, H, 1), "nu": jnp.asarray(0.3)}, [A, F, A, F, R])
def unknown_coefficient(p, x):
    return p["nu"] * laplacian(lambda z: mlp(p["net"], z)[0])(x)


@case(lambda draw: {"c": draw(3), "w": draw(0, 2, H), "v": draw(1, H, H)}, [R, F, F])
def matrices_times_scalars(p, x):
    return jnp.sin(x @ (-p["w"] / 2**0.5)) @ (p["c"] * p["v"]).T


@case(lambda draw: {"g": draw(0, H), "v": draw(1, 2, H), "o": draw(2, H)}, [R, F, R])
def weight_normalised_layer(p, x):
    norm = jnp.linalg.norm(p["v"], axis=0)
    return jnp.tanh(x @ (p["v"] * (p["g"] / norm)[None])) @ p["o"]


@case(lambda draw: {k: draw(i, 2 if k == "a" else H, 2 * H) for i, k in enumerate("abcd")}, [F, F, R, R])
def slices_of_matrices(p, x):
    z, y = (jnp.tanh(x @ w) for w in jnp.split(p["a"], 2, axis=1))
    strided, small = p["c"][:, ::2], p["d"][2:, 1:3]  # no block of rows and columns; too little of it
    return (z[1:] * y[1:]) @ p["b"][1:, 2:6] @ strided @ small.repeat(2, axis=0)


@case(lambda draw: {"q": draw(0, 2, 2, H), "o": draw(1, 2, H, 1), "f": draw(2, 6 * H)}, [R, F, F])
def reshaped_matrices(p, x):
    heads = jnp.einsum("d,dhk->hk", x, p["q"])
    y = jnp.einsum("hk,hko->o", jnp.tanh(heads), p["o"])
    flat = p["f"]  # holds a matrix and what is left over
    return (
        y
        + jnp.sum(jnp.sin(x @ flat[: 2 * H].reshape(2, H))) * flat[-1]
        + jnp.sum(x @ flat[2 * H :].reshape(H, 4)[:2])
    )


@case(lambda draw: {"w": draw(0, 3, 2, H)}, [R])
def ensemble(p, x):
    return jnp.sum(jax.vmap(lambda w: jnp.tanh(x @ w))(p["w"]), axis=0)


@case(lambda draw: {"a": draw(0, H, H), "b": draw(1, H), "i": draw(2, 2, H)}, [R, R, F])
def loops_and_branches(p, x):
    y = x @ p["i"]
    y = jax.lax.fori_loop(0, 2, lambda i, y: jnp.tanh(y @ p["a"]), y)
    y, _ = jax.lax.scan(lambda y, z: (jnp.sin(y + z * p["b"]), None), y, jnp.arange(2.0, dtype=x.dtype))
    return jax.lax.cond(x[0] > 0, lambda y: y @ p["a"], jnp.cos, y)


@case(lambda draw: {"a": draw(0, 2, H), "w": draw(1, 3, H, H)}, [F, R])
def scan_over_layers(p, x):
    return jax.lax.scan(lambda y, w: (jnp.tanh(y @ w), None), x @ p["a"], p["w"])[0]


@case(lambda draw: draw.layers(2, H, 1), [A, F, A, F])
def rematerialised_and_compiled(p, x):
    block = jax.checkpoint(lambda layer, z: jnp.tanh(z @ layer["w"] + layer["b"]))
    last = jax.jit(lambda layer, z: z @ layer["w"] + layer["b"])
    return laplacian(lambda z: last(p[1], block(p[0], z))[0])(x)


@case(lambda draw: {"table": draw(0, 6, H), "w": draw(1, H, 1), "x": draw(2, 2, 1)}, [R, F, F])
def embedding(p, x):
    return p["table"][(jnp.abs(10 * x[0]).astype(int) % 6)] @ p["w"] + x @ p["x"]


@case(lambda draw: {"q": draw(0, 2, H), "k": draw(1, 2, H), "v": draw(2, 2, H)}, [F, F, F])
def attention(p, x):
    z = jnp.outer(jnp.array([1.0, -0.5, 2.0], x.dtype), x)
    q, k, v = (z @ p[name] for name in "qkv")
    return (jax.nn.softmax(q @ k.T) @ v)[0]


@case(lambda draw: {"i": draw(0, 2, 3 * H), "h": draw(1, H, 3 * H), "b": draw(2, 3 * H)}, [A, F, F])
def gated_recurrent_unit(p, x):
    h = jnp.zeros(H, x.dtype)
    for z in (x, -2 * x):
        (ri, zi, ni), (rh, zh, nh) = jnp.split(z @ p["i"] + p["b"], 3), jnp.split(h @ p["h"], 3)
        n, z = jnp.tanh(ni + jax.nn.sigmoid(ri + rh) * nh), jax.nn.sigmoid(zi + zh)
        h = (1 - z) * n + z * h
    return h


@case(
    lambda draw: {"net": draw.layers(2, H, 1), "step": 3, "none": None, "ok": jnp.asarray(True)},
    [A, F, A, F, U, U],
)
def constants_among_parameters(p, x):
    jax.debug.callback(lambda y: None, x)
    noise = jax.random.normal(jax.random.key(0), x.shape, x.dtype)
    return mlp(p["net"], x + noise)


@case(lambda draw: {"w": draw(0, 2, H), "s": draw(1, 2, H)}, [R, R])
def parameters_as_they_are(p, x):
    return jnp.concatenate([jax.lax.stop_gradient(p["s"]).T @ x, (p["w"] * p["s"])[0], p["w"][1]])


@pytest.mark.parametrize("name", CASES)
def test_factors_give_the_dense_jacobian_and_its_gram_matrix(name, dtype, draw, check_factors):
    fn, make, _ = CASES[name]
    check_factors(fn, make(draw), dtype)


@pytest.mark.parametrize("name", [name for name, (_, _, ways) in CASES.items() if ways])
def test_parameters_enter_as_expected(name, draw, ways):
    fn, make, expected = CASES[name]
    assert ways(fn, make(draw)) == expected


def test_basis_combines_the_residuals_of_each_point(x64, draw, cast):
    params, points, basis = (
        cast(draw.layers(2, H, 3), float),
        draw(1, NUM_POINTS, 2),
        draw(2, NUM_POINTS, 2, 3),
    )
    every = rows(block_factors(mlp, params, points), jnp.ones(()), float)
    combined = rows(block_factors(mlp, params, points, basis), jnp.ones(()), float)
    expected = jnp.einsum("nkm,nmp->nkp", basis, every.reshape(NUM_POINTS, 3, -1)).reshape(2 * NUM_POINTS, -1)
    np.testing.assert_allclose(combined, expected, rtol=1e-12, atol=1e-14)
