"""Value, gradient and second derivatives of a network at a point, in one forward propagation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from isgd_optax import FieldsAsLeaves


class Jet(FieldsAsLeaves):
    """A value with its first and second derivatives by the coordinates, propagated together.

    A network that is written with :func:`linear`, :func:`activate`, ``+``, ``-`` and ``*`` takes jets
    as it takes arrays. Three arrays, not one: slicing a joint one costs more than it saves.

    Args:
      value: shape (features,).
      first: the d first derivatives, shape (d, features).
      seconds: shape (0, 1 or d, features), after ``second``.
      second: ``"laplacian"`` for one Laplacian, ``"diagonal"`` for the d pure second derivatives,
        ``"none"``.

    References:
      Li et al., A computational framework for neural network-based variational Monte Carlo with
      Forward Laplacian, 2024 (the propagation rules).
    """

    _leaves = ("value", "first", "seconds")
    _static = ("second",)
    __array_ufunc__ = None  # so that NumPy arrays leave ``array * jet`` to the jet

    def __init__(self, value: jax.Array, first: jax.Array, seconds: jax.Array, second: str):
        self.value = value
        self.first = first
        self.seconds = seconds
        self.second = second

    @classmethod
    def of(cls, x: jax.Array, second: str) -> "Jet":
        """The coordinates ``x``, shape (d,), with their own derivatives."""
        (dim,) = x.shape
        num_second = {"none": 0, "laplacian": 1, "diagonal": dim}[second]
        return cls(x, jnp.eye(dim, dtype=x.dtype), jnp.zeros((num_second, dim), x.dtype), second)

    def _each(self, fn: Callable[..., jax.Array], *others: "Jet") -> "Jet":
        """A linear ``fn``, applied to value, first and second derivatives alike."""
        parts = [
            fn(*same) for same in zip(*((j.value, j.first, j.seconds) for j in (self, *others)), strict=True)
        ]
        return Jet(*parts, second=self.second)

    def _join(self, value: jax.Array, first: jax.Array, seconds: jax.Array) -> "Jet":
        return Jet(value, first, seconds, self.second)

    def _contract(self, products: jax.Array) -> jax.Array:
        """Products of first derivatives, shape (d, features), as they enter the seconds."""
        if self.second == "laplacian":
            return jnp.sum(products, axis=0, keepdims=True)
        return products if self.second == "diagonal" else products[:0]

    def map(self, f0: jax.Array, f1: jax.Array, f2: jax.Array) -> "Jet":
        """f(self), given f, f' and f'' at the value: the chain rule."""
        squares = self._contract(jnp.square(self.first))
        return self._join(f0, f1[None] * self.first, f1[None] * self.seconds + f2[None] * squares)

    def __add__(self, other: Any) -> "Jet":
        if isinstance(other, Jet):
            return self._each(jnp.add, other)
        return self._join(self.value + other, self.first, self.seconds)

    __radd__ = __add__

    def __neg__(self) -> "Jet":
        return self._each(jnp.negative)

    def __sub__(self, other: Any) -> "Jet":
        return self + (-other)

    def __rsub__(self, other: Any) -> "Jet":
        return (-self) + other

    def __mul__(self, other: Any) -> "Jet":
        if not isinstance(other, Jet):
            factor = jnp.asarray(other)
            rows = factor[None] if factor.ndim else factor
            return self._join(self.value * factor, self.first * rows, self.seconds * rows)
        cross = 2 * self._contract(self.first * other.first)
        return self._join(
            self.value * other.value,
            self.first * other.value[None] + self.value[None] * other.first,
            self.seconds * other.value[None] + self.value[None] * other.seconds + cross,
        )

    __rmul__ = __mul__


def linear(x: Any, kernel: jax.Array, bias: jax.Array | None, precision: jax.lax.PrecisionLike = None) -> Any:
    """``x @ kernel + bias`` of an array (..., features) or a :class:`Jet`."""
    if isinstance(x, Jet):
        y = x._each(lambda part: jnp.matmul(part, kernel, precision=precision))
        return y if bias is None else y + bias
    y = jnp.matmul(x, kernel, precision=precision)
    return y if bias is None else y + jnp.expand_dims(bias, range(y.ndim - 1))


