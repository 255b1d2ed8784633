"""A study: training runs in a folder each, and one JSON file and figures made from all of them."""

import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks._environment import command, environment
from benchmarks._experiment import Experiment, Preset
from benchmarks._files import Table, stored_result, write_rows
from benchmarks._train import train
from benchmarks.paper._claims import Claim, spread

LABELS = {
    "sgd": "SGD",
    "adam": "Adam",
    "lbfgs": "L-BFGS",
    "isgd-sgd": "ISGD, SGD",
    "isgd-adam": "ISGD, Adam",
    "isgd-lbfgs": "ISGD, L-BFGS",
    "isgd-gn-constant": "ISGD, Gauss–Newton, α constant",
    "isgd-gn": "ISGD, Gauss–Newton",
}
_CURVE_ROWS = 60


@dataclasses.dataclass(frozen=True)
class Case:
    """One run of a study.

    Args:
      panels: the panels of the figure that show it.
      experiment: what is run; its ``out`` and ``progress`` are the study's.
      name: what its curve is called; by default its optimiser.
    """

    panels: tuple[str, ...]
    experiment: Experiment
    name: str = ""

    @property
    def label(self) -> str:
        """What its curve is called."""
        return self.name or LABELS[self.experiment.optimizer]

    @property
    def key(self) -> tuple[tuple[str, ...], str, int]:
        """What tells it from the study's other runs."""
        return self.panels, self.label, self.experiment.seed

    @property
    def slug(self) -> str:
        """Its folder's name."""
        e = self.experiment
        plain = lambda text: re.sub(r"\W+", "-", text.replace(" = ", "").replace(".", "_")).strip("-")
        name = "-".join(
            part for part in map(plain, (common_title(self.panels), self.name or e.optimizer)) if part
        )
        return f"{name}-seed={e.seed}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """What all studies let you choose."""

    preset: Preset = "quick"
    """quick: minutes on 2 CPU cores, shortened runs. paper: the paper's networks, points and iterations, but
    for figure1, whose gradients are a thousandth to a hundredth of the paper's."""
    seeds: tuple[int, ...] = (0,)
    """Of the networks, points and mini-batches."""
    only: tuple[str, ...] = ()
    """Names of the optimisers to run; all by default."""
    out: Path | None = None
    """Folder of the results and, below runs/, of each run; by default runs/NAME-PRESET. The same command
    continues where it was interrupted, and runs nothing again that is finished."""
    progress: bool = True
    """Show progress bars."""

    name: ClassVar[str] = ""

    def cases(self, seed: int) -> list[Case]:
        """The runs of one seed."""
        raise TypeError("a study defines cases()")

    def draw(self, result: dict[str, Any], folder: Path) -> None:
        """Saves the figures."""
        raise TypeError("a study defines draw()")

    def claims(self, result: dict[str, Any]) -> list[Claim]:
        """The paper's claims beside what was measured."""
        raise TypeError("a study defines claims()")

    @staticmethod
    def data(result: dict[str, Any]) -> Table:
        """Median and range over the seeds of every curve."""
        rows, lines = result["rows"], []
        for shown, label in dict.fromkeys((tuple(row["panels"]), row["label"]) for row in rows):
            runs = select(rows, shown[0], label=label)
            lines.append(
                [
                    common_title(shown) or "all",
                    label,
                    runs[0]["dtype"],
                    spread(final(run, "rel_l2") for run in runs),
                    spread(final(run, "max_error") for run in runs),
                    f"{max(run['num_gradients'] for run in runs):,.0f}",
                    spread(run["train_seconds"] for run in runs),
                    ", ".join(sorted({run["stop_reason"] for run in runs})),
                ]
            )
        header = ["panel", "optimizer", "dtype", "rel. L2", "max error", "gradients", "seconds", "stopped"]
        return Table(header, lines)

    def extra(self, stored: dict[str, Any], places: dict[Path, Case]) -> dict[str, Any]:
        """Further measurements for the JSON file: those it holds, and those of these runs' folders."""
        del stored, places
        return {}

    def folder(self) -> Path:
        """Where the results go."""
        return self.out or Path("runs") / f"{self.name}-{self.preset}"

    def run(self) -> dict[str, Any]:
        """Runs what is missing, writes NAME.json and the figures, and prints a table.

        What NAME.json holds already is kept, so that recorded results grow by seeds without their runs.
        """
        folder = self.folder()
        path = folder / f"{self.name}.json"
        stored = stored_result(path, preset=self.preset)
        known = {_key(row): row for row in stored.get("rows", [])}
        cases = [case for seed in self.seeds for case in self.cases(seed)]
        cases = [c for c in cases if not self.only or c.experiment.optimizer in self.only]
        asked = {case.key for case in cases}
        rows = [row for key, row in known.items() if key not in asked]  # nothing recorded is lost
        places = {}
        for i, case in enumerate(cases):
            place = folder / "runs" / case.slug
            if case.key in known and not place.exists():
                rows.append(known[case.key])
                continue
            if self.progress:
                print(f"[{i + 1}/{len(cases)}] {case.slug}", file=sys.stderr)
            experiment = dataclasses.replace(case.experiment, out=place, progress=self.progress)
            summary = train(experiment)
            if summary["stop_reason"] == "interrupted":
                print("interrupted; the same command continues")
                sys.exit(130)
            rows.append(_row(case, summary, place))
            places[place] = case
        head = {"command": command(), "preset": self.preset, **environment()}
        if all(case.key in known for case in cases):
            head = {**head, **stored}  # what made the rows is said of them, not what draws them again
        result = {**stored, **head, **self.extra(stored, places), "rows": rows}
        write_rows(path, result)
        self.draw(result, folder)
        print(self.data(result))
        print(f"results in {folder}")
        return result


