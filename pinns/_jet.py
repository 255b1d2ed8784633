"""A value with its directional derivatives of any order, propagated together through a network."""

import collections
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isgd_optax import FieldsAsLeaves


class Jet(FieldsAsLeaves):
    r"""A value with its first K derivatives along D directions, propagated together.

    The networks of this package take jets as they take arrays, and so does what is written with ``+``, ``-``
    and ``*``. Of a sum over directions, such as the Laplacian, the highest derivatives are propagated as
    their sum alone, since they enter linearly ("collapsed"). One array for each order, not a joint one:
    slicing that costs more than it saves.

    Args:
      coefficients: The value, shape (features,), and the derivatives :math:`D^k[v, \dots, v]` for k = 1 … K,
        shape (D, features), of which the last has shape (1, features) if it is collapsed.
      weights: Weights of the directions in the collapsed sum, shape (D,); None for ones.
      collapsed: Whether the highest derivatives are summed over the directions.

    References:
      Li et al., A computational framework for neural network-based variational Monte Carlo with
      Forward Laplacian, 2024. Dangel et al., Collapsing Taylor mode automatic differentiation, 2025.
    """

    _leaves = ("coefficients", "weights")
    _static = ("collapsed",)
    __array_ufunc__ = None  # so that NumPy arrays leave ``array * jet`` to the jet

    def __init__(
        self, coefficients: tuple[jax.Array, ...], weights: jax.Array | None = None, collapsed: bool = False
    ):
        self.coefficients = coefficients
        self.weights = weights
        self.collapsed = collapsed

    @classmethod
    def along(
        cls,
        x: jax.Array,
        directions: jax.Array,
        order: int,
        *,
        collapsed: bool = False,
        weights: jax.Array | None = None,
    ) -> "Jet":
        """The coordinates ``x``, shape (d,), moved along ``directions``, shape (D, d)."""
        zeros = jnp.zeros_like(directions)
        coefficients = (x, directions, *[zeros] * (order - 1))
        if collapsed:
            coefficients = (*coefficients[:-1], zeros[:1])
        return cls(coefficients, weights, collapsed)

    @classmethod
    def of(cls, x: jax.Array, second: str) -> "Jet":
        """The coordinates ``x``, shape (d,), along all axes.

        Args:
          x: One point.
          second: ``"none"`` for first derivatives alone, ``"diagonal"`` for the d pure second ones,
            ``"laplacian"`` for their sum.
        """
        order = {"none": 1, "laplacian": 2, "diagonal": 2}[second]
        axes = jnp.eye(x.shape[0], dtype=x.dtype)
        return cls.along(x, axes, order, collapsed=second == "laplacian")

    @property
    def order(self) -> int:
        """The order K of the highest derivatives."""
        return len(self.coefficients) - 1

    @property
    def value(self) -> jax.Array:
        """The value, shape (features,)."""
        return self.coefficients[0]

    @property
    def first(self) -> jax.Array:
        """The first derivatives, shape (D, features)."""
        return self.coefficients[1]

    @property
    def seconds(self) -> jax.Array:
        """The second derivatives, shape (D, features); (1, features) if collapsed, none if of order 1."""
        return self.coefficients[2] if self.order > 1 else self.first[:0]

    def _like(self, coefficients: list[jax.Array]) -> "Jet":
        return Jet(tuple(coefficients), self.weights, self.collapsed)

    def each(self, fn: Callable[..., jax.Array], *others: "Jet") -> "Jet":
        """A linear ``fn``, applied to value and derivatives alike."""
        jets = [jet.coefficients for jet in (self, *others)]
        return self._like([fn(*same) for same in zip(*jets, strict=True)])

    def _summed(self, order: int, products: jax.Array) -> jax.Array:
        """Products of lower derivatives, shape (D, features), as they enter those of ``order``."""
        if not self.collapsed or order < self.order:
            return products
        if self.weights is None:
            return jnp.sum(products, axis=0, keepdims=True)
        return jnp.einsum("d,df->f", self.weights, products, precision=jax.lax.Precision.HIGHEST)[None]

    def map(self, *f: jax.Array) -> "Jet":
        """f(self), given f and its first K derivatives at the value: Faà di Bruno's formula."""
        coefficients = [f[0]]
        for k in range(1, self.order + 1):
            total = f[1][None] * self.coefficients[k]
            for j, terms in _bell(k):
                products = sum(
                    (factor * _product(self.coefficients, powers) for factor, powers in terms),
                    start=jnp.zeros((), f[0].dtype),
                )
                total = total + f[j][None] * self._summed(k, products)
            coefficients.append(total)
        return self._like(coefficients)

    def __add__(self, other: Any) -> "Jet":
        if isinstance(other, Jet):
            return self.each(jnp.add, other)
        return self._like([self.value + other, *self.coefficients[1:]])

    __radd__ = __add__

    def __neg__(self) -> "Jet":
        return self.each(jnp.negative)

    def __sub__(self, other: Any) -> "Jet":
        return self + (-other)

    def __rsub__(self, other: Any) -> "Jet":
        return (-self) + other

    def __mul__(self, other: Any) -> "Jet":
        if not isinstance(other, Jet):
            factor = jnp.asarray(other)
            rows = factor[None] if factor.ndim else factor
            return self._like([self.value * factor, *(c * rows for c in self.coefficients[1:])])
        coefficients = [self.value * other.value]
        for k in range(1, self.order + 1):
            ends = self.coefficients[k] * other.value[None] + self.value[None] * other.coefficients[k]
            for i in range(1, k):
                products = math.comb(k, i) * (self.coefficients[i] * other.coefficients[k - i])
                ends = ends + self._summed(k, products)
            coefficients.append(ends)
        return self._like(coefficients)

    __rmul__ = __mul__


