"""What the paper says of the learning rate, beside a sweep of it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from benchmarks._claims import Claim, claim, median, number
from benchmarks._optimizers import COMPARED, ISGD_ADAM, ISGD_LBFGS, Method
from benchmarks.paper._rows import medians, where
from benchmarks.paper._rules import MARGIN, TRAINED, every

ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
SECOND_RATE = 1e-3  # of Adam as a second phase


@dataclasses.dataclass(frozen=True)
class Swept:
    """An optimiser of the sweep.

    Args:
      method: What it is.
      all_implicit: Whether it is without its second phase, which does not depend on α.
    """

    method: Method
    all_implicit: bool = False

    @property
    def name(self) -> str:
        """In recorded rows."""
        return self.method.name + ("-implicit" if self.all_implicit else "")

    @property
    def label(self) -> str:
        """In figures and tables."""
        return self.method.label + (", all implicit" if self.all_implicit else "")


_ALL = [Swept(m, alone) for m in COMPARED for alone in ((False, True) if m.second_phase else (False,))]
SWEPT = {swept.name: swept for swept in _ALL}


def robustness_claims(rows: list[dict[str, Any]]) -> Iterator[Claim]:
    """Whether each optimiser trains at every α and, at the end, how much its second phase does.

    All runs are shorter than the paper's: what has neither trained nor diverged is open.

    Args:
      rows: Errors of an optimiser on a problem for every α, one row a seed; None where it diverged.
    """
    for problem, optimizer in dict.fromkeys((r["problem"], r["optimizer"]) for r in rows):
        swept = SWEPT[optimizer]
        if not swept.method.has_rate:
            continue
        seeds = where(rows, problem=problem, optimizer=optimizer)
        errors = [error for row in seeds for error in row["rel_l2"]]
        outcomes = [False if error is None else error <= TRAINED or None for error in errors]
        expected = swept.method.implicit
        holds = every(outcomes) if expected else _is_sensitive(outcomes)
        shown = medians(seeds, "rel_l2")
        yield claim(
            f"{problem}: {swept.label} {'trains at every' if expected else 'is sensitive to'} α",
            f"rel. L2 {number(min(shown))} to {number(max(shown))}; trained at {outcomes.count(True)}, "
            f"diverged at {outcomes.count(False)} of {len(outcomes)}",
            holds,
            asked=swept.method.gauss_newton or swept.all_implicit,
            second_phase=swept.method.second_phase is not None and not swept.all_implicit,
        )
    problems = dict.fromkeys(row["problem"] for row in rows)
    for problem in problems:
        yield from _second_phase_claims(rows, problem)


def _second_phase_claims(rows: list[dict[str, Any]], problem: str) -> Iterator[Claim]:
    """That the two phases are better than the second one alone, with as many gradients."""
    for whole in (ISGD_ADAM, ISGD_LBFGS):
        plain = whole.second_phase
        assert plain is not None
        ours, theirs = (where(rows, problem=problem, optimizer=m.name) for m in (whole, plain))
        if not ours or not theirs:
            continue
        rate = f" at {SECOND_RATE:g}" if plain.has_rate else ""
        k = ALPHAS.index(SECOND_RATE)  # L-BFGS has the same there as at every other
        alone = median(row["rel_l2"][k] for row in theirs)
        values = medians(ours, "rel_l2")
        better = sum(MARGIN * value <= alone for value in values)
        yield claim(
            f"{problem}: {whole.label} is better than its second phase alone, {plain.label}{rate}",
            f"rel. L2 {number(min(values))} to {number(max(values))} against {number(alone)}; at least "
            f"{MARGIN:g}× better at {better} of {len(values)} values of α",
            None,  # as all runs are shorter than the paper's
            asked=True,
            second_phase=True,
        )


def _is_sensitive(outcomes: list[bool | None]) -> bool | None:
    """Whether it trains at some α and diverges at others; what trains at none may only be too short."""
    return True if {True, False} <= set(outcomes) else False if every(outcomes) else None
