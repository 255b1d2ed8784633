"""What a network makes of its coordinates before its first layer; nothing of it is trained."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pinns._jet import Jet, activate, concatenate, linear
from pinns._numbers import are_numbers

_HIGHEST = jax.lax.Precision.HIGHEST


class FixedVariable(nnx.Variable):
    """An array of a network that is not trained."""


class Embedding(Protocol):
    """A map of coordinates that a network of this package takes as ``embedding``, for arrays and jets.

    One that computes otherwise than by sums and products, x**2 for instance, declares ``supports_jets =
    False``: derivatives are then taken by nested forward mode.
    """

    in_features: int
    out_features: int

    def __call__(self, x: Any) -> Any:
        """The features of ``x``, shape (..., in_features) to (..., out_features)."""
        ...


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
      ValueError: ``num_features`` < 1, or ``scale`` not positive and finite.

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
        check_dtype(dtype)
        if num_features < 1 or not 0 < scale < np.inf:
            raise ValueError(
                f"num_features and scale must be positive and finite, got {num_features} and {scale}."
            )
        self.in_features, self.out_features = in_features, 2 * num_features
        b = scale * jax.random.normal(rngs.params(), (in_features, num_features), dtype)
        self.frequencies = FixedVariable(2 * jnp.pi * b)

    def __call__(self, x: Any) -> Any:
        """The features of ``x``, an array or a jet."""
        z = linear(x, self.frequencies[...], None, _HIGHEST)
        return concatenate([activate(jnp.cos, z), activate(jnp.sin, z)])


class PeriodicEmbedding(nnx.Module):
    r"""Features that are periodic along chosen axes, for periodic boundary conditions.

    .. math::
      x_i \mapsto (\cos(2\pi k x_i / T_i), \sin(2\pi k x_i / T_i))_{k = 1 \dots K}
      \quad\text{where a period is given, else}\quad x_i

    Args:
      periods: The period T of each axis, None for an axis along which nothing is periodic, e.g. time.
      num_harmonics: The number K of harmonics.
      dtype: Of no effect: the frequencies are those of the coordinates' dtype.

    Shape:
      (..., d) to (..., 2·K·(periodic axes) + other axes).

    Raises:
      ValueError: No period at all, one that is not positive, or no harmonic.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import PeriodicEmbedding
      >>> PeriodicEmbedding((2.0, None))(jnp.zeros(2)).shape
      (3,)

    References:
      Dong and Ni, A method for representing periodic functions and enforcing exactly periodic boundary
      conditions with deep neural networks, 2021.
    """

    supports_jets = True

    def __init__(self, periods: Sequence[float | None], *, num_harmonics: int = 1, dtype: Any = jnp.float32):
        check_dtype(dtype)
        if not hasattr(periods, "__len__") or not are_numbers(_without_none(periods)):
            raise TypeError(
                "periods must be numbers or None, one for each coordinate, PeriodicEmbedding((2.0,)) in 1-D, "
                f"got {periods!r}."
            )
        axes = [i for i, period in enumerate(periods) if period is not None]
        given = _without_none(periods)
        if not given or not all(0 < period < np.inf for period in given) or num_harmonics < 1:
            raise ValueError(
                "periods must be positive and finite, one per axis or None, at least one of them given, and "
                f"num_harmonics at least 1, got {periods} and {num_harmonics}."
            )
        self.in_features = len(periods)
        self.plain = tuple(i for i in range(len(periods)) if i not in axes)
        self.out_features = 2 * len(axes) * num_harmonics + len(self.plain)
        harmonics = np.repeat(np.arange(1, num_harmonics + 1), len(axes))
        matrix = np.zeros((len(periods), len(harmonics)))
        rows = np.tile(axes, num_harmonics), np.arange(len(harmonics))
        matrix[rows] = np.tile(2 * np.pi / np.asarray(given, dtype=float), num_harmonics) * harmonics
        self.frequencies = tuple(map(tuple, matrix.tolist()))

    @property
    def takes_units(self) -> tuple[bool, ...]:
        """Whether each coordinate must come in the unit of the problem, as those with a period must."""
        return tuple(i not in self.plain for i in range(self.in_features))

    @property
    def passed(self) -> dict[int, int]:
        """Coordinates that stay as they are, and the features that they become."""
        first = self.out_features - len(self.plain)
        return {axis: first + i for i, axis in enumerate(self.plain)}

    def __call__(self, x: Any) -> Any:
        """The features of ``x``, an array or a jet."""
        # In the dtype of the coordinates: rounded frequencies would not be those of the period.
        matrix = jnp.asarray(self.frequencies, jnp.result_type(x.value if isinstance(x, Jet) else x, float))
        z = linear(x, matrix, None, _HIGHEST)
        features = [activate(jnp.cos, z), activate(jnp.sin, z)]
        if self.plain:
            columns = np.asarray(self.plain)
            take = lambda part: part[..., columns]
            features.append(x.each(take) if isinstance(x, Jet) else take(x))
        return concatenate(features)


class Normalize(nnx.Module):
    """The map of the box [lower, upper] to [−1, 1]ᵈ, for domains that are far from size one.

    Args:
      lower: The lower corner of the box, d numbers.
      upper: The upper corner.
      dtype: Without effect, kept for older calls: the map has the dtype of its coordinates.

    Shape:
      (..., d) to (..., d).

    Raises:
      ValueError: Corners of different lengths, or not finite numbers lower < upper.
      TypeError: Corners that are no sequences of numbers.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Normalize
      >>> print(Normalize((0.0,), (6000.0,))(jnp.array([6000.0])))
      [1.]
    """

    supports_jets = True

    def __init__(self, lower: Sequence[float], upper: Sequence[float], *, dtype: Any = jnp.float32):
        check_dtype(dtype)
        if not (are_numbers(lower) and are_numbers(upper)):
            raise TypeError(
                "Normalize needs the coordinates of two corners, Normalize((0.0,), (1.0,)) in 1-D, got "
                f"{lower!r} and {upper!r}."
            )
        if not np.all(np.isfinite([*lower, *upper])):
            raise ValueError(f"Normalize needs finite corners, got {lower} and {upper}.")
        if len(lower) != len(upper) or not all(a < b for a, b in zip(lower, upper, strict=True)):
            raise ValueError(f"Normalize needs lower < upper on every axis, got {lower} and {upper}.")
        self.in_features = self.out_features = len(lower)
        low, up = np.asarray(lower, float), np.asarray(upper, float)
        self.middle, self.factor = tuple(((low + up) / 2).tolist()), tuple((2 / (up - low)).tolist())

    @property
    def takes_units(self) -> tuple[bool, ...]:
        """Whether each coordinate must come in the unit of the problem, as all of a box must."""
        return (True,) * self.in_features

    def __call__(self, x: Any) -> Any:
        """The scaled coordinates, of an array or a jet."""
        # In the dtype of the coordinates: a rounded width would shift the periods of what comes after.
        dtype = jnp.result_type(x.value if isinstance(x, Jet) else x, float)
        middle, factor = jnp.asarray(self.middle, dtype), jnp.asarray(self.factor, dtype)
        if isinstance(x, Jet):
            return (x - middle) * factor
        broad = (None,) * (x.ndim - 1)
        return (x - middle[broad]) * factor[broad]


def check_embedding(embedding: Any) -> None:
    """Raises TypeError for what does not say how many coordinates it takes and how many features it gives."""
    if not callable(embedding) or not all(hasattr(embedding, n) for n in ("in_features", "out_features")):
        raise TypeError(
            f"an embedding is a PeriodicEmbedding, FourierFeatures, Normalize or Chain, got {embedding!r}. "
            "One of your own is an nnx.Module with in_features, out_features and __call__, and with "
            "supports_jets = False where it computes otherwise than by sums and products."
        )


def _without_none(periods: Iterable[float | None]) -> list[float]:
    return [period for period in periods if period is not None]


def units_of(embedding: Any) -> tuple[bool, ...]:
    """By axis, whether ``embedding`` takes the coordinate in the problem's unit; empty if it does not say."""
    said = getattr(embedding, "takes_units", ())
    return said if isinstance(said, tuple) else ()  # a module of the user's may have another one of this name


def holds_units(model: Any) -> bool:
    """Whether a network has an embedding that takes coordinates in their units elsewhere than as its own."""
    if not isinstance(model, nnx.Module) or any(units_of(getattr(model, "embedding", None))):
        return False
    parts = [held for _, part in nnx.iter_graph(model) for held in (part, getattr(part, "embedding", None))]
    wholes = [part for part in parts if units_of(part) and isinstance(part, nnx.Module)]
    inside = {id(part) for whole in wholes for _, part in nnx.iter_graph(whole) if part is not whole}
    return any(any(units_of(part)) for part in parts if id(part) not in inside)


def check_dtype(dtype: Any) -> None:
    """Raises ValueError for float64 without 64-bit mode."""
    if jnp.dtype(dtype) == jnp.dtype("float64") and not jax.config.read("jax_enable_x64"):
        set_it = "call jax.config.update('jax_enable_x64', True) first"
        raise ValueError(f"dtype float64 needs 64-bit mode: {set_it}.")
