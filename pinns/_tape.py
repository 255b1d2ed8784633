"""Records the factors of every dense layer while a network is evaluated."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.core import get_opaque_trace_state

from isgd_optax import LayerFactors
from pinns.derivatives import Jet, linear
from pinns.networks import Linear


def layer_factors(
    build: Callable[[], nnx.Module], residual: Callable[[nnx.Module], jax.Array]
) -> dict[str, LayerFactors] | None:
    """The factors of each dense layer for ``residual(u)``, ``u`` a fresh network from ``build()``.

    Zero taps are added to each layer's output streams; the residual's derivatives by them are the
    backward factors. While it is recorded a network holds no parameters outside its layers' taps, so
    that a residual which uses them otherwise fails here.

    Returns:
      Factors by the layer's path, or None if the residual's dependence on the parameters is not that of
      dense layers alone: other or shared parameters, a layer under autodiff or a loop, a parameter read
      directly.
    """
    try:
        recorded = jax.eval_shape(lambda: _record(build(), residual, None)[1])
    except Exception:  # An error of the residual itself appears again where rows of J are formed.
        return None
    if not recorded:
        return None
    taps = [jnp.zeros(tap.shape, tap.dtype) for _, tap in recorded]
    names: list[str] = []
    run = lambda taps: _record(build(), residual, taps, names)
    value, pull, calls = jax.vjp(run, taps, has_aux=True)
    basis = jnp.eye(value.size, dtype=value.dtype).reshape(-1, *value.shape)
    backward = [g.reshape(*value.shape, *g.shape[1:]) for g in jax.vmap(pull)(basis)[0]]

    factors: dict[str, LayerFactors] = {}
    for name, (inputs, _), g in zip(names, calls, backward, strict=True):
        if name in factors:  # called more than once: further streams
            inputs = jnp.concatenate([factors[name].inputs, inputs])
            g = jnp.concatenate([factors[name].taps, g], axis=-2)
        factors[name] = LayerFactors(inputs, g)
    return factors


class _Taken:
    """In the place of a parameter that only its layer may use."""


def _record(
    u: nnx.Module, residual: Callable[[nnx.Module], Any], taps: list[jax.Array] | None, names: Any = None
) -> tuple[jax.Array, list[tuple[jax.Array, jax.Array]]]:
    """The residual, and the inputs and the tap of each call of a dense layer, in order."""
    calls: list[tuple[jax.Array, jax.Array]] = []
    outside = get_opaque_trace_state(convention="nnx")

    def tapped(name: str, layer: Linear) -> Callable[[Any], Any]:
        assert layer.bias is not None
        kernel, bias, precision = layer.kernel[...], layer.bias[...], layer.precision

        def call(x: Any) -> Any:
            if get_opaque_trace_state(convention="nnx") != outside:
                raise TypeError("a layer was called under autodiff or a loop of the residual's own")
            y = linear(x, kernel, bias, precision)
            inputs, outputs = _streams(x), _streams(y)
            is_value = jnp.zeros((inputs.shape[0], 1), inputs.dtype).at[0].set(1)
            tap = jnp.zeros_like(outputs) if taps is None else taps[len(calls)]
            calls.append((jnp.concatenate([inputs, is_value], axis=1), tap))
            if names is not None:
                names.append(name)
            if not isinstance(y, Jet):
                return y + tap[0]
            dim = y.first.shape[0]
            return y + Jet(tap[0], tap[1 : 1 + dim], tap[1 + dim :], y.second)

        return call

    layers = [(path, m) for path, m in nnx.iter_modules(u) if isinstance(m, Linear)]
    if len(jax.tree.leaves(nnx.state(u, nnx.Param))) != 2 * len(layers):
        raise TypeError("layers share parameters, or there are others")
    for path, layer in layers:
        layer.tap = tapped("/".join(map(str, path)), layer)
        for attribute in ("kernel", "bias"):
            setattr(layer, attribute, nnx.Param(_Taken()))
    return jnp.asarray(residual(u)), calls


def _streams(x: Any) -> jax.Array:
    """An array (features,) or a jet as its streams, shape (S, features)."""
    if isinstance(x, Jet):
        return jnp.concatenate([x.value[None], x.first, x.seconds])
    if x.ndim != 1:
        raise TypeError("a layer was called on several points at once")
    return x[None]
