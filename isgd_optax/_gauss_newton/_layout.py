"""Where in a parameter array the elements of a slice, a transpose or a reshaped part of it lie."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Matrix(NamedTuple):
    """A factor of a matrix product as part of a parameter array, which is a matrix (rows, columns) itself.

    Attributes:
      shape: Shape (rows, columns) of the whole parameter array, whose elements lie row by row.
      input_axis: Axis of the array that is summed over in the product, 0 or 1.
      start: First row and first column of the part.
      size: Numbers of rows and columns of the part.
    """

    shape: tuple[int, int]
    input_axis: int
    start: tuple[int, int]
    size: tuple[int, int]

    def widen(self, array: jax.Array, axis: int) -> jax.Array:
        """Zeros around the last axis of ``array``, which goes with ``axis`` of the part."""
        before, size = self.start[axis], self.size[axis]
        after = self.shape[axis] - before - size
        if not before and not after:
            return array
        return jnp.pad(array, [(0, 0)] * (array.ndim - 1) + [(before, after)])


class Use(NamedTuple):
    """A parameter array as a factor of a matrix product, its derivative Σ_s inputs_s ⊗ cotangents_s.

    Attributes:
      leaf: Index of the parameter array.
      matrix: Where the factor lies in it.
      operand: Which operand of the product it is, 0 or 1.
      to_inputs: Permutation of the other operand's axes: those that are not summed over in front.
      to_cotangents: Permutation of the product's axes: those of the factor at the end.
      scale: Scalars by which the parameters are multiplied, as in :class:`View`.
    """

    leaf: int
    matrix: Matrix
    operand: int
    to_inputs: tuple[int, ...]
    to_cotangents: tuple[int, ...]
    scale: tuple[tuple[int | float, int], ...]


class View(NamedTuple):
    """A value all of whose elements are elements of one parameter array, times common factors.

    Attributes:
      leaf: Index of the parameter array.
      elements: An array of bytes of the value's shape that stand for its elements: its memory is that of
        ``base``, and none of it is ever read.
      base: One byte for each element of the parameter array, in order.
      scale: Pairs of a scalar, a number (float) or its place in the program (int), and its exponent, ±1.
    """

    leaf: int
    elements: np.ndarray
    base: np.ndarray
    scale: tuple[tuple[int | float, int], ...] = ()

    @classmethod
    def whole(cls, leaf: int, shape: tuple[int, ...]) -> "View":
        """The parameter array itself."""
        base = np.empty(math.prod(shape), np.int8)
        return cls(leaf, base.reshape(shape), base)

    def transformed(self, name: str, params: dict[str, Any]) -> "list[View] | None":
        """What the primitive ``name`` makes of the value, or None if that is no such view."""
        a = self.elements
        if name == "transpose":
            results = [a.transpose(params["permutation"])]
        elif name in ("reshape", "squeeze"):
            if params.get("dimensions") is not None and name == "reshape":
                return None
            shape = params["new_sizes"] if name == "reshape" else np.squeeze(a, params["dimensions"]).shape
            results = [a.reshape(shape)]
        elif name == "slice":
            strides = params["strides"] or (1,) * a.ndim
            steps = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
            results = [a[tuple(slice(*step) for step in steps)]]
        elif name == "split":
            results = np.split(a, np.cumsum(params["sizes"])[:-1], axis=params["axis"])
        elif name == "broadcast_in_dim":
            places = params["broadcast_dimensions"]
            spread = a.reshape(
                [a.shape[places.index(d)] if d in places else 1 for d in range(len(params["shape"]))]
            )
            results = [np.broadcast_to(spread, params["shape"])]
        elif name in ("copy", "copy_p", "convert_element_type"):
            if not jnp.issubdtype(params.get("new_dtype", float), jnp.floating):
                return None
            results = [a]
        else:
            return None
        if not all(np.may_share_memory(result, self.base) for result in results):  # NumPy had to copy
            return None
        return [self._replace(elements=result) for result in results]

    def matrix(
        self,
        contracted: tuple[int, ...],
        free: tuple[int, ...],
        leaf_shape: tuple[int, ...],
        columns: int | None,
    ) -> tuple[Matrix, tuple[int, ...], tuple[int, ...]] | None:
        """The value as a factor of a matrix product.

        Args:
          contracted: Axes that are summed over in the product.
          free: The other axes.
          leaf_shape: Shape of the parameter array.
          columns: Columns of the parameter array in an earlier product, None if this is the first.

        Returns:
          The factor, and the order in which the contracted and the free axes are joined; or None where
          the elements do not lie in the array as those of a matrix do, or are a small part of it.
        """
        a = self.elements
        if any(size > 1 and stride == 0 for size, stride in zip(a.shape, a.strides, strict=True)):
            return None
        in_order = lambda axes: tuple(sorted(range(len(axes)), key=lambda k: (-a.strides[axes[k]], k)))
        orders = in_order(contracted), in_order(free)
        groups = [[axes[k] for k in order] for axes, order in zip((contracted, free), orders, strict=True)]
        num_in, num_out = (math.prod(a.shape[k] for k in group) for group in groups)
        sizes = (num_in, num_out)
        joined = a.transpose(groups[0] + groups[1]).reshape(sizes)
        if not a.size or not np.may_share_memory(joined, self.base) or 4 * a.size < self.base.size:
            return None
        strides = [s for s, size in zip(joined.strides, sizes, strict=True) if size > 1]
        if columns is None:
            columns = leaf_shape[1] if len(leaf_shape) == 2 else _columns(strides, self.base.size)
        offset = a.__array_interface__["data"][0] - self.base.__array_interface__["data"][0]
        start = divmod(offset, columns)
        shape = (self.base.size // columns, columns)
        for axis in (0, 1):
            size = (num_in, num_out) if axis == 0 else (num_out, num_in)
            given = joined.strides if axis == 0 else joined.strides[::-1]
            fits = all(n == 1 or s == step for n, s, step in zip(size, given, (columns, 1), strict=True))
            if fits and shape[0] * columns == self.base.size and start[1] + size[1] <= columns:
                return Matrix(shape, axis, start, size), *orders
        return None


def _columns(strides: list[int], size: int) -> int:
    """Columns of a parameter array with ``size`` elements, given the strides of a matrix in it."""
    return max(strides, default=1) if max(strides, default=1) > 1 else size
