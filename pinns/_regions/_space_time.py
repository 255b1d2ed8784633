"""A domain of space over an interval of time."""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pinns._numbers import are_numbers, floating
from pinns._regions._region import Domain, Region
from pinns._samplers import Sampler, as_sampler, unit_points


@dataclasses.dataclass(frozen=True)
class SpaceTime(Domain):
    """A domain of any form over an interval of time, the last coordinate.

    Args:
      space: The domain of space, e.g. a :class:`Ball` or a :class:`Difference`.
      times: The first and the last time.

    Raises:
      ValueError: Times that do not increase, or are not finite.
      TypeError: A space that is no domain, or times that are no two numbers.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from pinns import Ball, SpaceTime
      >>> domain = SpaceTime(Ball((0.0, 0.0), 1.0), (0.0, 2.0))
      >>> domain.dim, domain.sample(jax.random.key(0), 100, "sobol", jnp.float32).shape
      (3, (100, 3))
      >>> print(domain.boundary().normal(jnp.array([0.0, 1.0, 0.5])))
      [0. 1. 0.]
      >>> print(domain.face(-1, "lower").sample(jax.random.key(0), 2, "sobol", jnp.float32)[:, 2])
      [0. 0.]
    """

    space: Domain
    times: tuple[float, float]
    lower: tuple[float, ...] = dataclasses.field(init=False, repr=False, compare=False)
    upper: tuple[float, ...] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.space, Domain):
            raise TypeError(f"the space of a SpaceTime must be a Box, a Ball, ..., got {self.space!r}.")
        if not are_numbers(self.times) or len(self.times) != 2:
            raise TypeError(f"times must be two numbers, the first and the last, got {self.times!r}.")
        begin, end = (float(time) for time in self.times)
        if not (begin < end and np.isfinite([begin, end]).all()):
            raise ValueError(f"times must be the first and a later last one, both finite, got {self.times}.")
        object.__setattr__(self, "times", (begin, end))
        object.__setattr__(self, "lower", (*self.space.lower, begin))
        object.__setattr__(self, "upper", (*self.space.upper, end))

    def contains(self, x: jax.Array) -> jax.Array:
        """Whether one point of shape (d,) lies in the domain at a time of the interval."""
        x = floating(x)
        begin, end = jnp.asarray(self.times, x.dtype)
        return self.space.contains(x[:-1]) & (x[-1] >= begin) & (x[-1] <= end)

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points inside, uniform by volume and time, shape (num_points, d); no grid."""
        return self.during(self.space).sample(key, num_points, method, dtype)

    def during(self, region: Any) -> "During":
        """A region of space at all times: of ``space.boundary()``, or a part of it, a part of the wall."""
        if not callable(getattr(region, "sample", None)):
            raise TypeError(f"during(region) needs a region of space, got {region!r}.")
        return During(region, self.times)

    def boundary(self) -> "During":
        """The boundary of space at all times; the first and the last time are faces."""
        return self.during(self.space.boundary())

    def face(self, axis: int, side: str) -> "AtTime":
        """The domain at the first (``"lower"``) or the last time (``"upper"``).

        Raises:
          ValueError: An axis of space, or another side.
        """
        if axis not in (-1, self.dim - 1) or side not in ("lower", "upper"):
            raise ValueError(
                f"a SpaceTime has faces where time, coordinate {self.dim - 1}, begins and ends, 'lower' and "
                f"'upper', got {axis} and {side!r}; of space take domain.during(region)."
            )
        return AtTime(self.space, self.times[side == "upper"])

    def between(self, axis: int, begin: float, end: float) -> Self:
        """The part between two times."""
        if axis != self.dim - 1:
            raise ValueError(f"time is coordinate {self.dim - 1} of a SpaceTime, got {axis}.")
        return dataclasses.replace(self, times=(begin, end))


@dataclasses.dataclass(frozen=True)
class During:
    """A region of space at all times of an interval; made by :meth:`SpaceTime.during`.

    Args:
      region: The region of space.
      times: The first and the last time.
    """

    region: Any
    times: tuple[float, float]

    @property
    def measure(self) -> float:
        """The measure of the region, if it has one, times the length of the interval."""
        return self.region.measure * (self.times[1] - self.times[0])

    def normal(self, x: jax.Array) -> jax.Array:
        """The unit normal of the region at one point, shape (d,); its last component is 0."""
        x = floating(x)
        return jnp.append(self.region.normal(x[:-1]), jnp.zeros((), x.dtype))

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points of it, shape (num_points, d): points of space, and times of their own in random order.

        Of a region that has more points than are asked for, as :class:`FixedPoints` may, some are taken at
        random; where it has fewer, each is taken as often as any other, or once more.

        Raises:
          ValueError: A sampler that gives the same points for every key, as a grid does.
          TypeError: A region that gives something else than points of space, as measured values.
        """
        if getattr(as_sampler(method), "fixed", False):
            raise ValueError(f"points of space and time cannot be drawn by {method!r}: take 'sobol'.")
        in_space, in_time, order = jax.random.split(key, 3)
        points = self.region.sample(in_space, num_points, method, dtype)
        if getattr(points, "ndim", 0) != 2:
            raise TypeError(
                f"during(region) needs points of space alone, got {jax.tree.map(jnp.shape, points)} from "
                f"{self.region}. Measured values have times of their own: FixedPoints of space and time."
            )
        points = jnp.asarray(points)
        if num_points % len(points):  # else each is taken equally often
            points = jax.random.permutation(jax.random.fold_in(order, 1), points)
        points = points[jnp.arange(num_points) % len(points)]  # ends of an interval are given once
        begin, end = self.times
        times = begin + (end - begin) * unit_points(in_time, num_points, 1, method, dtype)
        return jnp.concatenate([points, jax.random.permutation(order, times)], axis=1)


@dataclasses.dataclass(frozen=True)
class AtTime:
    """A region of space at one time; made by :meth:`SpaceTime.face`.

    Args:
      region: The region of space.
      time: The time.
    """

    region: Region
    time: float

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points of it, shape (num_points, d)."""
        points = self.region.sample(key, num_points, method, dtype)
        return jnp.append(points, jnp.full((len(points), 1), self.time, dtype), axis=1)
