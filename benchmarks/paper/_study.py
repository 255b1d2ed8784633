"""A study: training runs in a folder each, and one JSON file and figures made from all of them."""

import abc
import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks._artefact import Artefact, Row
from benchmarks._claims import spread
from benchmarks._experiment import Experiment, Preset
from benchmarks._files import Table
from benchmarks._train import train
from benchmarks.paper._figures import draw_curves
from benchmarks.paper._rows import final, select

_CURVE_ROWS = 60
_KEPT = ("rel_l2", "max_error", "loss", "stop_reason", "num_steps", "num_gradients", "train_seconds")


@dataclasses.dataclass(frozen=True)
class Case:
    """One run of a study.

    Args:
      panels: the panels of the figure that show it.
      experiment: what is run; its ``out`` and ``progress`` are the study's.
      name: what its curve is called; by default its optimiser.
      group: what several panels have in common.
    """

    panels: tuple[str, ...]
    experiment: Experiment
    name: str = ""
    group: str = ""

    @property
    def label(self) -> str:
        """What its curve is called."""
        return self.name or self.experiment.method.label

    @property
    def cell(self) -> Row:
        """What tells it from the study's other runs."""
        return {"panels": self.panels, "label": self.label, "seed": self.experiment.seed}

    @property
    def slug(self) -> str:
        """Its folder's name."""
        e = self.experiment
        plain = lambda text: re.sub(r"\W+", "-", text.replace(" = ", "").replace(".", "_")).strip("-")
        place = self.panels[0] if len(self.panels) == 1 else self.group
        name = "-".join(filter(None, map(plain, (place, self.name or e.optimizer))))
        return f"{name}-seed={e.seed}"


class Study(Artefact):
    """What all studies let you choose.

    Their folder has that of each run below runs/. What NAME.json holds is kept, so that recorded results grow
    by seeds without their runs.
    """

    preset: Preset = "quick"
    """quick: minutes on 2 CPU cores, shortened runs. paper: the paper's networks, points and iterations, but
    for figure1, whose gradients are a thousandth to a hundredth of the paper's."""
    seeds: tuple[int, ...] = (0,)
    """Of the networks, points and mini-batches."""
    only: tuple[str, ...] = ()
    """Names of the optimisers to run; all by default."""

    axes: ClassVar[tuple[str, ...]] = ("panels", "label", "seed")
    identity: ClassVar[tuple[str, ...]] = ("preset",)

    @abc.abstractmethod
    def cases(self, seed: int) -> list[Case]:
        """The runs of one seed."""

    @classmethod
    def group(cls, panels: Sequence[str]) -> str:
        """What several panels have in common."""
        del panels
        return ""

    @classmethod
    def shown(cls, panels: Sequence[str]) -> str:
        """What one or several panels are called."""
        return panels[0] if len(panels) == 1 else cls.group(panels)

    def cells(self) -> list[Row]:
        """The chosen optimisers' runs."""
        cases = [case for seed in self.seeds for case in self.cases(seed)]
        return [c.cell for c in cases if not self.only or c.experiment.optimizer in self.only]

    def is_stale(self, row: Row) -> bool:
        """Whether its run's folder is there: the run may go on, and is else read again."""
        return self.place(self.case(row)).exists()

    def describe(self, **cell: Any) -> str:
        """The name of its folder."""
        return self.case(cell).slug

    def case(self, cell: Row) -> Case:
        """The case of a cell or row."""
        return next(case for case in self.cases(cell["seed"]) if self._key(case.cell) == self._key(cell))

    def place(self, case: Case) -> Path:
        """The folder of a run."""
        return self.folder() / "runs" / case.slug

    def measure(self, **cell: Any) -> Row:
        """Trains, or goes on."""
        case = self.case(cell)
        place = self.place(case)
        summary = train(dataclasses.replace(case.experiment, out=place, progress=self.progress))
        if summary["stop_reason"] == "interrupted":
            print("interrupted; the same command continues")
            sys.exit(130)
        return _row(summary, place)

    @classmethod
    def data(cls, result: Row) -> Table:
        """Median and range over the seeds of every curve."""
        rows = result["rows"]
        kinds = dict.fromkeys((tuple(row["panels"]), row["label"]) for row in rows)
        columns = {
            "panel": lambda runs: cls.shown(runs[0]["panels"]) or "all",
            "optimizer": lambda runs: runs[0]["label"],
            "dtype": lambda runs: runs[0]["dtype"],
            "rel. L2": lambda runs: spread(final(run, "rel_l2") for run in runs),
            "max error": lambda runs: spread(final(run, "max_error") for run in runs),
            "gradients": lambda runs: f"{max(run['num_gradients'] for run in runs):,.0f}",
            "seconds": lambda runs: spread(run["train_seconds"] for run in runs),
            "stopped": lambda runs: ", ".join(sorted({run["stop_reason"] for run in runs})),
        }
        return Table.of([select(rows, panels[0], label=label) for panels, label in kinds], columns)

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Loss and error of every run."""
        draw_curves(result["rows"], folder / f"{cls.name}.png")


def _row(summary: Row, place: Path) -> Row:
    """What is kept of a run: its summary, its curve thinned, and the solution where it is a curve."""
    history = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    keep = sorted({round(i) for i in np.linspace(0, len(history) - 1, min(_CURVE_ROWS, len(history)))})
    columns = ("num_gradients", "seconds", "loss", "rel_l2")
    kept = ("optimizer", "dtype", "alpha", *_KEPT, "num_implicit_steps")
    row = {
        **{key: summary.get(key) for key in kept},
        "call": {key: summary[key] for key in ("command", "device", "versions")},
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
