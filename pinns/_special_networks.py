"""Networks of sines and networks that mix encodings of their input."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from pinns._embeddings import Embedding, check_dtype
from pinns._jet import activate
from pinns._layers import (
    Activation,
    Initializer,
    Linear,
    check_activation,
    make_layers,
    num_features,
    takes_jets,
)
from pinns._networks import MLP


class SIREN(MLP):
    r"""An :class:`MLP` of sines, initialised so that every layer's input keeps its distribution.

    .. math::
      W_1 \sim U(-\omega_0/n, \omega_0/n), \quad W_k \sim U(-\sqrt{6/n}, \sqrt{6/n}), \quad
      W_L \sim U(-\sqrt{6/n}/\omega_0, \sqrt{6/n}/\omega_0)

    with n the number of inputs of a layer. The factor ω₀ of the paper's activations is kept in the weights,
    which leaves the function as it is and the parameters of one size.

    Args:
      in_features: The dimension d of a point.
      hidden: The widths of the hidden layers.
      out_features: The number m of outputs.
      rngs: The random streams, ``nnx.Rngs(seed)``.
      omega0: The frequency ω₀ of the first layer; the paper takes 30 for pictures.
      embedding: The map of the coordinates before the first layer, see :class:`MLP`.
      dtype: The dtype of the parameters.

    Raises:
      ValueError: See :class:`MLP`; ``omega0`` that is not positive.

    Examples:
      >>> from flax import nnx
      >>> import jax.numpy as jnp
      >>> from pinns import SIREN
      >>> SIREN(2, [40] * 3, 1, omega0=5.0, rngs=nnx.Rngs(0))(jnp.zeros((10, 2))).shape
      (10, 1)

    References:
      Sitzmann, Martel, Bergman, Lindell and Wetzstein, Implicit neural representations with periodic
      activation functions, 2020.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        *,
        rngs: nnx.Rngs,
        omega0: float = 5.0,
        embedding: Embedding | None = None,
        dtype: Any = jnp.float32,
    ):
        if not omega0 > 0:
            raise ValueError(f"omega0 must be positive, got {omega0}.")
        check_dtype(dtype)
        sizes = [num_features(in_features, embedding), *hidden, out_features]
        bounds = [omega0 / sizes[0], *((6 / n) ** 0.5 for n in sizes[1:-1])]
        bounds[-1] /= omega0
        inits = [_symmetric(bound) for bound in bounds]
        self.layers = make_layers(sizes, dtype=dtype, rngs=rngs, kernel_inits=inits)
        self.activation = jnp.sin
        self.embedding = embedding


class ModifiedMLP(nnx.Module):
    r"""The modified MLP, whose hidden layers mix two encodings of the input.

    .. math::
      U = \sigma(W_u x + b_u), \quad V = \sigma(W_v x + b_v), \quad
      H_{k+1} = (1 - Z_k) \odot U + Z_k \odot V, \quad Z_k = \sigma(W_k H_k + b_k)

    with H₁ = x, or its embedding.

    Args:
      in_features: The dimension d of a point.
      hidden: The widths of the hidden layers, all equal.
      out_features: The number m of outputs.
      rngs: The random streams, ``nnx.Rngs(seed)``.
      activation: The elementwise function σ.
      embedding: The map of the coordinates before the first layer, see :class:`MLP`.
      dtype: The dtype of the parameters.

    Shape:
      (..., d) to (..., m).

    Raises:
      ValueError: No hidden layer or unequal widths.

    Examples:
      >>> from flax import nnx
      >>> import jax.numpy as jnp
      >>> from pinns import ModifiedMLP
      >>> ModifiedMLP(2, [50] * 3, 1, rngs=nnx.Rngs(0))(jnp.zeros((10, 2))).shape
      (10, 1)

    References:
      Wang, Teng and Perdikaris, Understanding and mitigating gradient flow pathologies in
      physics-informed neural networks, 2021, Section 2.6.
    """

    @property
    def supports_jets(self) -> bool:
        """Whether derivatives go through as jets; through a ``__call__`` of a subclass they are nested."""
        return takes_jets(self, ModifiedMLP)

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        *,
        rngs: nnx.Rngs,
        activation: Activation = jnp.tanh,
        embedding: Embedding | None = None,
        dtype: Any = jnp.float32,
    ):
        check_dtype(dtype)
        if not hidden or len(set(hidden)) != 1:
            raise ValueError(
                f"ModifiedMLP needs hidden layers of one width, e.g. [50] * 4, got {list(hidden)}."
            )
        check_activation(activation, hidden)
        first = num_features(in_features, embedding)
        self.encoders = nnx.List(Linear(first, hidden[0], dtype=dtype, rngs=rngs) for _ in range(2))
        self.layers = make_layers([first, *hidden, out_features], dtype=dtype, rngs=rngs)
        self.activation = activation
        self.embedding = embedding

    def __call__(self, x: Any) -> Any:
        """The network at ``x``, an array or a jet."""
        if self.embedding is not None:
            x = self.embedding(x)
        u, v = (activate(self.activation, encoder(x)) for encoder in self.encoders)
        difference = v - u
        for layer in self.layers[:-1]:
            x = activate(self.activation, layer(x)) * difference + u
        return self.layers[-1](x)


def _symmetric(bound: float) -> Initializer:
    """Uniform between ±bound."""
    return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -bound, bound)
