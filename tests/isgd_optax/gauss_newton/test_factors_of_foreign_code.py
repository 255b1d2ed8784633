"""Factors of residuals of foreign code: networks of libraries, and functions with rules of their own."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import pinns

H = 4  # width


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


def rules_of_their_own(p, x):
    y = odd_rule(x @ p[0]["w"] + p[0]["b"])
    y = odd_pullback(y, p[1]["w"])
    return odd_layer(y, p[2]["w"]) + p[2]["b"]


EQX, EQX_STATIC = eqx.partition(eqx.nn.MLP(2, "scalar", H, 2, jnp.tanh, key=jax.random.key(0)), eqx.is_array)


def equinox_mlp(p, x):
    return jnp.trace(jax.hessian(eqx.combine(p, EQX_STATIC))(x))


class Dense(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(2):
            x = nn.silu(nn.Dense(H, param_dtype=x.dtype)(x))
        return nn.Dense(1, param_dtype=x.dtype)(x)


def linen_mlp(p, x):
    return jnp.trace(jax.hessian(lambda z: Dense().apply(p, z)[0])(x))


class Convolution(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Conv(2, (2,), param_dtype=x.dtype)(x[:, None]))
        return nn.Dense(1, param_dtype=x.dtype)(x.reshape(-1))


def linen_convolution(p, x):
    return Convolution().apply(p, x)


NNX, NNX_STATE = nnx.split(nnx.Linear(2, H, rngs=nnx.Rngs(0)))


def nnx_layer(p, x):
    return jnp.tanh(nnx.merge(NNX, p)(x))


JETS, JETS_STATE = nnx.split(pinns.ModifiedMLP(2, [H, H], 1, dtype=jnp.float32, rngs=nnx.Rngs(0)))


def jets_of_a_modified_mlp(p, x):
    return pinns.laplacian(nnx.merge(JETS, p), x)[2]


# A residual, its parameters, and how each of them is expected to enter.
F, A, R, U = "factors", "added", "rows", "unused"
CASES = {
    "rules_of_their_own": (rules_of_their_own, lambda draw: draw.layers(2, H, H, H), [A, F, U, R, A, R]),
    "equinox_mlp": (equinox_mlp, lambda _: EQX, [F, A] * 3),
    "linen_mlp": (linen_mlp, lambda _: Dense().init(jax.random.key(0), jnp.ones(2)), [A, F] * 3),
    "linen_convolution": (
        linen_convolution,
        lambda _: Convolution().init(jax.random.key(0), jnp.ones(2)),
        [A, R, A, F],
    ),
    "nnx_layer": (nnx_layer, lambda _: NNX_STATE, [A, F]),
    "jets_of_a_modified_mlp": (jets_of_a_modified_mlp, lambda _: JETS_STATE, None),
}


@pytest.mark.parametrize("name", CASES)
def test_factors_give_the_dense_jacobian_and_its_gram_matrix(name, dtype, draw, check_factors):
    fn, make, _ = CASES[name]
    check_factors(fn, make(draw), dtype)


@pytest.mark.parametrize("name", [name for name, (_, _, ways) in CASES.items() if ways])
def test_parameters_enter_as_expected(name, draw, ways):
    fn, make, expected = CASES[name]
    assert ways(fn, make(draw)) == expected