def _key(row: dict[str, Any]) -> tuple[tuple[str, ...], str, int]:
    """What tells a row from the others; that of its case."""
    return tuple(row["panels"]), row["label"], row["seed"]


def _row(case: Case, summary: dict[str, Any], place: Path) -> dict[str, Any]:
    """What is kept of a run: its summary, its curve thinned, and the solution where it is a curve."""
    lines = (place / "metrics.jsonl").read_text().splitlines()
    history = [json.loads(line) for line in lines]
    keep = sorted({round(i) for i in np.linspace(0, len(history) - 1, min(_CURVE_ROWS, len(history)))})
    columns = ("num_gradients", "seconds", "loss", "rel_l2")
    kept = ("rel_l2", "max_error", "loss", "stop_reason", "num_steps", "num_gradients", "train_seconds")
    row = {
        "panels": case.panels,
        "label": case.label,
        **{
            key: summary[key]
            for key in ("optimizer", "seed", "dtype", "alpha", *kept, "device", "versions", "command")
        },
        "num_implicit_steps": summary.get("num_implicit_steps"),
        "curve": {c: [_short(history[i][c]) for i in keep] for c in columns},
    }
    stored = np.load(place / "prediction.npz")
    if stored["points"].shape[1] == 1:
        error = stored["prediction"] - stored["exact"]
        columns = {"x": stored["points"], "u": stored["prediction"], "error": error}
        row["solution"] = {name: [_short(v) for v in values[::10, 0]] for name, values in columns.items()}
    return row


def _short(value: Any) -> float | None:
    """Four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def common_title(panels: Sequence[str]) -> str:
    """What a panel is called, or what several that differ in α have in common."""
    return panels[0] if len(panels) == 1 else panels[0].rsplit("α", 1)[0].rstrip(", ")


def panels(rows: list[dict[str, Any]]) -> list[str]:
    """The panels of a study, in order."""
    return list(dict.fromkeys(panel for row in rows for panel in row["panels"]))


def select(rows: list[dict[str, Any]], panel: str, **wanted: Any) -> list[dict[str, Any]]:
    """The rows that a panel shows and that have these values."""
    return [
        row for row in rows if panel in row["panels"] and all(row[k] == value for k, value in wanted.items())
    ]


def final(row: dict[str, Any], quantity: str) -> float | None:
    """An error at the end; None where the run diverged, whose row has that of its last finite state."""
    return None if row["stop_reason"] == "diverged" else row[quantity]