def activate(fn: Callable[[jax.Array], jax.Array], x: Any) -> Any:
    """``fn`` of an array or a :class:`Jet`, element by element."""
    if not isinstance(x, Jet):
        return fn(x)
    if fn is jnp.tanh:  # exact where tanh saturates, and cheaper than two nested derivatives
        t = jnp.tanh(x.value)
        slope = 1 - jnp.square(t)
        return x.map(t, slope, -2 * t * slope)
    one = jnp.ones_like(x.value)
    derivative = lambda z: jax.jvp(fn, (z,), (one,))
    (f0, f1), (_, f2) = jax.jvp(derivative, (x.value,), (one,))
    return x.map(f0, f1, f2)


def concatenate(parts: list[Any]) -> Any:
    """Arrays or jets, joined along their features."""
    if not isinstance(parts[0], Jet):
        return jnp.concatenate(parts, axis=-1)
    return parts[0]._each(lambda *same: jnp.concatenate(same, axis=-1), *parts[1:])


def gradient(u: Callable[[Any], Any], x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Value and first derivatives of ``u`` at one point.

    Args:
      u: a network, or any function of one point.
      x: the point, shape (d,).

    Returns:
      u(x), shape (m,) (or what ``u`` returns), and ∂u/∂xᵢ, shape (d, m).

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import gradient
      >>> value, first = gradient(lambda x: x[:1] * x[1:], jnp.array([2.0, 3.0]))
      >>> print(value, first[0], first[1])
      [6.] [3.] [2.]
    """
    value, first, _ = _propagate(u, x, "none")
    return value, first


def laplacian(u: Callable[[Any], Any], x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""Value, first derivatives and Laplacian of ``u`` at one point.

    .. math:: \Delta u = \sum_i \frac{\partial^2 u}{\partial x_i^2}

    Args:
      u: a network, or any function of one point. A network that declares ``supports_jets`` is
        passed through once with d + 2 streams; any other function by nested forward derivatives.
      x: the point, shape (d,).

    Returns:
      u(x) of shape (m,), ∂u/∂xᵢ of shape (d, m), and Δu of shape (m,).

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import laplacian
      >>> _, _, lap = laplacian(lambda x: jnp.sum(x**2), jnp.array([2.0, 3.0]))
      >>> print(lap)
      4.0
    """
    value, first, seconds = _propagate(u, x, "laplacian")
    return value, first, seconds[0]


def second_derivatives(u: Callable[[Any], Any], x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Value, first and pure second derivatives of ``u`` at one point.

    Args:
      u: a network, or any function of one point.
      x: the point, shape (d,).

    Returns:
      u(x) of shape (m,), ∂u/∂xᵢ of shape (d, m), and ∂²u/∂xᵢ² of shape (d, m).

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import second_derivatives
      >>> _, _, second = second_derivatives(lambda x: x[0] ** 2 * x[1], jnp.array([2.0, 3.0]))
      >>> print(second)
      [6. 0.]
    """
    return _propagate(u, x, "diagonal")


def _propagate(u: Callable[[Any], Any], x: jax.Array, second: str):
    if getattr(u, "supports_jets", False):
        jet = u(Jet.of(x, second))
        return jet.value, jet.first, jet.seconds
    return _nested(u, x, second)


def _nested(u: Callable[[Any], Any], x: jax.Array, second: str):
    """The same for any function, by forward-over-forward differentiation along each axis."""
    axes = jnp.eye(x.shape[0], dtype=x.dtype)
    along = lambda axis: lambda z: jax.jvp(u, (z,), (axis,))
    if second == "none":
        first = jax.vmap(lambda axis: along(axis)(x)[1])(axes)
        return jnp.asarray(u(x)), first, first[:0]

    def both(axis):
        (value, first), (_, seconds) = jax.jvp(along(axis), (x,), (axis,))
        return value, first, seconds

    value, first, seconds = jax.vmap(both)(axes)
    if second == "laplacian":
        seconds = jnp.sum(seconds, axis=0, keepdims=True)
    return value[0], first, seconds
