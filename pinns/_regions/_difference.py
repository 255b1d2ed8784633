"""A domain with a hole, and its boundary."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pinns._numbers import floating
from pinns._regions._crossing import meets
from pinns._regions._parts import Parts
from pinns._regions._region import Boundary, Domain
from pinns._regions._rejection import accepted, measured_share, precise_share, sample_part
from pinns._samplers import Sampler

_LEAST = 1e-3
"""Below this fraction nothing is left: finding points of it would take too many candidates."""
_NEAR, _FAR = 1e-9, 1e-4
"""How far beside a boundary it is looked what lies there, in widths of the domain: near for small holes and
narrow gaps, far for boundaries of a user whose points lie on them only roughly."""
_ROUNDINGS = 16
"""And at least as many rounding errors of the coordinates."""


@dataclasses.dataclass(frozen=True)
class Difference(Domain):
    """The points of a domain that do not lie in a hole.

    Points are drawn in the domain, and those that fall into the hole are drawn again; by ``"grid"`` they
    are those of a grid of the domain, of which some are left out to have the number asked for.

    Args:
      domain: The domain, e.g. a :class:`Box`.
      hole: The hole, e.g. a :class:`Ball`; it may reach over the domain's boundary. For several holes a
        difference is taken of a difference: ``outer`` is then the boundary of the first domain, ``inner``
        that of all holes, one by one in ``inner.parts``.

    Raises:
      ValueError: Domains of different dimensions, or less than a thousandth of the domain is left.
      TypeError: A domain or a hole that is none, as several holes in a list are.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from pinns import Ball, Box, Difference
      >>> domain = Difference(Box((-3.0, -3.0), (3.0, 3.0)), Ball((0.0, 0.0), 1.0))
      >>> points = domain.sample(jax.random.key(0), 100, "sobol", jnp.float32)
      >>> points.shape, bool(jnp.all(jnp.linalg.norm(points, axis=1) > 1))
      ((100, 2), True)
      >>> print(domain.inner.normal(jnp.array([0.0, 1.0])))
      [-0. -1.]
    """

    domain: Domain
    hole: Domain
    lower: tuple[float, ...] = dataclasses.field(init=False, repr=False, compare=False)
    upper: tuple[float, ...] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, given in (("domain", self.domain), ("hole", self.hole)):
            if not isinstance(given, Domain):
                raise TypeError(
                    f"a difference needs a domain and a hole, a Box, a Ball, ..., got the {name} {given!r}. "
                    "For two holes: Difference(Difference(domain, one), other)."
                )
        if self.domain.dim != self.hole.dim:
            raise ValueError(
                f"domain and hole need the same dimension, got {self.domain.dim} and {self.hole.dim}."
            )
        object.__setattr__(self, "lower", self.domain.lower)
        object.__setattr__(self, "upper", self.domain.upper)
        if self.share < _LEAST:
            raise ValueError(
                f"less than a thousandth of {self.domain} is left beside {self.hole}; take a smaller domain."
            )

    @property
    def share(self) -> float:
        """The fraction of the domain that is left, measured with drawn points."""
        return measured_share(self.domain, self)

    def accepts(self, x: jax.Array) -> jax.Array:
        """Whether one point of the domain, shape (d,), lies outside of the hole."""
        return ~self.hole.contains(x)

    def contains(self, x: jax.Array) -> jax.Array:
        """Whether one point of shape (d,) lies in the domain and neither in the hole nor on its boundary."""
        return self.domain.contains(x) & self.accepts(x)

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points inside, uniform by volume, shape (num_points, d)."""
        return sample_part(self.domain, self, self.share, self.dim, key, num_points, method, dtype)

    @property
    def outer(self) -> "BoundaryPart":
        """The domain's boundary, without what lies in a hole.

        Raises:
          ValueError: There is none.
        """
        return _some([self._sides[0]])[0]

    @property
    def inner(self) -> "BoundaryPart | Parts":
        """The holes' boundaries, as far as they lie inside of the domain; normals point into the holes.

        Raises:
          ValueError: There is none, or less than a thousandth of a hole's whole boundary.
        """
        parts = _some(self._sides[1:])
        return parts[0] if len(parts) == 1 else Parts(parts)

    def face(self, axis: int, side: str) -> "BoundaryPart":
        """One face of the first domain, a :class:`Box`, without what lies in a hole.

        Raises:
          ValueError: Nothing of it is left, or less than a thousandth, or the box has no such face.
          TypeError: The first domain has no faces.
        """
        outer = self._sides[0]
        first: Any = outer.owner
        if not hasattr(first, "face"):
            raise TypeError(f"{first} has no faces: take domain.outer, the whole boundary.")
        return _some([dataclasses.replace(outer, piece=first.face(axis, side))])[0]

    def boundary(self) -> "Parts":
        """All boundaries together.

        Raises:
          ValueError: Less than a thousandth of a hole's whole boundary is one, as of a ball so large that it
            is nearly a plane.
        """
        return Parts(_some(self._sides))

    @property
    def _sides(self) -> "list[BoundaryPart]":
        """The boundary of the first domain and those of all holes, whatever is left of them."""
        domain, holes = self.domain, [self.hole]
        while isinstance(domain, Difference):
            domain, holes = domain.domain, [domain.hole, *holes]
        return [BoundaryPart(self, domain, -1), *(BoundaryPart(self, hole, 1) for hole in holes)]


