"""A function given by a table, as a reference solution often is."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from scipy.interpolate import make_interp_spline

from pinns._identity import ByContent, digest
from pinns._numbers import floating, unmasked

_ROUNDING = 1e-5
"""How far outside a point still counts as one of the table's end, in widths of the table."""


class Interpolated:
    r"""A function through the values of a table on a regular grid.

    It is a tensor product of splines,

    .. math:: u(x) = \sum_{i_1 \dots i_d} c_{i_1 \dots i_d}\, B_{i_1}(x_1) \cdots B_{i_d}(x_d),

    twice continuously differentiable cubic ones (without a knot next to the ends, so that the error is of
    fourth order up to them) in one and two dimensions, and linear ones beyond. It can be traced and
    differentiated, and is NaN outside of its table; equal tables are equal functions.

    Args:
      axes: The increasing coordinates of the grid, an array of shape (n,) for each of d axes.
      values: The values, shape (n_1, ..., n_d) for one output or (n_1, ..., n_d, m).

    Raises:
      ValueError: Axes that do not increase or are too short, numbers that are not finite or are masked, or
        values of another shape.
      TypeError: Complex values, or axes that are no sequence of arrays.

    Examples:
      A reference solution of a problem, ``exact = Interpolated(...)`` in its class:

      >>> import numpy as np, jax, jax.numpy as jnp
      >>> from pinns import Interpolated
      >>> x = np.linspace(0.0, 1.0, 21)
      >>> table = Interpolated((x,), np.exp(x))
      >>> table(jnp.array([0.512])).shape
      (1,)
      >>> bool(abs(jax.grad(lambda x: table(x)[0])(jnp.array([0.512]))[0] - np.exp(0.512)) < 1e-4)
      True

    References:
      de Boor, A Practical Guide to Splines, 2001.
    """

    def __init__(self, axes: Sequence[ArrayLike], values: ArrayLike):
        if not hasattr(axes, "__len__") or any(np.ndim(axis) == 0 for axis in axes):
            raise TypeError(
                "the axes of a table are one array for each coordinate: Interpolated((x,), values) in 1-D."
            )
        arrays = tuple(np.array(unmasked("an axis", axis), dtype=float) for axis in axes)
        if np.iscomplexobj(values):
            raise TypeError("a table has real values: give the real and the imaginary part as two columns.")
        table = np.array(unmasked("values of the table", values), dtype=float)
        degree = 3 if len(arrays) <= 2 else 1
        for axis in arrays:
            if axis.ndim != 1 or len(axis) < degree + 1 or not np.isfinite(axis).all():
                raise ValueError(
                    f"an axis needs {degree + 1} finite numbers or more, got an array of shape {axis.shape}."
                )
            if not (np.diff(axis) > 0).all():
                raise ValueError("the coordinates of an axis must increase.")
        sizes = tuple(len(axis) for axis in arrays)
        if not sizes or table.shape[: len(sizes)] != sizes or table.ndim > len(sizes) + 1:
            raise ValueError(f"values must have shape {sizes} or {(*sizes, 'm')}, got {table.shape}.")
        if not np.isfinite(table).all():
            raise ValueError("the values must be finite.")
        if table.ndim == len(sizes):
            table = table[..., None]
        knots, coefficients = [], table
        for i, axis in enumerate(arrays):
            spline = make_interp_spline(axis, coefficients, k=degree, axis=i)
            knots.append(spline.t)
            coefficients = np.moveaxis(spline.c, 0, i)
        for array in (*arrays, table, coefficients):
            array.setflags(write=False)
        self.axes, self.values = arrays, table
        self._degree, self._knots, self._coefficients = degree, knots, coefficients
        self._content = ByContent([arrays, table])

    def __call__(self, x: jax.Array) -> jax.Array:
        """The function at one point of shape (d,), shape (m,); NaN outside of the table."""
        if x.shape != (len(self.axes),):
            raise ValueError(f"one point has shape {(len(self.axes),)}, got {x.shape}.")
        x = floating(x)
        degree = self._degree
        window: Any = jnp.asarray(self._coefficients, x.dtype)
        firsts, weights = [], []
        for axis, knots, coordinate in zip(self.axes, self._knots, x, strict=True):
            width = axis[-1] - axis[0]
            near = (coordinate >= axis[0] - _ROUNDING * width) & (coordinate <= axis[-1] + _ROUNDING * width)
            first, basis = _basis(jnp.asarray(knots, x.dtype), degree, coordinate)
            firsts.append(first)
            weights.append(jnp.where(near, basis, jnp.nan))
        window = jax.lax.dynamic_slice(
            window, (*firsts, jnp.zeros_like(firsts[0])), (degree + 1,) * len(weights) + window.shape[-1:]
        )
        for basis in weights:
            # A GPU's TF32 has three digits.
            window = jnp.tensordot(basis, window, axes=1, precision=jax.lax.Precision.HIGHEST)
        return window

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Interpolated) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __repr__(self) -> str:
        return f"Interpolated({self.values.shape}, {digest([self.axes, self.values])})"


def _basis(knots: jax.Array, degree: int, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The index of the first B-spline that is not zero at ``x``, and the values of all degree + 1."""
    inner = knots[degree + 1 : len(knots) - degree - 1]
    interval = degree + jnp.searchsorted(inner, jax.lax.stop_gradient(x), side="right")
    values = jnp.ones(1, x.dtype)
    for k in range(1, degree + 1):  # Cox and de Boor
        index = interval + jnp.arange(1, k + 1)
        right, left = knots[index], knots[index - k]
        rising = values * (x - left) / (right - left)
        falling = values * (right - x) / (right - left)
        values = jnp.pad(falling, (0, 1)) + jnp.pad(rising, (1, 0))
    return interval - degree, values
