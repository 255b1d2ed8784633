"""Long times in slabs: a new network for each, begun from the one before and its values at the end."""

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from pinns._closures import closures
from pinns._fit import fit
from pinns._functional import Functional
from pinns._identity import ADDED, ByContent
from pinns._interrupt import Interrupt
from pinns._options import Options, Shorthand
from pinns._past import OfBefore, Past, looking_back
from pinns._regions import FixedPoints
from pinns._result import FitResult
from pinns._slabs_folder import Folder
from pinns._slabs_regions import check_regions, unmoved
from pinns._slabs_result import SlabsResult
from pinns._slabs_times import (
    check_times,
    initial_conditions,
    slab_edges,
    time_axis,
    warn_unmeasured,
)
from pinns.problems import Condition, Problem
from pinns.problems._base import conditions_of


@dataclasses.dataclass(frozen=True)
class _Continued:
    """An initial condition whose data are those of another solution: B(u) − b becomes B(u) − B(previous).

    Both have the coefficients of now: one in b, an unknown initial value, would else move the slab's start.
    """

    residual: Any
    function: Functional
    params: optax.Params

    def __call__(self, u: Any, x: jax.Array) -> jax.Array:
        before = self.function(self.params)
        if unknowns := getattr(u, "unknowns", None):
            before = OfBefore(before, unknowns)
        return self.residual(u, x) - self.residual(before, x)


