"""Polygons and their edges."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pinns._numbers import are_numbers, are_sequences, floating
from pinns._regions._region import Domain, choose
from pinns._regions._triangles import is_simple, signed_area, triangulate
from pinns._samplers import Sampler, unit_points

_ON_EDGE = 1e-6
"""How far from an edge a point still lies on it, in widths of the polygon."""


@dataclasses.dataclass(frozen=True)
class Polygon(Domain):
    """The inside of a simple polygon in the plane.

    Args:
      vertices: The vertices in their order along the boundary, in either sense, three pairs at least.

    Raises:
      ValueError: Fewer vertices, one that is repeated, edges that cross or touch each other, or no area.

    Examples:
      The L of the unit squares:

      >>> import jax, jax.numpy as jnp
      >>> from pinns import Polygon
      >>> shape = Polygon(((0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (1.0, 1.0), (1.0, 2.0), (0.0, 2.0)))
      >>> shape.area
      3.0
      >>> print(shape.contains(jnp.array([1.5, 1.5])), shape.boundary().normal(jnp.array([1.5, 1.0])))
      False [0. 1.]
      >>> shape.sample(jax.random.key(0), 100, "sobol", jnp.float32).shape
      (100, 2)

    References:
      Meisters, Polygons have ears, American Mathematical Monthly, 1975.
    """

    vertices: tuple[tuple[float, float], ...]
    lower: tuple[float, ...] = dataclasses.field(init=False, repr=False, compare=False)
    upper: tuple[float, ...] = dataclasses.field(init=False, repr=False, compare=False)
    triangles: tuple[tuple[int, int, int], ...] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pairs = are_sequences(self.vertices, 2) and all(map(are_numbers, self.vertices))
        if not pairs or len(self.vertices) < 3 or not np.isfinite(self.vertices).all():
            raise ValueError(
                f"a polygon needs three vertices or more, each two numbers, got {self.vertices}."
            )
        corners = np.array(self.vertices, dtype=float)
        repeated = np.flatnonzero((corners == np.roll(corners, -1, axis=0)).all(axis=1))
        if repeated.size:
            raise ValueError(
                f"vertex {repeated[0]} of the polygon is repeated; the last vertex need not be the first "
                f"again: leave it out, got {self.vertices}."
            )
        if not is_simple(corners):
            raise ValueError(
                f"the edges of a polygon must not cross or touch each other, got {self.vertices}."
            )
        object.__setattr__(self, "vertices", tuple(tuple(corner) for corner in corners.tolist()))
        object.__setattr__(self, "lower", tuple(corners.min(axis=0).tolist()))
        object.__setattr__(self, "upper", tuple(corners.max(axis=0).tolist()))
        object.__setattr__(self, "triangles", triangulate(corners))

    @property
    def area(self) -> float:
        """Its area."""
        return abs(signed_area(np.array(self.vertices)))

    def contains(self, x: jax.Array) -> jax.Array:
        """Whether one point of shape (2,) lies in the polygon or on its edges."""
        x = floating(x)
        starts = jnp.asarray(self.vertices, x.dtype)
        ends = jnp.roll(starts, -1, axis=0)
        # A ray to the right crosses the boundary an odd number of times.
        straddles = (starts[:, 1] > x[1]) != (ends[:, 1] > x[1])
        rise = jnp.where(straddles, ends[:, 1] - starts[:, 1], 1)
        crossing = starts[:, 0] + (x[1] - starts[:, 1]) / rise * (ends[:, 0] - starts[:, 0])
        inside = (straddles & (x[0] < crossing)).sum() % 2 == 1
        width = float(np.max(np.subtract(self.upper, self.lower)))
        return inside | (distances(x, starts, ends).min() <= _ON_EDGE * width)

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points inside, uniform by area, shape (num_points, 2)."""
        corners = np.array(self.vertices)[np.array(self.triangles)]
        unit = unit_points(key, num_points, 2, method, dtype)
        which, position = choose(unit[:, 0], np.abs([signed_area(triangle) for triangle in corners]))
        a, b, c = jnp.moveaxis(jnp.asarray(corners, dtype)[which], 1, 0)
        along = jnp.sqrt(position)[:, None]  # strips parallel to bc grow with their distance from a
        across = unit[:, 1:]
        return (1 - along) * a + along * ((1 - across) * b + across * c)

    def boundary(self) -> "Edges":
        """All its edges."""
        return Edges(self, tuple(range(len(self.vertices))))

    def edge(self, index: int) -> "Edges":
        """One edge: from the vertex of this index to the next."""
        return Edges(self, (index,))


@dataclasses.dataclass(frozen=True)
class Edges:
    """Some edges of a polygon. Points are spread over them by length.

    Args:
      polygon: The polygon.
      edges: Indices; edge i goes from vertex i to the next.

    Raises:
      ValueError: No edges, or one that the polygon does not have.
      TypeError: No sequence of indices, or another domain than a polygon.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Polygon
      >>> legs = Polygon(((0.0, 0.0), (3.0, 0.0), (0.0, 4.0))).boundary()
      >>> legs.measure
      12.0
      >>> print(legs.normal(jnp.array([1.5, 2.0])))
      [0.8 0.6]
    """

    polygon: Polygon
    edges: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.polygon, Polygon) or not are_numbers(self.edges):
            raise TypeError(
                f"Edges are those of a Polygon, by indices, Edges(polygon, (0,)), got {self.polygon!r} and "
                f"{self.edges!r}."
            )
        object.__setattr__(self, "edges", tuple(self.edges))
        number = len(self.polygon.vertices)
        if not self.edges or any(index not in range(number) for index in self.edges):
            raise ValueError(f"edges must be indices from 0 to {number - 1}, got {self.edges}.")

    @property
    def measure(self) -> float:
        """The sum of their lengths."""
        return float(self._lengths.sum())

    def normal(self, x: jax.Array) -> jax.Array:
        """The outward unit normal of the edge nearest to one point, shape (2,); at a vertex, of the first."""
        x = floating(x)
        starts, ends = self._ends
        along = (ends - starts) / self._lengths[:, None]
        sense = np.sign(signed_area(np.array(self.polygon.vertices)))
        normals = sense * np.stack([along[:, 1], -along[:, 0]], axis=1)
        nearest = distances(x, jnp.asarray(starts, x.dtype), jnp.asarray(ends, x.dtype)).argmin()
        return jnp.asarray(normals, x.dtype)[nearest]

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points on the edges, shape (num_points, 2)."""
        unit = unit_points(key, num_points, 1, method, dtype)[:, 0]
        which, position = choose(unit, self._lengths)
        starts, ends = (jnp.asarray(corners, dtype)[which] for corners in self._ends)
        return starts + position[:, None] * (ends - starts)

    @property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        corners = np.array(self.polygon.vertices)
        index = np.array(self.edges)
        return corners[index], corners[(index + 1) % len(corners)]

    @property
    def _lengths(self) -> np.ndarray:
        starts, ends = self._ends
        return np.linalg.norm(ends - starts, axis=1)


def distances(x: jax.Array, starts: jax.Array, ends: jax.Array) -> jax.Array:
    """Distances of one point of shape (2,) to E segments, shape (E,)."""
    along = ends - starts
    position = ((x[None] - starts) * along).sum(axis=1) / (along**2).sum(axis=1)
    nearest = starts + jnp.clip(position, 0, 1)[:, None] * along
    return jnp.linalg.norm(x[None] - nearest, axis=1)
