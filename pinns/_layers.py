"""The layers of this package's networks, for arrays and jets."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer

from pinns._embeddings import Embedding, check_embedding
from pinns._jet import linear
from pinns._numbers import check_whole

Activation = Callable[[jax.Array], jax.Array]
Initializer = Callable[..., jax.Array]


def check_activation(fn: Activation, widths: Sequence[int]) -> None:
    """Raises TypeError for no function, ValueError for one that mixes the numbers of an array.

    Derivatives are propagated through it number by number: those of ``jax.nn.softmax`` would be zero.

    Args:
      fn: The activation.
      widths: Of the layers behind which it stands; a module may want an input of its own shape.
    """
    if not callable(fn):
        raise TypeError(f"activation must be a function, e.g. jnp.tanh, got {fn!r}.")
    if fn in (jnp.tanh, jnp.sin):
        return
    if isinstance(fn, nnx.Module):
        mixes = any(_mixes(fn, width) for width in set(widths))
    else:
        mixes = _mixes_numbers(fn)
    if mixes:
        raise ValueError(
            f"activation must take each number by itself, which {fn!r} does not. Write such a layer in a "
            "network of your own (supports_jets = False)."
        )


def _mixes(module: nnx.Module, width: int) -> bool:
    """Whether an output of a module depends on another input than its own."""
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(nnx.state(module))):
        return False  # it is made while something is traced, and has no numbers
    points, places = np.linspace(-1.1, 2.0, width), np.arange(width)
    with jax.ensure_compile_time_eval():
        at = lambda x: np.asarray(
            nnx.clone(module)(jnp.asarray(x, jnp.float32))
        )  # whose state a call changes
        before = at(points)
        if before.shape != points.shape:
            return True
        for bit in range(width.bit_length()):  # two places differ in a bit of their numbers
            for moved in (places >> bit & 1 == 1, places >> bit & 1 == 0):
                if not np.allclose(at(points + 0.5 * moved)[~moved], before[~moved], rtol=1e-5):
                    return True
    return False


def _mixes_numbers(fn: Activation) -> bool:
    with jax.ensure_compile_time_eval():
        numbers = np.array([-1.1, 0.3, 2.0], np.float32)
        together = np.asarray(fn(jnp.asarray(numbers)))
        apart = np.concatenate([np.ravel(fn(jnp.asarray(number)[None])) for number in numbers])
    return together.shape != apart.shape or not np.allclose(together, apart, rtol=1e-3, atol=1e-6)


# Compiled as one for each shape.
_glorot_normal = jax.jit(nnx.initializers.glorot_normal(), static_argnums=(1, 2))


class Linear(nnx.Linear):
    """``nnx.Linear`` with Glorot-normal kernel and zero bias, for arrays and jets."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        dtype: Any,
        rngs: nnx.Rngs,
        kernel_init: Initializer | None = None,
    ):
        for width in (in_features, out_features):
            check_whole(**{"the width of a layer": width})
        if in_features < 1 or out_features < 1:
            raise ValueError(
                f"a layer needs at least one input and one output, got {in_features} and {out_features}."
            )
        super().__init__(
            in_features,
            out_features,
            param_dtype=dtype,
            kernel_init=kernel_init or _glorot_normal,
            precision=jax.lax.Precision.HIGHEST,  # TF32 ruins residuals
            rngs=rngs,
        )

    def __call__(self, x: Any) -> Any:
        """``x @ kernel + bias``."""
        assert self.bias is not None
        return linear(x, self.kernel[...], self.bias[...], self.precision)


def num_features(in_features: int, embedding: Embedding | None) -> int:
    """The number of inputs of the first layer."""
    if embedding is None:
        return in_features
    check_embedding(embedding)
    if embedding.in_features != in_features:
        raise ValueError(
            f"the embedding takes {embedding.in_features} coordinates, the network {in_features}."
        )
    return embedding.out_features


def make_layers(
    sizes: Sequence[int], *, dtype: Any, rngs: nnx.Rngs, kernel_inits: Sequence[Initializer] | None = None
) -> nnx.List:
    """One layer for each pair of neighbouring sizes."""
    inits = kernel_inits or [None] * (len(sizes) - 1)
    return nnx.List(
        Linear(m, n, dtype=dtype, rngs=rngs, kernel_init=init)
        for (m, n), init in zip(itertools.pairwise(sizes), inits, strict=True)
    )


def takes_jets(network: Any, base: type) -> bool:
    """Whether ``network`` calls its layers as ``base`` does, behind an embedding that takes jets, if any."""
    return type(network).__call__ is base.__call__ and getattr(network.embedding, "supports_jets", True)
