"""Balls and spheres."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pinns._numbers import are_numbers, coordinates, floating
from pinns._regions._region import Domain
from pinns._samplers import Sampler, unit_points


@dataclasses.dataclass(frozen=True)
class Ball(Domain):
    """The ball ‖x − center‖ ≤ radius: a disk in two dimensions, an interval in one.

    Args:
      center: The centre, d numbers.
      radius: The radius, a positive number.

    Raises:
      ValueError: A radius that is not positive, numbers that are not finite, or no coordinates.
      TypeError: A centre that is no sequence of numbers, a radius that is no number.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from pinns import Ball
      >>> disk = Ball((0.0, 0.0), 1.0)
      >>> disk.sample(jax.random.key(0), 100, "sobol", jnp.float32).shape
      (100, 2)
      >>> print(disk.contains(jnp.array([0.9, 0.9])))
      False
    """

    center: tuple[float, ...]
    radius: float
    lower: tuple[float, ...] = dataclasses.field(init=False, repr=False, compare=False)
    upper: tuple[float, ...] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", coordinates(self.center))
        _check(self.center, self.radius)
        object.__setattr__(self, "lower", tuple(c - self.radius for c in self.center))
        object.__setattr__(self, "upper", tuple(c + self.radius for c in self.center))

    def contains(self, x: jax.Array) -> jax.Array:
        """Whether one point of shape (d,) lies in the ball or on its sphere."""
        return ((x - np.array(self.center)) ** 2).sum() <= self.radius**2

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points inside, uniform by volume, shape (num_points, d).

        A grid is one of radii and angles; beyond three dimensions a point takes d + 1 coordinates of
        the unit cube.
        """
        unit = unit_points(key, num_points, 1 + _num_coordinates(self.dim), method, dtype)
        if self.dim == 1:
            offsets = 2 * unit - 1
        else:
            offsets = unit[:, :1] ** (1 / self.dim) * _directions(unit[:, 1:], self.dim)
        return jnp.asarray(self.center, dtype)[None] + self.radius * offsets

    def boundary(self) -> "Sphere":
        """Its sphere."""
        return Sphere(self.center, self.radius)


@dataclasses.dataclass(frozen=True)
class Sphere:
    """The sphere ‖x − center‖ = radius: a circle in two dimensions, two points in one.

    In one dimension both points are returned once, whatever number is asked for.

    Args:
      center: The centre, d numbers.
      radius: The radius, a positive number.

    Raises:
      ValueError: A radius that is not positive, numbers that are not finite, or no coordinates.
      TypeError: A centre that is no sequence of numbers, a radius that is no number.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Sphere
      >>> print(Sphere((1.0, 0.0), 2.0).normal(jnp.array([1.0, -2.0])))
      [ 0. -1.]
    """

    center: tuple[float, ...]
    radius: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", coordinates(self.center))
        _check(self.center, self.radius)

    @property
    def measure(self) -> float:
        """Its area; the circumference in two dimensions."""
        dim = len(self.center)
        return 2 * math.pi ** (dim / 2) / math.gamma(dim / 2) * self.radius ** (dim - 1)

    def normal(self, x: jax.Array) -> jax.Array:
        """The unit normal at one point of the sphere, away from the centre, shape (d,)."""
        x = floating(x)
        offset = x - jnp.asarray(self.center, x.dtype)
        return offset / jnp.linalg.norm(offset)

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points of the sphere, uniform by area, shape (num_points, d)."""
        dim = len(self.center)
        center = jnp.asarray(self.center, dtype)[None]
        if dim == 1:
            return center + self.radius * jnp.asarray([[-1.0], [1.0]], dtype)
        unit = unit_points(key, num_points, _num_coordinates(dim), method, dtype)
        return center + self.radius * _directions(unit, dim)


def _check(center: Any, radius: Any) -> None:
    if not (are_numbers(center) and are_numbers([radius])):
        raise TypeError(
            "a ball needs the coordinates of its centre and a radius, Ball((0.5,), 0.5) in 1-D, got "
            f"{center!r} and {radius!r}."
        )
    if not radius > 0 or not center or not np.all(np.isfinite([*center, radius])):
        raise ValueError(f"a ball needs a centre and a radius > 0, both finite, got {center} and {radius}.")


def _num_coordinates(dim: int) -> int:
    """How many coordinates of the unit cube a direction takes."""
    return dim - 1 if dim <= 3 else dim


def _directions(unit: jax.Array, dim: int) -> jax.Array:
    """Unit vectors, uniform over the sphere, shape (N, dim)."""
    if dim > 3:  # a normal distribution has no preferred direction
        margin = jnp.finfo(unit.dtype).eps
        normal = jax.scipy.special.ndtri(jnp.clip(unit, margin, 1 - margin))
        first = jnp.zeros((1, dim), unit.dtype).at[0, 0].set(1)
        # The middle of the cube, a point of odd grids, has no direction.
        normal = jnp.where(jnp.all(normal == 0, axis=1, keepdims=True), first, normal)
        return normal / jnp.linalg.norm(normal, axis=1, keepdims=True)
    angle = 2 * jnp.pi * unit[:, -1:]
    circle = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=1)
    if dim == 2:
        return circle
    height = 2 * unit[:, :1] - 1  # Archimedes: zones of equal height have equal area
    return jnp.concatenate([jnp.sqrt(1 - height**2) * circle, height], axis=1)
