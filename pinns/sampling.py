"""Regions of space-time and the points that are drawn in them."""

import dataclasses
import functools
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import qmc

METHODS = ("uniform", "sobol", "grid")


class Region(Protocol):
    """A set of points, parametrised by the unit cube."""

    def sample(self, key: jax.Array, num_points: int, method: str, dtype: Any) -> jax.Array:
        """``num_points`` points of it, shape (num_points, d)."""
        ...


def unit_points(key: jax.Array, num_points: int, dim: int, method: str, dtype: Any) -> jax.Array:
    """Points of the unit cube [0, 1)ᵈ.

    Args:
      key: a JAX random key; unused by ``"grid"``.
      num_points: N; a d-th power for ``"grid"``.
      dim: d.
      method: ``"uniform"`` draws independent points, ``"sobol"`` shifts a Sobol sequence by a random
        vector, modulo 1 (fresh points cost no host work), ``"grid"`` takes the centres of equal cells.
      dtype: of the points.

    Returns:
      Shape (N, d).

    Raises:
      ValueError: unknown method, N < 1, or N no d-th power for a grid.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from pinns import unit_points
      >>> print(unit_points(jax.random.key(0), 4, 1, "grid", jnp.float32)[:, 0])
      [0.125 0.375 0.625 0.875]

    References:
      Cranley and Patterson, Randomization of number theoretic methods for multiple integration, 1976.
    """
    if num_points < 1:
        raise ValueError(f"num_points must be at least 1, got {num_points}.")
    if method == "uniform":
        return jax.random.uniform(key, (num_points, dim), dtype)
    if method == "sobol":
        shift = jax.random.uniform(key, (1, dim), dtype)
        return jnp.mod(jnp.asarray(_sobol(num_points, dim), dtype) + shift, 1)
    if method == "grid":
        side = round(num_points ** (1 / dim))
        if side**dim != num_points:
            raise ValueError(
                f"a grid in {dim} dimensions needs n^{dim} points, e.g. {side**dim}, got {num_points}."
            )
        axis = (jnp.arange(side, dtype=dtype) + 0.5) / side
        return jnp.stack(jnp.meshgrid(*[axis] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    raise ValueError(f"method must be one of {METHODS}, got {method!r}.")


@functools.cache
def _sobol(num_points: int, dim: int) -> np.ndarray:
    """The first points of the Sobol sequence (a full power of two is drawn: a balanced set)."""
    points = qmc.Sobol(dim, scramble=False).random_base2(max(1, math.ceil(math.log2(num_points))))
    return points[:num_points]


@dataclasses.dataclass(frozen=True)
class Box:
    """The box Π [lowerᵢ, upperᵢ], in space or space-time.

    Args:
      lower: the lower corner, d numbers.
      upper: the upper corner.

    Raises:
      ValueError: corners of different lengths or not lower < upper.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from pinns import Box
      >>> box = Box((0.0, 0.0), (1.0, 2.0))
      >>> box.sample(jax.random.key(0), 100, "sobol", jnp.float32).shape
      (100, 2)
      >>> print(box.face(1, "lower").sample(jax.random.key(0), 3, "grid", jnp.float32)[:, 1])
      [0. 0. 0.]
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.lower) != len(self.upper) or not all(
            low < up for low, up in zip(self.lower, self.upper, strict=True)
        ):
            raise ValueError(f"a box needs lower < upper on every axis, got {self.lower} and {self.upper}.")

    @property
    def dim(self) -> int:
        """The number of coordinates d."""
        return len(self.lower)

    def sample(self, key: jax.Array, num_points: int, method: str, dtype: Any) -> jax.Array:
        """Points inside."""
        return self._scale(unit_points(key, num_points, self.dim, method, dtype))

    def grid(self, num_points: int, dtype: Any) -> jax.Array:
        """A regular grid that includes the boundary: ``num_points`` along each axis, shape (n^d, d)."""
        axis = jnp.linspace(0, 1, num_points, dtype=dtype)
        mesh = jnp.stack(jnp.meshgrid(*[axis] * self.dim, indexing="ij"), axis=-1)
        return self._scale(mesh.reshape(-1, self.dim))

    def boundary(self) -> "Faces":
        """All its faces."""
        return Faces(self, tuple((axis, side) for axis in range(self.dim) for side in ("lower", "upper")))

    def face(self, axis: int, side: str) -> "Faces":
        """One face, e.g. the initial time: ``side`` is ``"lower"`` or ``"upper"``."""
        return Faces(self, ((axis, side),))

    def _scale(self, unit: jax.Array) -> jax.Array:
        lower, upper = (jnp.asarray(corner, unit.dtype)[None] for corner in (self.lower, self.upper))
        return lower + (upper - lower) * unit


@dataclasses.dataclass(frozen=True)
class Faces:
    """Some faces of a box. Points are spread over them by area.

    The faces of an interval are single points: there every one is returned once, whatever number
    is asked for.

    Args:
      box: the box.
      faces: pairs of an axis and ``"lower"`` or ``"upper"``.

    Raises:
      ValueError: no faces, or one that the box does not have.
    """

    box: Box
    faces: tuple[tuple[int, str], ...]

    def __post_init__(self) -> None:
        if not self.faces or any(
            not 0 <= axis < self.box.dim or side not in ("lower", "upper") for axis, side in self.faces
        ):
            raise ValueError(
                f"faces must be pairs (axis, 'lower' or 'upper') of a {self.box.dim}-dimensional box, "
                f"got {self.faces}."
            )

    def sample(self, key: jax.Array, num_points: int, method: str, dtype: Any) -> jax.Array:
        """Points on the faces."""
        dim = self.box.dim
        corners = {"lower": self.box.lower, "upper": self.box.upper}
        if dim == 1:
            return jnp.asarray([corners[side] for _, side in self.faces], dtype)
        lengths = np.subtract(self.box.upper, self.box.lower)
        areas = np.array([np.prod(np.delete(lengths, axis)) for axis, _ in self.faces])
        ends = np.cumsum(areas) / np.sum(areas)
        unit = unit_points(key, num_points, dim - 1, method, dtype)
        # The first coordinate chooses the face; where it lies in that face's share is its position there.
        which = jnp.searchsorted(jnp.asarray(ends[:-1], dtype), unit[:, 0], side="right")
        starts = jnp.asarray(np.concatenate([[0.0], ends[:-1]]), dtype)[which]
        widths = jnp.asarray(areas / np.sum(areas), dtype)[which]
        unit = unit.at[:, 0].set((unit[:, 0] - starts) / widths)
        on_face = []
        for axis, side in self.faces:
            fixed = jnp.full((num_points, 1), float(side == "upper"), dtype)
            on_face.append(jnp.concatenate([unit[:, :axis], fixed, unit[:, axis:]], axis=1))
        index = jnp.broadcast_to(which[None, :, None], (1, num_points, dim))
        return self.box._scale(jnp.take_along_axis(jnp.stack(on_face), index, axis=0)[0])
