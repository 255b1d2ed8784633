"""Networks for PINNs as Flax NNX modules; all of them accept jets, see :class:`pinns.Jet`."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from pinns._jet import activate, concatenate, linear

Activation = Callable[[jax.Array], jax.Array]


class FixedVariable(nnx.Variable):
    """An array of a network that is not trained."""


class Linear(nnx.Linear):
    """``nnx.Linear`` with Glorot-normal kernel and zero bias, for arrays and jets."""

    def __init__(self, in_features: int, out_features: int, *, dtype: Any, rngs: nnx.Rngs):
        if in_features < 1 or out_features < 1:
            raise ValueError(
                f"a layer needs at least one input and one output, got {in_features} and {out_features}."
            )
        super().__init__(
            in_features,
            out_features,
            param_dtype=dtype,
            kernel_init=nnx.initializers.glorot_normal(),
            precision=jax.lax.Precision.HIGHEST,  # TF32 ruins residuals
            rngs=rngs,
        )

    def __call__(self, x: Any) -> Any:
        """X @ kernel + bias."""
        assert self.bias is not None
        return linear(x, self.kernel[...], self.bias[...], self.precision)


class MLP(nnx.Module):
    r"""A fully connected network.

    .. math:: u(x) = W_L \sigma(\dots \sigma(W_1 x + b_1) \dots) + b_L

    Glorot-normal kernels and zero biases, as PINN papers use. Its parameters are a pytree:
    ``graphdef, params = nnx.split(model)``.

    Args:
      in_features: dimension d of a point.
      hidden: widths of the hidden layers.
      out_features: number m of outputs.
      rngs: ``nnx.Rngs(seed)``.
      activation: an elementwise function of arrays.
      dtype: of the parameters, float32 or float64 (which needs ``jax_enable_x64``).

    Shape:
      (..., d) to (..., m).

    Raises:
      ValueError: a width below 1, or float64 without ``jax_enable_x64``.

    Examples:
      >>> from flax import nnx
      >>> import jax.numpy as jnp
      >>> from pinns import MLP
      >>> model = MLP(2, [50] * 4, 1, rngs=nnx.Rngs(0))
      >>> model(jnp.zeros((10, 2))).shape
      (10, 1)

    References:
      Raissi, Perdikaris and Karniadakis, Physics-informed neural networks, 2019.
    """

    supports_jets = True

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        *,
        rngs: nnx.Rngs,
        activation: Activation = jnp.tanh,
        dtype: Any = jnp.float32,
    ):
        _check_dtype(dtype)
        sizes = [in_features, *hidden, out_features]
        self.layers = nnx.List(Linear(m, n, dtype=dtype, rngs=rngs) for m, n in itertools.pairwise(sizes))
        self.activation = activation

    def __call__(self, x: Any) -> Any:
        """The network at ``x``, an array or a jet."""
        for layer in self.layers[:-1]:
            x = activate(self.activation, layer(x))
        return self.layers[-1](x)


class FourierFeatures(nnx.Module):
    """Random Fourier features γ(x) = [cos(2πBx), sin(2πBx)] with B ~ N(0, scale²), not trained.

    Args:
      in_features: dimension d of a point.
      num_features: rows of B; the output has twice as many features.
      scale: standard deviation of B, in periods per unit length.
      rngs: ``nnx.Rngs(seed)``.
      dtype: of B.

    Shape:
      (..., d) to (..., 2·num_features).

    Raises:
      ValueError: ``num_features`` < 1 or ``scale`` ≤ 0.

    Examples:
      >>> from flax import nnx
      >>> import jax.numpy as jnp
      >>> from pinns import FourierFeatures
      >>> FourierFeatures(1, 8, scale=5.0, rngs=nnx.Rngs(0))(jnp.zeros(1)).shape
      (16,)

    References:
      Wang, Wang and Perdikaris, On the eigenvector bias of Fourier feature networks, 2021.
    """

    supports_jets = True

    def __init__(
        self, in_features: int, num_features: int, *, scale: float, rngs: nnx.Rngs, dtype: Any = jnp.float32
    ):
        _check_dtype(dtype)
        if num_features < 1 or not scale > 0:
            raise ValueError(f"num_features and scale must be positive, got {num_features} and {scale}.")
        b = scale * jax.random.normal(rngs.params(), (in_features, num_features), dtype)
        self.frequencies = FixedVariable(2 * jnp.pi * b)

    def __call__(self, x: Any) -> Any:
        """The features of ``x``, an array or a jet."""
        z = linear(x, self.frequencies[...], None, jax.lax.Precision.HIGHEST)
        return concatenate([activate(jnp.cos, z), activate(jnp.sin, z)])


class FourierMLP(nnx.Module):
    """An :class:`MLP` behind :class:`FourierFeatures`, for solutions with high frequencies.

    Args:
      in_features: dimension d of a point.
      hidden: widths of the hidden layers.
      out_features: number m of outputs.
      num_features: rows of B.
      scale: standard deviation of B, in periods per unit length.
      rngs: ``nnx.Rngs(seed)``.
      activation: an elementwise function of arrays.
      dtype: of the parameters.

    Shape:
      (..., d) to (..., m).

    Raises:
      ValueError: see :class:`MLP` and :class:`FourierFeatures`.

    Examples:
      >>> from flax import nnx
      >>> import jax.numpy as jnp
      >>> from pinns import FourierMLP
      >>> model = FourierMLP(1, [32], 1, num_features=8, scale=5.0, rngs=nnx.Rngs(0))
      >>> model(jnp.zeros((4, 1))).shape
      (4, 1)
    """

    supports_jets = True

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
        self.features = FourierFeatures(in_features, num_features, scale=scale, rngs=rngs, dtype=dtype)
        self.mlp = MLP(2 * num_features, hidden, out_features, rngs=rngs, activation=activation, dtype=dtype)

    def __call__(self, x: Any) -> Any:
        """The network at ``x``, an array or a jet."""
        return self.mlp(self.features(x))


class PeriodicMLP(nnx.Module):
    r"""An :class:`MLP` that is periodic along every axis, for periodic boundary conditions.

    .. math:: u(x) = \mathrm{MLP}(\cos(2\pi x_i / T_i), \sin(2\pi x_i / T_i))_{i = 1 \dots d}

    Args:
      periods: T, one period per axis.
      hidden: widths of the hidden layers.
      out_features: number m of outputs.
      rngs: ``nnx.Rngs(seed)``.
      activation: an elementwise function of arrays.
      dtype: of the parameters.

    Shape:
      (..., d) to (..., m).

    Raises:
      ValueError: see :class:`MLP`; no period or one that is not positive.

    Examples:
      >>> from flax import nnx
      >>> import jax.numpy as jnp
      >>> from pinns import PeriodicMLP
      >>> model = PeriodicMLP((2.0, 2.0), [30] * 4, 1, rngs=nnx.Rngs(0))
      >>> difference = model(jnp.array([0.5, -1.0])) - model(jnp.array([0.5, 1.0]))
      >>> bool(abs(difference[0]) < 1e-5)
      True

    References:
      Dong and Ni, A method for representing periodic functions and enforcing exactly periodic boundary
      conditions with deep neural networks, 2021.
    """

    supports_jets = True

    def __init__(
        self,
        periods: Sequence[float],
        hidden: Sequence[int],
        out_features: int,
        *,
        rngs: nnx.Rngs,
        activation: Activation = jnp.tanh,
        dtype: Any = jnp.float32,
    ):
        _check_dtype(dtype)
        if not periods or not all(period > 0 for period in periods):
            raise ValueError(f"periods must be positive, one per axis, got {periods}.")
        self.frequencies = FixedVariable(2 * jnp.pi / jnp.asarray(periods, dtype))
        self.mlp = MLP(2 * len(periods), hidden, out_features, rngs=rngs, activation=activation, dtype=dtype)

    def __call__(self, x: Any) -> Any:
        """The network at ``x``, an array or a jet."""
        z = linear(x, jnp.diag(self.frequencies[...]), None, jax.lax.Precision.HIGHEST)
        return self.mlp(concatenate([activate(jnp.cos, z), activate(jnp.sin, z)]))


class ModifiedMLP(nnx.Module):
    r"""The modified MLP, whose hidden layers mix two encodings of the input.

    .. math::
      U = \sigma(W_u x + b_u), \quad V = \sigma(W_v x + b_v), \quad
      H_{k+1} = (1 - Z_k) \odot U + Z_k \odot V, \quad Z_k = \sigma(W_k H_k + b_k)

    with H₁ = x.

    Args:
      in_features: dimension d of a point.
      hidden: widths of the hidden layers, all equal.
      out_features: number m of outputs.
      rngs: ``nnx.Rngs(seed)``.
      activation: an elementwise function of arrays.
      dtype: of the parameters.

    Shape:
      (..., d) to (..., m).

    Raises:
      ValueError: no hidden layer or unequal widths.

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

    supports_jets = True

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        *,
        rngs: nnx.Rngs,
        activation: Activation = jnp.tanh,
        dtype: Any = jnp.float32,
    ):
        _check_dtype(dtype)
        if not hidden or len(set(hidden)) != 1:
            raise ValueError(
                f"ModifiedMLP needs hidden layers of one width, e.g. [50] * 4, got {list(hidden)}."
            )
        width = hidden[0]
        self.encoders = nnx.List(Linear(in_features, width, dtype=dtype, rngs=rngs) for _ in range(2))
        sizes = [in_features, *hidden, out_features]
        self.layers = nnx.List(Linear(m, n, dtype=dtype, rngs=rngs) for m, n in itertools.pairwise(sizes))
        self.activation = activation

    def __call__(self, x: Any) -> Any:
        """The network at ``x``, an array or a jet."""
        u, v = (activate(self.activation, encoder(x)) for encoder in self.encoders)
        difference = v - u
        for layer in self.layers[:-1]:
            x = activate(self.activation, layer(x)) * difference + u
        return self.layers[-1](x)


def num_parameters(model: nnx.Module) -> int:
    """How many numbers of ``model`` are trained."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def _check_dtype(dtype: Any) -> None:
    if jnp.dtype(dtype) == jnp.dtype("float64") and not jax.config.read("jax_enable_x64"):
        raise ValueError(
            "dtype float64 needs 64-bit mode: call jax.config.update('jax_enable_x64', True) first."
        )