@dataclasses.dataclass(frozen=True)
class BoundaryPart:
    """The part of a boundary of domain or hole that bounds their difference.

    Args:
      difference: The difference.
      owner: Its domain or hole whose boundary it is.
      side: On which side of that boundary the difference lies: 1 where its normal points to, or −1.
      piece: The piece of that boundary that it is a part of, None for all of it.
    """

    difference: Difference
    owner: Domain
    side: int
    piece: Any = None

    @property
    def whole(self) -> Any:
        """The whole boundary of the owner, or the piece of it."""
        return self.owner.boundary() if self.piece is None else self.piece

    @property
    def share(self) -> float:
        """The fraction of the whole boundary, measured with drawn points."""
        return measured_share(self.whole, self)

    @property
    def measure(self) -> float:
        """Its length, area, ..., up to about a hundredth; the number of points in one dimension."""
        return self.whole.measure * precise_share(self.whole, self)

    def accepts(self, x: jax.Array) -> jax.Array:
        """Whether the difference lies beside one point of the whole boundary, shape (d,)."""
        if not isinstance(self.whole, Boundary):
            return self.difference.contains(x)
        found = [self.difference.contains(there) for there, _ in self._beside(x)]
        return functools.reduce(jnp.logical_or, found)

    def separates(self, x: jax.Array) -> jax.Array:
        """Whether one point lies on it: the owner ends there, and the difference lies on its side alone."""
        if not isinstance(self.whole, Boundary):
            return jnp.zeros((), bool)
        found = []
        for there, back in self._beside(x):
            ends = self.owner.contains(there) ^ self.owner.contains(back)
            found.append(ends & self.difference.contains(there) & ~self.difference.contains(back))
        return functools.reduce(jnp.logical_or, found)

    def _beside(self, x: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        """Points beside ``x`` towards the difference, and as far away from it.

        On the boundary itself rounding decides, and two boundaries may share a piece.
        """
        x = floating(x)
        corners = np.array([self.difference.lower, self.difference.upper])
        width = float(np.ptp(corners, axis=0).max())
        rounding = _ROUNDINGS * float(jnp.finfo(x.dtype).eps) * float(np.abs(corners).max())
        towards = self.side * self.whole.normal(x)
        distances = (max(_NEAR * width, rounding), max(_FAR * width, rounding))
        return [(x + by * towards, x - by * towards) for by in distances]

    def normal(self, x: jax.Array) -> jax.Array:
        """The unit normal at one point of it, out of the difference, shape (d,)."""
        return -self.side * self.whole.normal(x)

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points of it, shape (num_points, d); in one dimension each of its points once."""
        dim = self.difference.dim
        if dim == 1:  # the same points for every key, also while something is traced
            with jax.ensure_compile_time_eval():
                points = self.whole.sample(jax.random.key(0), num_points, method, dtype)
                return points[accepted(self, points)]
        return sample_part(self.whole, self, self.share, dim - 1, key, num_points, method, dtype)


@functools.lru_cache(maxsize=256)
def _is_there(part: BoundaryPart) -> bool:
    """Whether there is anything of it, however small a share of the whole boundary."""
    if part.share > 0 or part.side < 0:
        return part.share > 0
    first, *holes = (side.owner for side in part.difference._sides)

    def taken(x: jax.Array) -> jax.Array:  # by this hole alone
        left = (~hole.contains(x) for hole in holes if hole != part.owner)
        return functools.reduce(jnp.logical_and, left, first.contains(x) & part.owner.contains(x))

    return meets(first, taken, part.difference.contains)


def _some(parts: Sequence[BoundaryPart]) -> tuple[BoundaryPart, ...]:
    left = tuple(part for part in parts if part.share >= _LEAST)
    small = [part for part in parts if part.share < _LEAST and _is_there(part)]
    least = _LEAST * sum(part.measure for part in left) if small else 0.0  # below, no one misses it
    for part in small:
        if part.share == 0 or part.measure >= least:
            raise ValueError(
                f"of {part.whole} less than a thousandth bounds what is left of {part.difference.domain}, "
                "too little to draw points of it. Take a form that reaches less far beyond that, e.g. a "
                "Polygon along the same curve; leave out a hole that only touches it."
            )
    if not left:
        wholes = " and ".join(str(part.whole) for part in parts)
        raise ValueError(f"{wholes} does not bound what is left of {parts[0].difference.domain}.")
    return left
