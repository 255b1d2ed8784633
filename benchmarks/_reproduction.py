"""REPRODUCTION.md: the verdicts on the paper's claims, written from the claims and from nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks._claims import Claim
from benchmarks.paper._rules import MARGIN, TRAINED
from benchmarks.report import RESULTS, Run, Section, render

GROUPS = ("Do not hold", "Hold", "Hold with a second phase", "Undecided", "Not measured")
_OF_VERDICT = {"does not hold": "Do not hold", "undecided": "Undecided", "not measured": "Not measured"}


class Line(NamedTuple):
    """A claim of a run, whose name and place from the repository's root go before it."""

    run: str
    link: str
    claim: Claim


def group(claim: Claim) -> str:
    """The heading under which a claim stands: its verdict, and whether a second phase is behind it."""
    if claim.verdict == "holds":
        return "Hold with a second phase" if claim.second_phase else "Hold"
    return _OF_VERDICT[claim.verdict]


def reproduction_page(found: Sequence[Section], results: Path = RESULTS) -> str:
    """The page's text.

    Args:
      found: Sections of the report.
      results: Folder in which their results lie.
    """
    runs = [(section, run) for section in found if section.kind == "paper" for run in section.runs]
    lines = [Line(*_place(run, results), claim) for _, run in runs for claim in run.claims]
    under = lambda asked: {
        g: [x for x in lines if x.claim.asked == asked and group(x.claim) == g] for g in GROUPS
    }
    counted = [
        (_place(run, results), [_count(run, name) for name in GROUPS], sum(c.asked for c in run.claims))
        for _, run in runs
    ]
    return render(
        "reproduction.md.jinja",
        groups=GROUPS,
        said=under(False),
        asked=under(True),
        counted=counted,
        sections=[section for section in found if section.kind == "paper" and section.setting],
        trained=TRAINED,
        margin=MARGIN,
    )


def _place(run: Run, results: Path) -> tuple[str, str]:
    """What a run is called, and where it lies."""
    inside = run.source.relative_to(results)
    name = inside.parent.name or (inside.stem if inside.stem else "trainings")
    return name, f"benchmarks/results/{inside.as_posix()}".removesuffix("/.")


def _count(run: Run, name: str) -> int:
    """How many of the paper's claims stand under a heading."""
    return sum(group(claim) == name for claim in run.claims if not claim.asked)
