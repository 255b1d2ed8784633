"""What a training is told beside problem, network and optimiser."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Self, TypedDict

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
        ones for every key.

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
      every: Steps after which points are drawn anew.
      pool: Candidates for each point.
      exponent: The power k: 0 is uniform.
      floor: The constant c: the larger, the more uniform; with 0 places of small residual are never seen.
      conditions: Names of the conditions whose points follow the residual; None for all. The points of the
        others are drawn anew plainly.

    Raises:
      ValueError: A number out of range.

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

    def chosen(self, problem: Problem) -> tuple[str, ...]:
        """Names of the conditions whose points follow the residual."""
        names = tuple(problem.conditions())
        _check_names("AdaptiveSampling", self.conditions or (), names)
        return names if self.conditions is None else self.conditions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stop:
    """When a training ends before its last step. It is looked at after every evaluation.

    Args:
      rel_l2: Relative L2 error at which it ends; needs a problem with an exact solution.
      fresh_loss: Loss on points never trained on at which it ends.
      seconds: Seconds of training, without compilation and evaluation.
      patience: Evaluations in a row, none of which lowered the best loss (on fresh points, where that is
        measured) by a hundredth, after which it ends.

    Raises:
      ValueError: A number that is not positive.

    Examples:
      >>> from pinns import Stop
      >>> Stop(rel_l2=1e-5, seconds=60.0)
      Stop(rel_l2=1e-05, fresh_loss=None, seconds=60.0, patience=None)
    """

    rel_l2: float | None = None
    fresh_loss: float | None = None
    seconds: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}.")

    def check(self, *, has_exact: bool, has_fresh: bool) -> None:
        """Raises ValueError if what it looks at is not measured."""
        if self.rel_l2 is not None and not has_exact:
            raise ValueError("target needs a problem with an exact solution; give it exact(x).")
        if self.fresh_loss is not None and not has_fresh:
            raise ValueError("Stop(fresh_loss=...) needs fit(..., fresh_loss=True).")

    def lacks(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of a history lacks what it looks at."""
        watched = {"rel_l2": self.rel_l2, "fresh_loss": self.fresh_loss}
        return any(limit is not None and name not in row for name, limit in watched.items())


class Shorthand(TypedDict, total=False):
    """Single options of :func:`pinns.fit` that stand for a field of a group.

    ``batch_size`` and ``resample_every`` are those of :class:`Sampling`, ``target`` (rel_l2) and
    ``time_limit`` (seconds) those of :class:`Stop`.
    """

    batch_size: BatchSize | None
    resample_every: int | None
    target: float | None
    time_limit: float | None


@dataclasses.dataclass(frozen=True)
class Options:
    """The groups, after shorthands are put in."""

    sampling: Sampling
    stop: Stop

    @classmethod
    def of(cls, sampling: Any, stop: Stop | None, shorthand: Shorthand) -> Self:
        """Puts ``shorthand`` into the groups; an option that is given twice is an error."""
        batch_size, resample_every = shorthand.get("batch_size"), shorthand.get("resample_every")
        if not isinstance(sampling, Sampling):
            sampling = Sampling(method=sampling, batch_size=batch_size, resample_every=resample_every)
        elif batch_size is not None or resample_every is not None:
            raise ValueError(
                f"give batch_size and resample_every in the {type(sampling).__name__}, not beside it."
            )
        rel_l2, seconds = shorthand.get("target"), shorthand.get("time_limit")
        if stop is not None and (rel_l2 is not None or seconds is not None):
            raise ValueError("give rel_l2 and seconds in the Stop, not target and time_limit beside it.")
        return cls(sampling, stop or Stop(rel_l2=rel_l2, seconds=seconds))


def _check_names(what: str, given: Iterable[str], names: Iterable[str]) -> None:
    for name in given:
        if name not in names:
            raise ValueError(f"{what} names {name!r}; the conditions are {sorted(names)}.")


History = list[dict[str, Any]]
OnEvaluation = Callable[[History], bool | None] | Callable[[History, Any], bool | None]
