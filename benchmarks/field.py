"""The field's problems: what this library reaches beside the best that was found in print."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr

from benchmarks._claims import median, number, spread
from benchmarks._field_rows import GPU_ROWS, ROWS, Row
from benchmarks._files import Table
from benchmarks._plots import figure
from benchmarks._published import PUBLISHED

SETTING = (
    "`python -m benchmarks run PROBLEM --seed SEED`: Gauss–Newton in float64, boundary and initial data "
    "by the loss, all weights 1 but in the scaled row (Van der Pol), whose conditions are weighted by "
    "the sizes of their residuals. Errors are relative L2 errors on points that are not trained on, of "
    "inverse problems the largest relative error of a coefficient; the median over seeds with its range. "
    "Seconds are those of training; those to compile stand beside them. A goal is reached where the median "
    "over seeds of the last error (of the worst output, where there are several) is at most the goal's, in "
    "at most 5 % more than its time: trainings end at an evaluation. The last error is one of a fluctuating "
    "course: the median of the last ten evaluations stands beside it. How the loss on fresh points ranks the "
    "networks of all evaluations is compared with the error by Spearman's correlation, in brackets their "
    "number: at most eight of each half decade of errors, so that a run that dwells at its floor is not most "
    "of them. "
    "Published figures are of other machines, mostly single runs, and not always of the same network."
)
_RANKS = "fresh loss ranks as error"
TITLES = {"quick": "on CPU cores", "gpu": "on a GPU: larger networks, more points"}
_ROWS = {"quick": ROWS, "gpu": GPU_ROWS}
Runs = dict[str, list[tuple[dict[str, Any], Path]]]


def read(results: Path, preset: str = "quick") -> Runs:
    """Recorded summaries of a preset and their folders by problem, in the order of the table of problems."""
    found: Runs = {name: [] for name in ROWS}
    for path in sorted(results.glob("field/*/summary.json")):
        summary = json.loads(path.read_text())
        if summary["optimizer"] == "isgd-gn" and summary["preset"] == preset:
            found[summary["experiment"]].append((summary, path.parent))
    return {name: runs for name, runs in found.items() if runs}


def error(summary: Mapping[str, Any]) -> float:
    """The error by which a run is judged: of its solution, or the largest of its coefficients."""
    if "unknowns" not in summary:
        return summary["rel_l2"]
    true = summary["true_unknowns"]
    return max(abs(value / true[name] - 1) for name, (value, _) in summary["unknowns"].items())


def classical(results: Path) -> dict[str, str]:
    """Seconds and error of the classical solvers by problem, as they are recorded."""
    path = results / "classical" / "classical.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    return {row["problem"]: f"{row['seconds']:.2g} s, {number(row['error'])}" for row in rows}


def data(found: Runs, preset: str = "quick", *, classical: Mapping[str, str] = MappingProxyType({})) -> Table:
    """A line for every problem, and one for what they have in common."""
    lines, ranked = [], {name: _ranked(runs) for name, runs in found.items()}
    for name, runs in found.items():
        row, summaries = _ROWS[preset][name], [summary for summary, _ in runs]
        config = json.loads((runs[0][1] / "config.json").read_text())
        errors = [error(summary) for summary in summaries]
        outputs = [s["rel_l2_by_output"] for s in summaries if "rel_l2_by_output" in s]
        worst = [max(errors.values()) for errors in outputs]
        seconds = [summary["train_seconds"] for summary in summaries]
        last = [[r["rel_l2"] for r in _history(folder)[-10:] if "rel_l2" in r] for _, folder in runs]
        floor, inverse = summaries[0].get("reference_floor"), "unknowns" in summaries[0]
        lines.append(
            {
                "problem": name,
                "network": f"{len(row.hidden)}×{row.hidden[0]}",
                "parameters": config["num_parameters"],
                "seeds": ", ".join(str(summary["seed"]) for summary in summaries),
                "error": spread(errors),
                "of the worst output": spread(worst),
                "median of the last ten": "—" if row.slabs or inverse else spread(map(median, last)),
                "seconds": _range(seconds),
                "to compile": _range(summary["compile_seconds"] for summary in summaries),
                "goal": "—" if row.goal is None else f"{row.goal:.0e} in {row.seconds:.0f} s",
                "reached": _reached(row, errors if inverse or not worst else worst, seconds),
                _RANKS: _rank(ranked[name]),
                "floor of the reference": "—" if floor is None else number(floor),
                "classical solver": classical.get(name, "—"),
                "best in print": _in_print(name),
            }
        )
    if len(found) > 1:
        together = _rank([pair for pairs in ranked.values() for pair in pairs])
        lines.append(dict.fromkeys(lines[0], "—") | {"problem": "all", _RANKS: together})
    return Table.of_lines(lines)


def _range(values: Iterable[float]) -> str:
    """From the least to the largest, in whole numbers."""
    values = list(values)
    return "–".join(dict.fromkeys(f"{each:.0f}" for each in (min(values), max(values))))


def _reached(row: Row, judged: list[float], seconds: list[float]) -> str:
    """Whether the median over seeds is the goal, in its time."""
    if row.goal is None:
        return "—"
    return "yes" if median(judged) <= row.goal and median(seconds) <= 1.05 * row.seconds else "no"


Pair = tuple[float, float]


def _ranked(runs: list[tuple[dict[str, Any], Path]]) -> list[Pair]:
    """Fresh losses and errors, at most eight of each half decade of errors, evenly along the trainings."""
    by_error: dict[int, list[Pair]] = {}
    for row in (row for _, folder in runs for row in _history(folder)):
        if row.get("fresh_loss") and row.get("rel_l2"):
            pair = (row["fresh_loss"], row["rel_l2"])
            by_error.setdefault(math.floor(2 * math.log10(pair[1])), []).append(pair)
    return [pair for pairs in by_error.values() for pair in pairs[:: -(-len(pairs) // 8)]]


def _rank(pairs: list[Pair]) -> str:
    """Spearman's correlation of fresh loss and error, and the number of pairs."""
    if len(pairs) < 3:
        return "—"
    found: Any = spearmanr(*np.array(pairs).T)
    return f"{found.statistic:.3f} ({len(pairs)})"


