"""What a training is told beside problem, network and optimiser: when it ends, and short forms."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Self, TypedDict

from pinns._sampling import BatchSize, Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stop:
    """When a training ends before its last step.

    It is looked at after every evaluation, of which there are a hundred in all by default: for a limit of
    seconds with a very large ``num_steps``, give :func:`pinns.fit` ``evaluate_every`` too.

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


History = list[dict[str, Any]]
OnEvaluation = (
    Callable[[History], bool | None]
    | Callable[[History, Any], bool | None]
    | Callable[[History, Any, Any], bool | None]
)
