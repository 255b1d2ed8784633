"""Boxes and their faces."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pinns._numbers import are_numbers, are_sequences, coordinates, floating
from pinns._regions._region import Domain, choose, evenly, numbers_by_size
from pinns._samplers import Grid, Sampler, as_sampler, unit_points


@dataclasses.dataclass(frozen=True)
class Box(Domain):
    """The box Π [lowerᵢ, upperᵢ], in space or space-time.

    Args:
      lower: The lower corner, d numbers.
      upper: The upper corner.

    Raises:
      ValueError: Corners of different lengths or not lower < upper.
      TypeError: Corners that are no sequences of numbers.

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
        object.__setattr__(self, "lower", coordinates(self.lower))
        object.__setattr__(self, "upper", coordinates(self.upper))
        if not (are_numbers(self.lower) and are_numbers(self.upper)):
            raise TypeError(
                "a box needs the coordinates of its corners, Box((0.0,), (1.0,)) in 1-D, got "
                f"{self.lower!r} and {self.upper!r}."
            )
        if len(self.lower) != len(self.upper) or not all(
            low < up for low, up in zip(self.lower, self.upper, strict=True)
        ):
            raise ValueError(f"a box needs lower < upper on every axis, got {self.lower} and {self.upper}.")
        if not np.all(np.isfinite([*self.lower, *self.upper])):
            raise ValueError(
                f"a box needs finite corners, got {self.lower} and {self.upper}: cut the domain off, or map "
                "it to a finite one."
            )

    def contains(self, x: jax.Array) -> jax.Array:
        """Whether one point of shape (d,) lies in the box or on its faces."""
        # In the type of the point: else a face drawn in float32 would lie beside a corner in float64.
        x = floating(x)
        return ((x >= jnp.asarray(self.lower, x.dtype)) & (x <= jnp.asarray(self.upper, x.dtype))).all()

    def between(self, axis: int, begin: float, end: float) -> "Box":
        """The part between two values of a coordinate."""
        lower, upper = list(self.lower), list(self.upper)
        lower[axis], upper[axis] = begin, end
        return Box(tuple(lower), tuple(upper))

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points inside, shape (num_points, d)."""
        return self.scale(unit_points(key, num_points, self.dim, method, dtype))

    def grid(self, num_points: int, dtype: DTypeLike) -> jax.Array:
        """A regular grid that includes the boundary: ``num_points`` along each axis, shape (n^d, d)."""
        axis = jnp.linspace(0, 1, num_points, dtype=dtype)
        mesh = jnp.stack(jnp.meshgrid(*[axis] * self.dim, indexing="ij"), axis=-1)
        return self.scale(mesh.reshape(-1, self.dim))

    def boundary(self) -> "Faces":
        """All its faces."""
        return Faces(self, tuple((axis, side) for axis in range(self.dim) for side in ("lower", "upper")))

    def face(self, axis: int, side: str) -> "Faces":
        """One face, e.g. the initial time: ``side`` is ``"lower"`` or ``"upper"``."""
        return Faces(self, ((axis, side),))

    def scale(self, unit: jax.Array) -> jax.Array:
        """Points of the unit cube, shape (N, d), moved into the box."""
        lower, upper = (jnp.asarray(corner, unit.dtype)[None] for corner in (self.lower, self.upper))
        return lower + (upper - lower) * unit


@dataclasses.dataclass(frozen=True)
class Faces:
    """Some faces of a box. Points are spread over them by area.

    The faces of an interval are single points: there every one is returned once, whatever number
    is asked for. On several faces of three or more dimensions each has a part of a ``"grid"`` of its own.

    Args:
      box: The box.
      faces: Pairs of an axis and ``"lower"`` or ``"upper"``.

    Raises:
      ValueError: No faces, or one that the box does not have.
      TypeError: Faces that are no pairs, or of another domain than a box.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Box
      >>> print(Box((0.0, 0.0), (1.0, 2.0)).boundary().normal(jnp.array([0.3, 2.0])))
      [0. 1.]
    """

    box: Box
    faces: tuple[tuple[int, str], ...]

    def __post_init__(self) -> None:
        if not isinstance(self.box, Box):
            raise TypeError(
                f"Faces are those of a Box, got {self.box!r}: of a Difference take domain.face(axis, side), "
                "of a SpaceTime domain.face(-1, side), or domain.during(space.face(axis, side))."
            )
        if not are_sequences(self.faces, 2):
            raise TypeError(f"faces must be pairs, e.g. ((0, 'lower'), (0, 'upper')), got {self.faces!r}.")
        object.__setattr__(self, "faces", tuple(map(tuple, self.faces)))
        if not self.faces or any(
            axis not in range(self.box.dim) or side not in ("lower", "upper") for axis, side in self.faces
        ):
            raise ValueError(
                f"faces must be pairs (axis, 'lower' or 'upper') of a {self.box.dim}-dimensional box, "
                f"got {self.faces}."
            )

    @property
    def measure(self) -> float:
        """The sum of their areas."""
        return float(np.sum(self._areas))

    def normal(self, x: jax.Array) -> jax.Array:
        """The outward unit normal of the face of one point, shape (d,); at an edge, of the first."""
        x = floating(x)
        axes, signs, corners = (np.array(column) for column in zip(*self._planes, strict=True))
        lengths = np.subtract(self.box.upper, self.box.lower)[axes]
        distances = jnp.abs(x[axes] - jnp.asarray(corners, x.dtype)) / jnp.asarray(lengths, x.dtype)
        normals = np.eye(self.box.dim)[axes] * signs[:, None]
        return jnp.asarray(normals, x.dtype)[jnp.argmin(distances)]

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points on the faces, shape (num_points, d)."""
        dim = self.box.dim
        if dim == 1:
            return jnp.asarray([[corner] for _, _, corner in self._planes], dtype)
        if dim > 2 and len(self.faces) > 1 and isinstance(as_sampler(method), Grid):
            return self._grids(num_points, dtype)
        unit = unit_points(key, num_points, dim - 1, method, dtype)
        which, position = choose(unit[:, 0], self._areas)
        unit = unit.at[:, 0].set(position)
        on_face = []
        for axis, side in self.faces:
            fixed = jnp.full((num_points, 1), float(side == "upper"), dtype)
            on_face.append(jnp.concatenate([unit[:, :axis], fixed, unit[:, axis:]], axis=1))
        index = jnp.broadcast_to(which[None, :, None], (1, num_points, dim))
        points = self.box.scale(jnp.take_along_axis(jnp.stack(on_face), index, axis=0)[0])
        # Exactly on its face, as a residual may ask: lower + (upper - lower) is not always upper.
        axes = jnp.asarray([axis for axis, _ in self.faces])[which, None]
        corners = jnp.asarray([corner for _, _, corner in self._planes], dtype)[which, None]
        return jnp.where(jnp.arange(dim)[None] == axes, corners, points)

    def _grids(self, num_points: int, dtype: DTypeLike) -> jax.Array:
        """Points of a grid of each face: one coordinate of a common grid has too few values to choose by."""
        least = int(num_points >= len(self.faces))
        numbers = numbers_by_size(self._areas, num_points, least)
        drawn = []
        for face, number in zip(self.faces, numbers, strict=True):
            if number:
                cells = math.ceil(round(number ** (1 / (self.box.dim - 1)), 9)) ** (self.box.dim - 1)
                points = Faces(self.box, (face,)).sample(jax.random.key(0), cells, "grid", dtype)
                drawn.append(points[evenly(cells, number)])
        return jnp.concatenate(drawn)

    @property
    def _areas(self) -> np.ndarray:
        lengths = np.subtract(self.box.upper, self.box.lower)
        return np.array([np.prod(np.delete(lengths, axis)) for axis, _ in self.faces])

    @property
    def _planes(self) -> list[tuple[int, float, float]]:
        """Axis, sign of the normal and coordinate of each face."""
        corners = {"lower": (-1.0, self.box.lower), "upper": (1.0, self.box.upper)}
        return [(axis, corners[side][0], corners[side][1][axis]) for axis, side in self.faces]
