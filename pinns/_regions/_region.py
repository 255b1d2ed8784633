"""What a region, a domain and its boundary are."""

import abc
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pinns._samplers import Sampler


class Region(Protocol):
    """A set of points in which a condition holds: any object that draws points of itself.

    Give it equality and a hash (a frozen dataclass has both), and draw inside ``jax.jit`` only by
    what JAX can trace: points that NumPy draws would be constants of the compiled training.

    Examples:
      The points of a spiral:

      >>> import dataclasses
      >>> import jax, jax.numpy as jnp
      >>> from pinns import unit_points
      >>> @dataclasses.dataclass(frozen=True)
      ... class Spiral:
      ...     turns: float = 3.0
      ...
      ...     def sample(self, key, num_points, method, dtype):
      ...         s = unit_points(key, num_points, 1, method, dtype)
      ...         angle = 2 * jnp.pi * self.turns * s
      ...         return s * jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=1)
      >>> Spiral().sample(jax.random.key(0), 5, "uniform", jnp.float32).shape
      (5, 2)
    """

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> Any:
        """``num_points`` points, shape (num_points, d), or a pytree of arrays with that leading axis."""
        ...


@runtime_checkable
class Boundary(Region, Protocol):
    """A region of one dimension less, with a size and a normal."""

    @property
    def measure(self) -> float:
        """Its length, area, ...; the number of points in one dimension."""
        ...

    def normal(self, x: jax.Array) -> jax.Array:
        """The outward unit normal at one point of it, shape (d,)."""
        ...


class NoPointInside(ValueError):
    """No point of a grid lies in a domain."""


class Domain(abc.ABC):
    """A region with an inside, where a solution lives: the base class of a domain of your own.

    A subclass is a frozen dataclass that sets ``lower`` and ``upper`` and defines ``contains``,
    ``sample`` and ``boundary``; errors are then measured and solutions drawn inside it alone.

    Attributes:
      lower: The lower corner of the bounding box, d numbers.
      upper: The upper corner of the bounding box.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @abc.abstractmethod
    def contains(self, x: jax.Array) -> jax.Array:
        """Whether one point of shape (d,) lies inside, a boolean that can be traced."""

    @abc.abstractmethod
    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points inside, shape (num_points, d)."""

    @abc.abstractmethod
    def boundary(self) -> Region:
        """The boundary."""

    @property
    def dim(self) -> int:
        """The number of coordinates d."""
        return len(self.lower)

    def grid(self, num_points: int, dtype: DTypeLike) -> jax.Array:
        """The points inside of the bounding box's regular grid of ``num_points`` along each axis.

        Raises:
          ValueError: No point of the grid lies inside.
        """
        points = bounding_grid(self.lower, self.upper, num_points)
        inside = points[contains_each(self, points)]
        if not len(inside):
            raise NoPointInside(
                f"none of the {len(points)} points of the grid lies in {self}; take more along each axis."
            )
        return jnp.asarray(inside, dtype)


def bounding_grid(lower: tuple[float, ...], upper: tuple[float, ...], num_points: int) -> np.ndarray:
    """The regular grid of a box, its boundary included, shape (num_points^d, d)."""
    axes = [np.linspace(low, up, num_points) for low, up in zip(lower, upper, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(lower))


def contains_each(domain: Domain, points: np.ndarray) -> np.ndarray:
    """Whether each of many points lies inside; evaluated at once, also while something is traced."""
    with jax.ensure_compile_time_eval():
        return np.asarray(jax.jit(jax.vmap(domain.contains))(jnp.asarray(points)))


def choose(unit: jax.Array, sizes: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Which of several parts a coordinate in [0, 1) chooses, in proportion to their sizes, and where in it.

    Where the coordinate lies in the chosen part's share is its position there, in [0, 1): even points
    stay even.
    """
    ends = np.cumsum(sizes) / np.sum(sizes)
    which = jnp.searchsorted(jnp.asarray(ends[:-1], unit.dtype), unit, side="right")
    starts = jnp.asarray(np.concatenate([[0.0], ends[:-1]]), unit.dtype)[which]
    widths = jnp.asarray(sizes / np.sum(sizes), unit.dtype)[which]
    return which, (unit - starts) / widths


def numbers_by_size(sizes: Sequence[float] | np.ndarray, num_points: int, least: int) -> list[int]:
    """How many of ``num_points`` points each of several parts has: ``least``, the others by its size."""
    ends = np.cumsum(sizes) / np.sum(sizes)
    spare = num_points - least * len(sizes)
    return (np.diff(np.round(spare * ends).astype(int), prepend=0) + least).tolist()


def evenly(number: int, chosen: int) -> np.ndarray:
    """Indices of ``chosen`` of ``number`` points, of which those left out are spread evenly."""
    return np.linspace(0, number - 1, chosen).round().astype(int)