@dataclasses.dataclass(frozen=True)
class _Slab(Problem):
    """A problem between two times."""

    problem: Problem
    initial: tuple[str, ...]
    previous: tuple[Functional, optax.Params] | None
    axis: int
    times: tuple[float, float]  # of whose data it takes; the first and the last slab take what lies beyond
    past: Past | None = None
    of_values: tuple[str, ...] = dataclasses.field(default=(), metadata=ADDED)  # conditions at no places

    @property
    def domain(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.problem.domain

    @property
    def scales_inputs(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.problem.scales_inputs

    def functional(self, model: Any) -> tuple[Functional, optax.Params]:
        return self.problem.functional(model)

    def conditions(self) -> Mapping[str, Condition]:
        conditions = {}
        for name, condition in conditions_of(self.problem).items():
            region = condition.region
            if isinstance(region, FixedPoints) and name not in self.of_values:
                region = self._of_its_time(region)
            if region is not None:
                conditions[name] = dataclasses.replace(condition, region=region)
        if self.previous is None:
            return conditions
        function, params = self.previous
        for name in self.initial:
            residual = _Continued(conditions[name].residual, function, params)
            conditions[name] = dataclasses.replace(conditions[name], residual=residual.__call__)
        if self.past is not None:
            conditions = {name: self.past.seen_by(name, c) for name, c in conditions.items()}
        return conditions

    def _of_its_time(self, data: FixedPoints) -> FixedPoints | None:
        """The given points of this slab, None if there are none; several at once are of their latest time."""
        if data.points.shape[-1] != self.domain.dim:
            return data
        times, (begin, end) = data.points[..., self.axis], self.times
        times = times.reshape(len(times), -1).max(axis=1)
        inside = (times >= begin) & (times < end)
        if not inside.any():
            return None
        return FixedPoints(data.points[inside], None if data.values is None else data.values[inside])

    def unknowns(self) -> Mapping[str, Any]:
        return self.problem.unknowns()

    def exact(self, x: jax.Array) -> jax.Array | None:
        return self.problem.exact(x)

    def predict(self, u: Any, x: jax.Array) -> jax.Array:
        return self.problem.predict(u, x)


def fit_in_slabs(
    problem: Problem,
    model: Any,
    optimizer: optax.GradientTransformation,
    *,
    num_steps: int,
    key: jax.Array,
    slabs: int | Sequence[float],
    axis: int | None = None,
    initial: Sequence[str] | None = None,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> SlabsResult:
    r"""Trains a network on each of several slabs of time, one after the other.

    A slab begins with the network of the one before, and with its values as initial data: a condition
    B(u) = b on the face where time begins becomes B(u) = B(u_previous) at the slab's beginning, be it for
    values or slopes. All other conditions are taken on the slab; where a residual asks for times before it
    (delays, integrals over the past), it gets the networks of the slabs before. The problem must build its
    regions from ``self.domain``. The networks see the times as they are; with ``scaled(problem, ...)`` each
    slab is brought to [−1, 1], which a long time with fast changes needs. Of data at given points a slab
    takes those of its own time, of nodes that a residual sees at once (integrals) those whose latest time is
    its own. Of several networks one that is asked at what networks compute and at none of the points drawn in
    the domain, a closure f(y), is trained on in every slab, on all that is given of it. Unknown coefficients
    are found anew in each, from the values of the one before. One that initial conditions alone hold, an
    unknown initial value, is found in the first slab and stays.

    Args:
      problem: What to solve, on a :class:`Box` or a :class:`SpaceTime`.
      model: A network, see :func:`pinns.functional`, or a :class:`FitResult`.
      optimizer: Any optax optimiser.
      num_steps: Steps in each slab, at most.
      key: A JAX random key; each slab has its own part of it.
      slabs: The number of equal slabs, or the times between them, beginning and end left out.
      axis: The coordinate of time; by default the one that the problem's ``axis_names`` call t, or the last.
      initial: Names of the initial conditions; by default those on the face where time begins.
      checkpoint_dir: Folder of checkpoints, one in it for each slab. The same call continues a run that was
        interrupted. A slab from which another one has begun stays as it is, whatever is asked for now.
      **options: Whatever else :func:`pinns.fit` takes.

    Returns:
      A :class:`SlabsResult`. It ends early where a slab diverges, is interrupted, or ``on_evaluation`` asks
      for the end.

    Raises:
      ValueError: Times that are not increasing inside the domain, a region that stays where it is while time
        goes on, no initial condition, one at given points,
        a condition where time ends, or, without ``initial``, another one that has points where time begins:
        later slabs would lose it, or take its data for their own.
      TypeError: A domain of another kind.

    Examples:
      >>> import jax, optax
      >>> from flax import nnx
      >>> from pinns import MLP, SingularlyPerturbedODE, fit_in_slabs
      >>> result = fit_in_slabs(
      ...     SingularlyPerturbedODE(), MLP(1, [8], 1, rngs=nnx.Rngs(0)), optax.adam(1e-3), num_steps=3,
      ...     key=jax.random.key(0), slabs=[0.5], initial=["boundary"], progress=False,
      ... )
      >>> len(result.results), result.edges
      (2, (0.0, 0.5, 1.0))
    """
    if not hasattr(problem.domain, "between"):
        raise TypeError(
            f"slabs need a domain that is a Box or a SpaceTime, got {type(problem.domain).__name__}: what "
            "has another form in space is SpaceTime(space, times)."
        )
    axis = time_axis(problem) if axis is None else range(problem.domain.dim)[axis]
    edges = slab_edges(problem.domain, axis, slabs)
    names = initial_conditions(problem, axis) if initial is None else tuple(initial)
    if not names or set(names) - set(problem.conditions()):
        raise ValueError(
            f"slabs need the names of the initial conditions, got {list(names)} of "
            f"{sorted(problem.conditions())}: give initial=[...]."
        )
    check_times(problem, axis, names, found=initial is None)
    same = unmoved(problem, axis, edges)
    beside = closures(problem, model.model if isinstance(model, FitResult) else model, same)
    check_regions(problem, axis, names, edges, same, beside)
    shorthand: Any = {name: options.pop(name, None) for name in Shorthand.__annotations__}
    groups = Options.of(options.pop("sampling", "uniform"), options.pop("stop", None), shorthand)
    groups.sampling.check_names(problem)  # before the first slab
    folder = Folder(checkpoint_dir, options.get("mesh"))
    results: list[FitResult] = []
    start, previous = model, None
    goes_on = isinstance(model, FitResult) and ByContent(model.problem) == ByContent(problem)
    with Interrupt():  # what comes between two slabs ends the second one after its first chunk
        for i, (begin, end) in enumerate(itertools.pairwise(edges)):
            slab = _slab(problem, axis, begin, end, names, previous, beside.conditions)
            if results or goes_on:  # unknowns too; the network, scaled or not, in the slab's coordinates
                start = dataclasses.replace(results[-1] if results else model, problem=slab)
            if results and (looking := looking_back(slab, results[0].model, axis, begin, beside.names)):
                solutions = [(r.problem.functional(r.model)[0], r.params) for r in results]
                past = Past(looking, solutions, edges[1 : i + 1], axis, slab.domain.dim, beside.names)
                slab = dataclasses.replace(slab, past=past)
            result = fit(
                slab,
                start,
                optimizer,
                num_steps=folder.closed(i) or num_steps,
                key=jax.random.fold_in(key, i),
                sampling=groups.sampling.within(slab),
                stop=groups.stop,
                checkpoint_dir=folder.of(i),
                **options,
            )
            result = folder.ended(i, result, num_steps, groups)
            results.append(result)
            if result.stop_reason in ("diverged", "interrupted", "not_finite_at_start", "on_evaluation"):
                break
            warn_unmeasured(problem, slab, axis, result.history)
            previous = (slab.functional(result.model)[0], result.params)
    return SlabsResult(problem, results, edges, axis)


def _slab(
    problem: Problem,
    axis: int,
    begin: float,
    end: float,
    names: tuple[str, ...],
    previous: Any,
    of_values: tuple[str, ...] = (),
) -> _Slab:
    domain = problem.domain.between(axis, begin, end)
    times = (
        -np.inf if begin == problem.domain.lower[axis] else begin,
        np.inf if end == problem.domain.upper[axis] else end,
    )
    return _Slab(problem.restricted(domain), names, previous, axis, times, of_values=of_values)