def _product(coefficients: tuple[jax.Array, ...], powers: tuple[tuple[int, int], ...]) -> jax.Array:
    factors = [coefficients[i] for i, power in powers for _ in range(power)]
    if len(factors) == 2 and factors[0] is factors[1]:
        return jnp.square(factors[0])
    return functools.reduce(jnp.multiply, factors)


@functools.cache
def _bell(k: int) -> tuple[tuple[int, tuple[tuple[int, tuple[tuple[int, int], ...]], ...]], ...]:
    """Terms of the partial Bell polynomials B(k, j) for j = 2 … k: factors, and powers of each derivative."""
    by_parts: dict[int, list[Any]] = collections.defaultdict(list)
    for partition in _partitions(k, k):
        if len(partition) > 1:
            powers = tuple(sorted(collections.Counter(partition).items()))
            ways = math.prod(math.factorial(i) ** power * math.factorial(power) for i, power in powers)
            by_parts[len(partition)].append((math.factorial(k) // ways, powers))
    return tuple((j, tuple(terms)) for j, terms in sorted(by_parts.items()))


def _partitions(n: int, largest: int) -> Iterator[tuple[int, ...]]:
    if n == 0:
        yield ()
    for part in range(min(n, largest), 0, -1):
        for rest in _partitions(n - part, part):
            yield (part, *rest)


def linear(x: Any, kernel: jax.Array, bias: jax.Array | None, precision: jax.lax.PrecisionLike = None) -> Any:
    """``x @ kernel + bias`` of an array (..., features) or a :class:`Jet`."""
    if isinstance(x, Jet):
        y = x.each(lambda part: jnp.matmul(part, kernel, precision=precision))
        return y if bias is None else y + bias
    y = jnp.matmul(x, kernel, precision=precision)
    return y if bias is None else y + jnp.expand_dims(bias, range(y.ndim - 1))


def activate(fn: Callable[[jax.Array], jax.Array], x: Any) -> Any:
    """``fn`` of an array or a :class:`Jet`, element by element."""
    if not isinstance(x, Jet):
        return fn(x)
    if fn is jnp.tanh:  # exact where tanh saturates, and cheaper than nested derivatives
        return x.map(*_tanh(x.value, x.order))
    if fn in (jnp.sin, jnp.cos):
        sine, cosine = jnp.sin(x.value), jnp.cos(x.value)
        cycle = [sine, cosine, -sine, -cosine] if fn is jnp.sin else [cosine, -sine, -cosine, sine]
        return x.map(*(cycle[k % 4] for k in range(x.order + 1)))
    return x.map(*_nested(fn, x.value, max(x.order, 1)))


def _tanh(x: jax.Array, order: int) -> list[jax.Array]:
    """Tanh and its derivatives (1 − t²) q_k(t), with q_{k+1} = −2t q_k + (1 − t²) q_k'."""
    t = jnp.tanh(x)
    slope = 1 - jnp.square(t)
    values, q = [t, slope], np.polynomial.Polynomial([1.0])
    for _ in range(order - 1):
        q = np.polynomial.Polynomial([0.0, -2.0]) * q + np.polynomial.Polynomial([1.0, 0.0, -1.0]) * q.deriv()
        values.append(slope * _polynomial(q.coef, t))
    return values[: order + 1]


def _polynomial(coefficients: np.ndarray, t: jax.Array) -> jax.Array:
    """An odd or even polynomial of t."""
    parity = (len(coefficients) - 1) % 2
    square = jnp.square(t)
    total = jnp.full_like(t, coefficients[-1])
    for c in coefficients[-3::-2]:
        total = total * square + float(c)
    return total * t if parity else total


def _nested(fn: Callable[[jax.Array], jax.Array], x: jax.Array, order: int) -> list[jax.Array]:
    """``fn`` and its derivatives up to ``order``, by nested forward derivatives."""
    one = jnp.ones_like(x)

    def up_to(k: int) -> Callable[[jax.Array], tuple[jax.Array, ...]]:
        if k == 0:
            return lambda z: (fn(z),)

        def values(z: jax.Array) -> tuple[jax.Array, ...]:
            lower, slopes = jax.jvp(up_to(k - 1), (z,), (one,))
            return (*lower, slopes[-1])

        return values

    return list(up_to(order)(x))


def concatenate(parts: list[Any]) -> Any:
    """Arrays or jets, joined along their features."""
    if not isinstance(parts[0], Jet):
        return jnp.concatenate(parts, axis=-1)
    return parts[0].each(lambda *same: jnp.concatenate(same, axis=-1), *parts[1:])
