"""Which regions follow a slab of time, as they do that a problem builds from its domain."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from pinns._closures import Closures
from pinns._identity import ByContent, is_library
from pinns._regions import FixedPoints
from pinns.problems import Condition, Problem

NEAR = 1e-6
"""Of the domain's width: rounding of float32 points."""
_PROBES = 256  # of which some lie in every slab of some length


def unmoved(problem: Problem, axis: int, edges: Sequence[float]) -> frozenset[str]:
    """The names of conditions whose points are the same in every slab; none where there is but one slab."""
    if len(edges) < 3:
        return frozenset()
    later = _second(problem, axis, edges).conditions()
    conditions = problem.conditions()
    return frozenset(name for name, c in conditions.items() if name in later and _same(c, later[name]))


def check_regions(
    problem: Problem,
    axis: int,
    initial: Sequence[str],
    edges: Sequence[float],
    suspects: Collection[str],
    beside: Closures,
) -> None:
    """Raises ValueError for conditions that do not follow a slab though their points are in and beyond it.

    Args:
      problem: The problem on all times.
      axis: The coordinate of time.
      initial: The names of the initial conditions, which must follow it always.
      edges: The times of the slabs.
      suspects: Which conditions are :func:`unmoved`.
      beside: Networks of values, and the conditions that are about them.
    """
    conditions = problem.conditions()
    for name, condition in conditions.items():
        if name in beside.mixed and name in suspects:
            values = ", ".join(repr(network) for network in beside.names if network)
            raise ValueError(
                f"condition {name!r} asks {values}, elsewhere of what networks compute, and a network of the "
                "domain's coordinates at the same points: are these values, or places that slabs share? Give "
                "each network a condition of its own."
            )
        if name not in suspects or name in beside.conditions:
            continue
        if isinstance(condition.region, FixedPoints):  # a slab takes those of its time
            continue
        is_whole = ByContent(condition.region) == ByContent(problem.domain)
        if is_whole or _leaves(problem, condition, axis, edges, name in initial):
            raise ValueError(
                f"condition {name!r} has the region of the whole time in a slab from {edges[1]:g} to "
                f"{edges[2]:g} too: conditions() must build its regions from self.domain."
            )


def drawn_points(condition: Condition, dim: int, least: int = 1) -> np.ndarray | None:
    """Points of a condition, shape (N, d), at least so many; None if its region gives something else."""
    dtype = jax.dtypes.canonicalize_dtype(float)
    number = max(condition.num_points, least)
    drawn = condition.region.sample(jax.random.key(0), number, "uniform", dtype)
    points: Any = drawn.get("x") if isinstance(drawn, Mapping) else drawn
    if getattr(points, "ndim", 0) != 2 or points.shape[1] != dim:
        return None  # a region of one's own gives what it likes
    return np.asarray(points)


def _second(problem: Problem, axis: int, edges: Sequence[float]) -> Problem:
    return problem.restricted(problem.domain.between(axis, edges[1], edges[2]))


def _same(one: Condition, other: Condition) -> bool:
    """Whether two conditions have the same points."""
    if ByContent(one.region) == ByContent(other.region):  # they may hold arrays
        return True
    # One of a user may be without equality, and be made anew by every call of conditions().
    if is_library(type(one.region).__module__) or one.num_points != other.num_points:
        return False
    dtype = jax.dtypes.canonicalize_dtype(float)
    draws = [c.region.sample(jax.random.key(0), c.num_points, "uniform", dtype) for c in (one, other)]
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(draw)] for draw in draws]
    return shapes[0] == shapes[1] and all(map(np.array_equal, *map(jax.tree.leaves, draws)))


def _leaves(
    problem: Problem, condition: Condition, axis: int, edges: Sequence[float], is_initial: bool
) -> bool:
    """Whether points lie after the second slab, or in it and before; a history lies before it as a whole."""
    points = drawn_points(condition, problem.domain.dim, least=_PROBES)
    if points is None:
        return False
    near = NEAR * (problem.domain.upper[axis] - problem.domain.lower[axis])
    times = points[:, axis]
    before, after = times < edges[1] - near, times > edges[2] + near
    return bool(after.any() or (before.any() and (is_initial or not before.all())))
