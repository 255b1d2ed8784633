"""What the paper says, what was measured, and whether the one bears out the other."""

import dataclasses
import math
import statistics
from collections.abc import Iterable
from typing import Any, Literal, get_args

Verdict = Literal["holds", "does not hold", "undecided", "not measured"]
UNRECORDED = "no run is recorded"
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One line of the table "paper | ours | verdict".

    Args:
      paper: what the paper says.
      ours: what was measured, with its numbers.
      verdict: computed from these numbers.
      asked: whether the paper does not say it and we ask; not one of its claims then.
      second_phase: whether Algorithm 1's second phase, which does not depend on α, stands behind it.
      command: what would measure it, where nothing is recorded.
    """

    paper: str
    ours: str
    verdict: Verdict
    asked: bool = False
    second_phase: bool = False
    command: str = ""


def claim(
    paper: str, ours: str, holds: bool | None, *, measured: object = True, command: str = "", **kind: bool
) -> Claim:
    """What the paper says beside what was measured.

    Args:
      paper: what the paper says.
      ours: what was measured.
      holds: whether that bears it out; None where a longer run could still turn it.
      measured: whether anything was, or what.
      command: see :class:`Claim`; kept where nothing was measured.
      **kind: ``asked`` and ``second_phase``, see :class:`Claim`.
    """
    if not measured:
        return Claim(paper, UNRECORDED, "not measured", command=command, **kind)
    verdict: Verdict = "undecided" if holds is None else "holds" if holds else "does not hold"
    return Claim(paper, ours, verdict, command="", **kind)


def median(values: Iterable[float | None]) -> float:
    """The median, where None and NaN, a run that diverged, count as +∞; +∞ of nothing."""
    return statistics.median([*map(_or_infinity, values)] or [math.inf])


def spread(values: Iterable[float | None]) -> str:
    """Median and range as text, e.g. ``2.1e-06 (1.9e-06–6.6e-06)``."""
    clean = [*map(_or_infinity, values)]
    if not clean:
        return "—"
    text, low, high = map(number, (median(clean), min(clean), max(clean)))
    return text if low == high else f"{text} ({low}–{high})"


def _or_infinity(value: float | None) -> float:
    return math.inf if value is None or math.isnan(value) else value


def number(value: Any) -> str:
    """Two significant digits; a run that diverged is ``diverged``."""
    if value is None or not math.isfinite(value):
        return "diverged"
    return f"{value:.2g}" if 1e-2 <= abs(value) < 1e4 else f"{value:.1e}"
