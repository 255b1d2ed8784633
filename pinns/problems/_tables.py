"""Reference solutions without a closed form, as series that can be evaluated and differentiated anywhere."""

import dataclasses
import functools
import importlib.resources
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinns._numbers import floating


@dataclasses.dataclass(frozen=True)
class Series:
    """Basis functions of one coordinate on an interval.

    Args:
      kind: ``"fourier"`` (1, cosines, then sines of period upper − lower), ``"cosine"`` (1 and the cosines
        alone) or ``"chebyshev"``.
      lower: The left end.
      upper: The right end.
      size: The number of functions; odd for ``"fourier"``.
    """

    kind: str
    lower: float
    upper: float
    size: int

    def __call__(self, x: jax.Array) -> jax.Array:
        """All functions at a scalar ``x``, shape (size,)."""
        if self.kind == "chebyshev":
            return chebyshev(2 * (x - self.lower) / (self.upper - self.lower) - 1, self.size)
        angle = 2 * jnp.pi * (x - self.lower) / (self.upper - self.lower)
        if self.kind == "cosine":
            return jnp.cos(angle * jnp.arange(self.size, dtype=x.dtype))
        multiples = angle * jnp.arange(1, self.size // 2 + 1, dtype=x.dtype)
        return jnp.concatenate([jnp.ones(1, x.dtype), jnp.cos(multiples), jnp.sin(multiples)])


def chebyshev(x: jax.Array, size: int) -> jax.Array:
    """T₀, …, T_{size−1} at a scalar in [−1, 1]; the recurrence can be differentiated at the ends too."""

    def advance(pair: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        low, high = pair
        return (high, 2 * x * high - low), low

    return jax.lax.scan(advance, (jnp.ones_like(x), x), None, length=size)[1]


class Table:
    r"""A function of two coordinates as a sum of products of series.

    .. math:: u_m(x, y) = \sum_r \Big(\sum_i L_{ir} \phi_i(y)\Big) \Big(\sum_j R_{rjm} \psi_j(x)\Big)

    Args:
      first: The series ψ of the first coordinate.
      second: The series φ of the second one.
      left: L, shape (second.size, rank).
      right: R, shape (rank, first.size, m).
      floor: The relative L2 error of every output, as far as it is known; shape (m,).
    """

    def __init__(self, first: Series, second: Series, left: np.ndarray, right: np.ndarray, floor: np.ndarray):
        self.first, self.second = first, second
        self.left, self.right = left, right
        self.floor = floor

    def __call__(self, x: jax.Array) -> jax.Array:
        """The value at one point of shape (2,), shape (m,)."""
        x = floating(x)
        along_second = _product(self.second(x[1]), jnp.asarray(self.left, x.dtype))
        rank, size, outputs = self.right.shape
        right = jnp.asarray(np.moveaxis(self.right, 1, 0).reshape(size, rank * outputs), x.dtype)
        along_first = _product(self.first(x[0]), right).reshape(rank, outputs)
        return _product(along_second, along_first)


class PiecewiseTable:
    """A function of one coordinate as Chebyshev series on intervals.

    Args:
      knots: The ends of the K intervals, increasing, shape (K + 1,).
      coefficients: Of all intervals, shape (K, degree + 1, m).
      floor: The relative L2 error of every output, as far as it is known; shape (m,).
    """

    def __init__(self, knots: np.ndarray, coefficients: np.ndarray, floor: np.ndarray):
        self.knots, self.coefficients = knots, coefficients
        self.floor = floor

    def __call__(self, x: jax.Array) -> jax.Array:
        """The value at one point of shape (1,), shape (m,)."""
        x = floating(x)
        knots = jnp.asarray(self.knots, x.dtype)
        interval = jnp.searchsorted(knots[1:-1], x[0], side="right")
        lower, upper = knots[interval], knots[interval + 1]
        basis = chebyshev(2 * (x[0] - lower) / (upper - lower) - 1, self.coefficients.shape[1])
        return _product(basis, jnp.asarray(self.coefficients, x.dtype)[interval])

    def on_host(self, x: np.ndarray) -> np.ndarray:
        """The values at points of shape (N,) by NumPy, whatever JAX's precision; shape (N, m)."""
        interval = np.searchsorted(self.knots[1:-1], x, side="right")
        lower, upper = self.knots[interval], self.knots[interval + 1]
        degree = self.coefficients.shape[1] - 1
        basis = np.polynomial.chebyshev.chebvander(2 * (x - lower) / (upper - lower) - 1, degree)
        return np.einsum("xi,xim->xm", basis, self.coefficients[interval])


@functools.cache
def load_table(name: str) -> Any:
    """The table ``name`` of the package: a :class:`Table`, or a :class:`PiecewiseTable`.

    They are made by ``python -m benchmarks.references NAME --coefficients`` in the source's repository.
    """
    path = importlib.resources.files("pinns.problems") / "_data" / f"{name}.npz"
    with path.open("rb") as file, np.load(file) as data:
        if "knots" in data:
            return PiecewiseTable(data["knots"], data["coefficients"], data["floor"])
        series = [
            Series(str(kind), float(lower), float(upper), int(size))
            for kind, lower, upper, size in zip(
                data["kinds"], data["lower"], data["upper"], data["sizes"], strict=True
            )
        ]
        return Table(series[0], series[1], data["left"], data["right"], data["floor"])


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)  # a GPU's TF32 has three digits
