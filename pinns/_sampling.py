"""Which points a training step sees."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

import numpy as np

from pinns._numbers import check_positive
from pinns._samplers import as_sampler
from pinns.problems import Problem

BatchSize = int | Mapping[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which points a training step sees.

    Args:
      method: How points are drawn: ``"uniform"`` (the paper's), ``"sobol"`` or ``"grid"``, or a function of
        your own, see :func:`pinns.unit_points`. On a periodic domain a grid is best: there its sums are
        integrals to rounding, and oscillations of the residual are not taken for its mean.
      batch_size: Points per step of every condition that has more, or numbers by condition. Points are
        shuffled each epoch; an incomplete last batch is left out.
      resample_every: Steps after which points are drawn anew; None keeps the first ones.
      num_points: Numbers of points by condition, instead of those that the conditions declare; or ``"auto"``
        for those that the conditions declare, multiplied by the least whole number with which the residuals
        are at least twice as many as the parameters: fewer can be interpolated, and then tell nothing.

    Raises:
      ValueError: A number below 1; of :func:`pinns.fit`, points drawn anew by a method that gives the same
        ones for every key, or by NumPy.
      TypeError: Numbers that are not whole, or one number of points for all conditions.

    Examples:
      >>> from pinns import Sampling
      >>> Sampling(method="sobol", resample_every=10).resample_every
      10
    """

    method: Any = "uniform"
    batch_size: BatchSize | None = None
    resample_every: int | None = None
    num_points: Mapping[str, int] | Literal["auto"] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.num_points, str | Mapping | None):
            raise TypeError(
                f"num_points must be numbers by condition, e.g. {{'pde': 1000}}, got {self.num_points!r}."
            )
        if isinstance(self.num_points, str) and self.num_points != "auto":
            raise ValueError(f"num_points must be 'auto' or numbers by condition, got {self.num_points!r}.")
        if isinstance(self.num_points, Mapping):
            check_positive(**self.num_points)
        as_sampler(self.method)
        check_positive(resample_every=self.resample_every)
        if isinstance(self.batch_size, Mapping):
            check_positive(**self.batch_size)
        else:
            check_positive(batch_size=self.batch_size)

    @property
    def interval(self) -> int | None:
        """Steps after which points are drawn anew, None for never."""
        return self.resample_every

    def numbers(self, problem: Problem) -> dict[str, int]:
        """Numbers of points by condition, before they are multiplied for ``"auto"``."""
        numbers = {name: c.num_points for name, c in problem.conditions().items()}
        given = dict(self.num_points) if isinstance(self.num_points, Mapping) else {}
        _check_names("num_points", given, numbers)
        return numbers | given

    def check_names(self, problem: Problem) -> None:
        """Raises ValueError for numbers or batch sizes of conditions that the problem does not have."""
        numbers = self.numbers(problem)
        if isinstance(self.batch_size, Mapping):
            _check_names("batch_size", self.batch_size, numbers)

    def batch_sizes(self, numbers: Mapping[str, int]) -> dict[str, int]:
        """Sizes by condition, of those conditions that are split at all."""
        if isinstance(self.batch_size, int | np.integer):
            return {name: self.batch_size for name, n in numbers.items() if self.batch_size < n}
        sizes = dict(self.batch_size or {})
        _check_names("batch_size", sizes, numbers)
        for name, size in sizes.items():
            if not 1 <= size <= numbers[name]:
                raise ValueError(
                    f"batch_size of {name!r} must be between 1 and its {numbers[name]} points, got {size}."
                )
        return sizes

    def within(self, part: Problem) -> Self:
        """The same for a problem that has some of the conditions, or fewer given points in them."""
        conditions = part.conditions()
        changed: dict[str, Any] = {}
        if isinstance(self.num_points, Mapping):
            changed["num_points"] = {k: n for k, n in self.num_points.items() if k in conditions}
        if isinstance(self.batch_size, Mapping):
            # What is given, as FixedPoints are, may be less than what the whole problem has.
            given = {k: getattr(c.region, "num_points", math.inf) for k, c in conditions.items()}
            changed["batch_size"] = {k: min(n, given[k]) for k, n in self.batch_size.items() if k in given}
        return dataclasses.replace(self, **changed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptiveSampling(Sampling):
    r"""Points drawn anew where the residual is large.

    Of a pool of candidates, drawn by ``method``, each is taken with probability

    .. math:: p_i \propto \frac{|r(x_i)|^k}{\mathrm{mean}_j |r(x_j)|^k} + c

    without replacement, inside the compiled steps. The loss keeps its weights: it is then an average that
    counts difficult places more. The first points are drawn plainly, since the residual of an untrained
    network says nothing.

    Args:
      method: How candidates are drawn, see :class:`Sampling`.
      batch_size: Points per step, see :class:`Sampling`.
      num_points: Numbers of points by condition or ``"auto"``, see :class:`Sampling`.
      every: Steps after which points are drawn anew.
      pool: Candidates for each point.
      exponent: The power k: 0 is uniform.
      floor: The constant c: the larger, the more uniform; with 0 places of small residual are never seen.
      conditions: Names of the conditions whose points follow the residual; None for all. The points of the
        others are drawn anew plainly.

    Raises:
      ValueError: A number out of range, or a ``resample_every`` beside ``every``.

    Examples:
      >>> from pinns import AdaptiveSampling
      >>> AdaptiveSampling(every=5, conditions=("pde",)).every
      5

    References:
      Wu, Zhu, Tan, Kartha and Lu, A comprehensive study of non-adaptive and residual-based adaptive sampling
      for physics-informed neural networks, 2023 (RAD).
    """

    method: Any = "sobol"
    every: int = 10
    pool: int = 10
    exponent: float = 1.0
    floor: float = 1.0
    conditions: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_positive(every=self.every, pool=self.pool)
        if isinstance(self.conditions, str):
            raise TypeError(f"conditions are several names: conditions=({self.conditions!r},).")
        if not (self.exponent >= 0 and self.floor >= 0):
            raise ValueError(f"exponent and floor must be at least 0, got {self.exponent} and {self.floor}.")
        if self.resample_every not in (None, self.every):
            raise ValueError(f"give every alone: resample_every is {self.resample_every}, not {self.every}.")
        super().__post_init__()

    @property
    def interval(self) -> int:
        """Steps after which points are drawn anew."""
        return self.every

    def check_names(self, problem: Problem) -> None:
        """Raises ValueError for what is said of conditions that the problem does not have."""
        super().check_names(problem)
        self.chosen(problem)

    def within(self, part: Problem) -> Self:
        """The same for a problem that has some of the conditions, or fewer given points in them."""
        found = super().within(part)
        if self.conditions is None:
            return found
        kept = tuple(name for name in self.conditions if name in part.conditions())
        return dataclasses.replace(found, conditions=kept)

    def chosen(self, problem: Problem) -> tuple[str, ...]:
        """Names of the conditions whose points follow the residual."""
        names = tuple(problem.conditions())
        _check_names("AdaptiveSampling", self.conditions or (), names)
        return names if self.conditions is None else self.conditions


def _check_names(what: str, given: Iterable[str], names: Iterable[str]) -> None:
    for name in given:
        if name not in names:
            raise ValueError(f"{what} names {name!r}; the conditions are {sorted(names)}.")
