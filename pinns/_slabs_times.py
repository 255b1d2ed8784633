"""The times of slabs, and which conditions stand where time begins."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pinns._evaluation import axis_names
from pinns._regions import Domain, FixedPoints
from pinns._slabs_regions import NEAR, drawn_points
from pinns._warnings import warn_at_caller
from pinns.problems import Condition, Problem
from pinns.problems._base import conditions_of

_SOME = 0.01  # of the points: no accident


def slab_edges(domain: Domain, axis: int, slabs: int | Sequence[float]) -> tuple[float, ...]:
    """The times at which slabs begin and end.

    Raises:
      ValueError: No slab, or times that do not increase inside of the domain.
    """
    begin, end = domain.lower[axis], domain.upper[axis]
    if isinstance(slabs, int | np.integer):
        if slabs < 1:
            raise ValueError(f"slabs must be at least 1, got {slabs}.")
        return tuple(float(t) for t in np.linspace(begin, end, slabs + 1))
    edges = (begin, *(float(t) for t in slabs), end)
    if not np.all(np.diff(edges) > 0):
        raise ValueError(f"the times between slabs must increase between {begin} and {end}, got {slabs}.")
    return edges


def initial_conditions(problem: Problem, axis: int) -> tuple[str, ...]:
    """The names of the conditions on the face where time begins."""
    face = problem.domain.face(axis, "lower")
    return tuple(name for name, condition in conditions_of(problem).items() if condition.region == face)


def time_axis(problem: Problem) -> int:
    """The coordinate of time: the one that the problem's ``axis_names`` call t, or the last."""
    names = axis_names(problem)
    return names.index("t") if "t" in names else problem.domain.dim - 1


def evolves(problem: Problem) -> bool:
    """Whether conditions stand where time begins and none where it ends, so that slabs can be taken."""
    if not hasattr(problem.domain, "between"):
        return False
    axis = time_axis(problem)
    end = problem.domain.face(axis, "upper")
    ends = any(condition.region == end for condition in conditions_of(problem).values())
    return bool(initial_conditions(problem, axis)) and not ends


def check_times(problem: Problem, axis: int, initial: Sequence[str], *, found: bool) -> None:
    """Raises ValueError unless the axis is one of time, and initial data stand where it begins.

    Args:
      problem: The problem.
      axis: The coordinate of time.
      initial: The names of the initial conditions.
      found: Whether these are those that were found, and not the user's, who may know of others.
    """
    end = problem.domain.face(axis, "upper")
    for name, condition in problem.conditions().items():
        if condition.region == end:
            raise ValueError(
                f"condition {name!r} is given where coordinate {axis} ends, so that it is no time: choose "
                "fit_in_slabs(axis=...), or call it 't' in the problem's axis_names."
            )
        if name in initial and isinstance(condition.region, FixedPoints):
            raise ValueError(
                f"the initial condition {name!r} is given at FixedPoints, which stay where the first slab "
                f"begins: give it on domain.face({axis}, 'lower'), measured values as pinns.Interpolated."
            )
        if found and initial and name not in initial and _begins(problem, condition, axis):
            raise ValueError(
                f"condition {name!r} has points where coordinate {axis}, time, begins, but is none of the "
                f"initial conditions, {', '.join(map(repr, initial))}, so that later slabs would not go on "
                f"from what it says: give what belongs there on domain.face({axis}, 'lower') of its own, or "
                "name the initial conditions by initial=[...] if it is right at the beginning of every slab."
            )


def warn_unmeasured(problem: Problem, slab: Problem, axis: int, history: Sequence[Mapping[str, Any]]) -> None:
    """Warns if unknowns have moved in a slab without the measurements that would hold them."""
    is_measured = lambda c: isinstance(c.region, FixedPoints) and c.region.values is not None
    whole, own = (any(map(is_measured, p.conditions().values())) for p in (problem, slab))
    first, last = (row.get("unknowns", {}) for row in (history[0], history[-1]))
    moved = [name for name in first if not np.allclose(first[name], last[name], rtol=1e-6, atol=0)]
    if whole and not own and moved:
        begin, end = (f"{corner[axis]:g}" for corner in (slab.domain.lower, slab.domain.upper))
        warn_at_caller(
            f"no measurement is of the time from {begin} to {end}, where {', '.join(moved)} moved on, as the "
            "equation and its start allow. Find unknowns on the times that have data, and go on with a "
            "problem that has what was found as numbers."
        )


def _begins(problem: Problem, condition: Condition, axis: int) -> bool:
    """Whether points that are drawn, or all that are given, lie where time begins; but for measurements."""
    if condition.noisy:
        return False
    points = drawn_points(condition, problem.domain.dim)
    if points is None:
        return False
    begin = problem.domain.lower[axis]
    width = problem.domain.upper[axis] - begin
    there = np.abs(points[:, axis] - begin) <= NEAR * width
    # Measurements may begin where time does.
    return bool(there.all() if isinstance(condition.region, FixedPoints) else there.mean() > _SOME)
