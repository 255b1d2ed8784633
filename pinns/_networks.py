"""Fully connected networks as Flax NNX modules; all of them accept jets, see :class:`pinns.Jet`."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx

from pinns._embeddings import Embedding, FourierFeatures, PeriodicEmbedding, check_dtype
from pinns._jet import activate
from pinns._layers import Activation, check_activation, make_layers, num_features, takes_jets


class MLP(nnx.Module):
    r"""A fully connected network.

    .. math:: u(x) = W_L \sigma(\dots \sigma(W_1 \gamma(x) + b_1) \dots) + b_L

    Glorot-normal kernels and zero biases, as PINN papers use. Its parameters are a pytree:
    ``graphdef, params, rest = nnx.split(model, nnx.Param, ...)``.

    Args:
      in_features: The dimension d of a point.
      hidden: The widths of the hidden layers.
      out_features: The number m of outputs.
      rngs: The random streams, ``nnx.Rngs(seed)``.
      activation: The elementwise function σ.
      embedding: The map γ of the coordinates before the first layer, see :class:`PeriodicEmbedding`,
        :class:`FourierFeatures`, :class:`Normalize` and :class:`Chain`; None for none.
      dtype: The dtype of the parameters, float32 or float64 (which needs ``jax_enable_x64``).

    Shape:
      (..., d) to (..., m).

    Raises:
      ValueError: A width below 1, an embedding of another number of coordinates, an activation that is not
        elementwise, or float64 without ``jax_enable_x64``.
      TypeError: ``hidden`` or ``activation`` of another kind.

    Examples:
      >>> from flax import nnx
      >>> import jax.numpy as jnp
      >>> from pinns import MLP, PeriodicEmbedding
      >>> model = MLP(2, [50] * 4, 1, rngs=nnx.Rngs(0))
      >>> model(jnp.zeros((10, 2))).shape
      (10, 1)
      >>> in_x_alone = MLP(2, [50] * 4, 1, embedding=PeriodicEmbedding((2.0, None)), rngs=nnx.Rngs(0))
      >>> print((in_x_alone(jnp.array([-1.0, 0.5])) - in_x_alone(jnp.array([1.0, 0.5]))).round(5))
      [0.]

    References:
      Raissi, Perdikaris and Karniadakis, Physics-informed neural networks, 2019.
    """

    @property
    def supports_jets(self) -> bool:
        """Whether derivatives go through as jets; through a ``__call__`` of a subclass they are nested."""
        return takes_jets(self, MLP)

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
        if not isinstance(hidden, Sequence):
            raise TypeError(f"hidden must be the widths of the hidden layers, e.g. [20, 20], got {hidden!r}.")
        check_activation(activation, hidden)
        first = num_features(in_features, embedding)
        self.layers = make_layers([first, *hidden, out_features], dtype=dtype, rngs=rngs)
        self.activation = activation
        self.embedding = embedding

    def __call__(self, x: Any) -> Any:
        """The network at ``x``, an array or a jet."""
        if self.embedding is not None:
            x = self.embedding(x)
        for layer in self.layers[:-1]:
            x = activate(self.activation, layer(x))
        return self.layers[-1](x)


class FourierMLP(MLP):
    """An :class:`MLP` behind :class:`FourierFeatures`, for solutions with high frequencies.

    Args:
      in_features: The dimension d of a point.
      hidden: The widths of the hidden layers.
      out_features: The number m of outputs.
      num_features: The number of random frequencies.
      scale: Their standard deviation, in periods per unit length.
      rngs: The random streams, ``nnx.Rngs(seed)``.
      activation: The elementwise function.
      dtype: The dtype of the parameters.

    Raises:
      ValueError: See :class:`MLP` and :class:`FourierFeatures`.

    Examples:
      >>> from flax import nnx
      >>> import jax.numpy as jnp
      >>> from pinns import FourierMLP
      >>> model = FourierMLP(1, [32], 1, num_features=8, scale=5.0, rngs=nnx.Rngs(0))
      >>> model(jnp.zeros((4, 1))).shape
      (4, 1)
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        *,
        num_features: int,
        scale: float,
        rngs: nnx.Rngs,
        activation: Activation = jnp.tanh,
        dtype: Any = jnp.float32,
    ):
        embedding = FourierFeatures(in_features, num_features, scale=scale, rngs=rngs, dtype=dtype)
        super().__init__(
            in_features,
            hidden,
            out_features,
            rngs=rngs,
            activation=activation,
            embedding=embedding,
            dtype=dtype,
        )


class PeriodicMLP(MLP):
    """An :class:`MLP` that is periodic along chosen axes: one behind a :class:`PeriodicEmbedding`.

    Args:
      periods: The periods, one per axis; None for an axis along which nothing is periodic.
      hidden: The widths of the hidden layers.
      out_features: The number m of outputs.
      rngs: The random streams, ``nnx.Rngs(seed)``.
      activation: The elementwise function.
      dtype: The dtype of the parameters.

    Raises:
      ValueError: See :class:`MLP` and :class:`PeriodicEmbedding`.

    Examples:
      >>> from flax import nnx
      >>> import jax.numpy as jnp
      >>> from pinns import PeriodicMLP
      >>> model = PeriodicMLP((2.0, 2.0), [30] * 4, 1, rngs=nnx.Rngs(0))
      >>> difference = model(jnp.array([0.5, -1.0])) - model(jnp.array([0.5, 1.0]))
      >>> bool(abs(difference[0]) < 1e-5)
      True
    """

    def __init__(
        self,
        periods: Sequence[float | None],
        hidden: Sequence[int],
        out_features: int,
        *,
        rngs: nnx.Rngs,
        activation: Activation = jnp.tanh,
        dtype: Any = jnp.float32,
    ):
        embedding = PeriodicEmbedding(periods, dtype=dtype)
        super().__init__(
            len(periods),
            hidden,
            out_features,
            rngs=rngs,
            activation=activation,
            embedding=embedding,
            dtype=dtype,
        )