def _history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _in_print(name: str) -> str:
    if name not in PUBLISHED:
        return "none found"
    found = PUBLISHED[name]
    told = [
        number(found.error),
        *([] if found.seconds is None else [f"{found.seconds:,.0f} s"]),
        *filter(None, [found.hardware, found.source, found.remark]),
    ]
    return "; ".join(told)


def draw(found: dict[str, Runs], path: Path) -> None:
    """Error against seconds of training for all problems, by preset; those of a GPU are dashed.

    A star is the best in print that tells its time, a circle the end of a training in slabs of time.
    """
    names = [
        name
        for name in ROWS
        if any("unknowns" not in summary for runs in found.values() for summary, _ in runs.get(name, [])[:1])
    ]
    colors = dict(zip(names, plt.colormaps["tab20"](np.linspace(0, 1, max(1, len(names)))), strict=True))
    with figure(path, size=(9, 6), dpi=130) as (_, axes):
        axis = axes[0, 0]
        for name, color in colors.items():
            label = name
            for preset, style in {"quick": "-", "gpu": "--"}.items():
                for i, (summary, folder) in enumerate(found.get(preset, {}).get(name, [])):
                    look = {"color": color, "label": label, "alpha": 0.5 if i else 1}
                    label = None
                    if _ROWS[preset][name].slabs:
                        axis.plot(summary["train_seconds"], summary["rel_l2"], "o", **look)
                        continue
                    rows = _history(folder)[1:]
                    times, errors = ([row[key] for row in rows] for key in ("seconds", "rel_l2"))
                    axis.loglog(times, errors, style, linewidth=1.2, **look)
            if name in PUBLISHED and (published := PUBLISHED[name]).seconds:
                axis.plot(published.seconds, published.error, "*", color=color, markersize=11)
        told = "dashed: GPU; stars: in print, other machines; circles: in slabs"
        axis.set(xlabel=f"seconds of training ({told})", ylabel="relative L2 error")
        axis.legend(fontsize=8, ncols=2)
