"""What a training in slabs of time returns."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from pinns._evaluation import Errors, as_point, as_points, errors, evaluation_points, exact_values
from pinns._result import FitResult, curve
from pinns.problems import Problem


@dataclasses.dataclass(frozen=True, repr=False)
class SlabsResult:
    """What :func:`fit_in_slabs` returns. Called, it is the solution at one point of any time reached.

    Attributes:
      problem: The whole problem.
      results: The :class:`FitResult` of each slab that was reached.
      edges: Times between which the slabs lie, one more than slabs.
      axis: The coordinate of time.
    """

    problem: Problem
    results: list[FitResult]
    edges: tuple[float, ...]
    axis: int

    def __repr__(self) -> str:
        """A line for each slab."""
        spans = zip(self.edges, self.edges[1:], self.results, strict=False)
        return "\n".join(f"{begin:g} to {end:g}: {result}" for begin, end, result in spans)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The solution of the slab in which ``x`` lies, shape (m,); NaN at times that were not reached.

        Raises:
          ValueError: Another shape than that of one point.
        """
        x = as_point(x, self.problem.domain.dim)
        inner, reached = self._edges(x.dtype)
        values = jnp.stack([result(x) for result in self.results])
        return jnp.where(x[self.axis] > reached, jnp.nan, values[jnp.searchsorted(inner, x[self.axis])])

    def at(self, points: jax.Array) -> jax.Array:
        """The solution at many points of shape (N, d), shape (N, m); slabs share one compiled program.

        Raises:
          ValueError: Points of another shape.
        """
        points = as_points(points, self.problem.domain.dim)
        inner, reached = self._edges(points.dtype)
        times = points[:, self.axis]
        values = jnp.stack([result.at(points) for result in self.results])
        found = values[jnp.searchsorted(inner, times), jnp.arange(len(points))]
        return jnp.where((times > reached)[:, None], jnp.nan, found)

    def _edges(self, dtype: DTypeLike) -> tuple[jax.Array, float]:
        """Times between the slabs that were reached, and the end of the last, or infinity of all."""
        number = len(self.results)
        reached = self.edges[number] if number < len(self.edges) - 1 else jnp.inf
        return jnp.asarray(self.edges[1:number], dtype), reached

    @functools.cached_property
    def history(self) -> list[dict[str, Any]]:
        """The rows of all slabs, with the number of its ``slab`` in each.

        Steps, seconds and gradients are counted on from slab to slab; losses and errors are those within the
        slab.
        """
        rows: list[dict[str, Any]] = []
        before: dict[str, float] = dict.fromkeys(("step", "seconds", "num_gradients"), 0)
        for slab, result in enumerate(self.results):
            counted = [{name: before[name] + row[name] for name in before} for row in result.history]
            rows += [
                {**row, **counts, "slab": slab} for row, counts in zip(result.history, counted, strict=True)
            ]
            before = counted[-1]
        return rows

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and a column of the history, as :meth:`FitResult.curve`."""
        return curve(self.history, name)

    @property
    def stop_reason(self) -> str:
        """Why the training of the last slab that was reached ended."""
        return self.results[-1].stop_reason

    @property
    def num_steps(self) -> int:
        """Steps of all slabs."""
        return sum(result.num_steps for result in self.results)

    @property
    def train_seconds(self) -> float:
        """Seconds of training, of all slabs."""
        return sum(result.train_seconds for result in self.results)

    @property
    def compile_seconds(self) -> float:
        """Seconds of tracing and compiling, of all slabs."""
        return sum(result.compile_seconds for result in self.results)

    @property
    def finished(self) -> bool:
        """Whether every slab was trained to an end that is not an interruption or a failure."""
        failed = ("diverged", "interrupted", "not_finite_at_start")
        whole = len(self.results) == len(self.edges) - 1
        return whole and all(result.stop_reason not in failed for result in self.results)

    def errors(self) -> Errors:
        """Errors over all times, of a problem with an exact solution.

        Raises:
          ValueError: There is no exact solution, or not every slab was reached.
        """
        dtype = jnp.result_type(*jax.tree.leaves(self.results[0].params))
        points = evaluation_points(self.problem, dtype)
        exact = exact_values(self.problem, points)
        if exact is None or not self.finished:
            raise ValueError("errors need an exact solution and a training of all slabs.")
        return errors(self.at(points), exact)
