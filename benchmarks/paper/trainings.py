"""Single trainings: one problem, one optimiser, a folder for every seed."""

import json
from pathlib import Path
from typing import Any

from benchmarks._claims import Claim, spread
from benchmarks._files import Table
from benchmarks._optimizers import GAUSS_NEWTON
from benchmarks.paper._rows import final
from benchmarks.paper._training_claims import error_claim
from benchmarks.paper.comparisons import Figure3, Figure4

SETTING = (
    "`python -m benchmarks run EXPERIMENT --seed SEED`. Those of Gauss–Newton stop at a target; those of the "
    "2-D problems have the machine to themselves, the others a core beside another run. On the 2-D problems "
    "they take the paper's 6×100 network and 1,000 + 200 Sobol points, drawn anew every 10 steps, instead of "
    "its 4,000 + 400; the runs called 4000 have all of these, on a GPU that three other trainings shared."
)
# What is solved, with the paper's largest error, by the beginning of a folder's name.
ERRORS = {
    "poisson2d-paper-isgd-gn": ("2-D Poisson", Figure3.error),
    "helmholtz-paper-isgd-gn": ("Helmholtz", Figure4.error),
    "poisson2d-paper-4000-isgd-gn": ("2-D Poisson, 4,000 + 400 points", Figure3.error),
    "helmholtz-paper-4000-isgd-gn": ("Helmholtz, 4,000 + 400 points", Figure4.error),
}


def read(results: Path) -> dict[str, dict[str, Any]]:
    """The summaries below a folder, by the names of their own folders."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(results.glob("*/summary.json"))}


def data(summaries: dict[str, dict[str, Any]]) -> Table:
    """Median and range over the seeds of every group."""
    errors = lambda key: lambda group: spread(final(run, key) for run in group[1])
    columns = {
        "runs": lambda group: group[0],
        "seeds": lambda group: ", ".join(str(run["seed"]) for run in group[1]),
        "rel. L2": errors("rel_l2"),
        "max error": errors("max_error"),
        "seconds": lambda group: spread(run["train_seconds"] for run in group[1]),
        "stopped": lambda group: ", ".join(sorted({run["stop_reason"] for run in group[1]})),
    }
    return Table.of(_groups(summaries).items(), columns)


def claims(summaries: dict[str, dict[str, Any]]) -> list[Claim]:
    """The paper's largest errors of figures 3 and 4, by Gauss–Newton, which it has not."""
    found = []
    for group, (problem, limit) in ERRORS.items():
        runs = _groups(summaries).get(group, [])
        errors = [final(run, "max_error") for run in runs]
        below = sum(error is not None and error < limit for error in errors)
        shown = (
            f", rel. L2 {spread(final(run, 'rel_l2') for run in runs)}; below on {below} of {len(runs)} "
            "seeds, which stop at their target"
        )
        named = f"{problem}, 6×100: {GAUSS_NEWTON.label} with its own α"
        found.append(error_claim(named, runs, limit, shortened=False, shown=shown))
    return found


def _groups(summaries: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Summaries that differ in their seed, by the name of their folders without it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, summary in summaries.items():
        found.setdefault(name.rpartition("-seed")[0] or name, []).append(summary)
    return found
