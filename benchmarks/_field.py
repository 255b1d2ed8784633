"""The field's problems as training experiments, one row each."""

import dataclasses
from typing import Literal

from flax import nnx

import pinns
from benchmarks._experiment import Experiment, Plan
from benchmarks._field_rows import GPU_ROWS, ROWS, Row
from benchmarks._optimizers import Budget

_STEPS = 10_000_000  # time or target end these trainings
_EVALUATE_EVERY = {"adam": 1000, "lbfgs": 100}


class FieldExperiment(Experiment):
    """A problem of the field, trained for the seconds of its row."""

    optimizer: Literal["adam", "lbfgs", "isgd-gn"] = "isgd-gn"
    """isgd-gn finds α by itself; adam and lbfgs for comparison, on the same points."""
    preset: Literal["quick", "gpu"] = "quick"  # pyright: ignore[reportIncompatibleVariableOverride]
    """quick: minutes on 2 CPU cores. gpu: larger networks and more points."""

    @property
    def row(self) -> Row:
        """The row of the preset."""
        rows = ROWS if self.preset == "quick" else GPU_ROWS
        if self.name not in rows:
            raise ValueError(f"there is no preset gpu of {self.name}; there is one of {', '.join(rows)}.")
        return rows[self.name]

    def problem(self) -> pinns.Problem:
        """The problem of the row."""
        return self.row.problem()

    def model(self) -> nnx.Module:
        """The network of the row, initialised from the seed."""
        return dataclasses.replace(self.row, dtype=self.precision).model(self.seed)

    def preset_plan(self) -> Plan:
        """The row's plan; float64 and the row's time for every optimiser."""
        momentum = self.row.momentum if self.method.gauss_newton else None
        budget = Budget(_STEPS, _STEPS, inner_steps=1, alpha=1.0, safeguard=True, momentum=momentum)
        return Plan(
            self.row.hidden,
            budget,
            sampling=self.row.sampling,
            evaluate_every=_EVALUATE_EVERY.get(self.optimizer, self.row.evaluate_every),
            time_limit=None if self.row.slabs else self.row.seconds,
            scaled=self.row.scaled,
            slabs=self.row.slabs,
        )

    @property
    def precision(self) -> str:
        """The dtype, float64 by default."""
        return self.dtype or "float64"


def _kind(name: str, row: Row) -> type[FieldExperiment]:
    namespace = {"name": name, "__doc__": f"{row.title[0].upper()}{row.title[1:]}."}
    class_name = "".join(word.capitalize() for word in name.split("_"))
    return type(class_name, (FieldExperiment,), namespace)


KINDS = tuple(_kind(name, row) for name, row in ROWS.items())
