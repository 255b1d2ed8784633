"""The layer-wise kernel against rows of the Jacobian."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pinns
from benchmarks._artefact import Artefact, Row, grid
from benchmarks._files import Table
from benchmarks._steps import start
from benchmarks._timing import STATISTICS, paired, ratio, shown
from isgd_optax import diagnostics

CASES = {  # The paper's networks, and the problem for a number of residuals.
    "2-D, 6×100": (lambda n: pinns.Poisson2D(n - n // 10, n // 10), (100,) * 6),
    "1-D, 5×200": (lambda n: pinns.Poisson1D(num_points=n - 2), (200,) * 5),
    "1-D, 4×50": (lambda n: pinns.Poisson1D(num_points=n - 2), (50,) * 4),
}


class Kernel(Artefact):
    """Time and memory of K = JJᵀ from layers' factors, from blocks of rows of J, and from a whole J."""

    name = "kernel"
    axes = ("case",)
    identity = ("points", "repeats")
    dtype = "float64"

    repeats: int = 5
    """Rounds of timings."""
    points: int = 1000
    """Residuals N."""

    def cells(self) -> list[Row]:
        """The networks."""
        return grid(case=CASES)

    def measure(self, case: str) -> Row:
        """Seconds and memory of each way, on the 2-D and 1-D Poisson problems, float64."""
        problem, hidden = CASES[case]
        return {"ways": _measure(problem(self.points), hidden, self.repeats)}

    @classmethod
    def data(cls, result: Row) -> Table:
        """Times over those from the layers' factors."""
        header = ["network", "K from", "seconds", "over layers", *STATISTICS[1:], "GiB"]
        lines = [
            [
                row["case"],
                name,
                f"{np.median(way['seconds']):.3f}",
                *shown(way["time_over_layers"]),
                f"{way['gib']:.2f}",
            ]
            for row in result["rows"]
            for name, way in row["ways"].items()
        ]
        return Table(header, lines)


def _measure(problem: pinns.Problem, hidden: tuple[int, ...], repeats: int) -> dict[str, Any]:
    _, loss, params = start(problem, hidden, "float64")

    def gram(kernel: str, row_block: int) -> Any:
        return lambda params, loss: diagnostics.gram_matrix(loss, params, kernel=kernel, row_block=row_block)

    forms = {
        "layers": gram("layers", 256),
        "rows": gram("rows", 256),
        "whole J": gram("rows", 10**9),  # one block
    }
    compiled = {name: jax.jit(form).lower(params, loss).compile() for name, form in forms.items()}
    calls = {name: (lambda c=c: c(params, loss)) for name, c in compiled.items()}
    reference = calls["whole J"]()
    for call in calls.values():
        np.testing.assert_allclose(call(), reference, rtol=1e-9, atol=1e-12 * float(jnp.max(reference)))
    seconds = paired(calls, repeats)
    return {
        name: {
            "seconds": values.tolist(),
            "time_over_layers": ratio(values, seconds["layers"]),
            "gib": _gib(compiled[name]),
        }
        for name, values in seconds.items()
    }


def _gib(compiled: Any) -> float:
    """What XLA allocates beside arguments and result."""
    return compiled.memory_analysis().temp_size_in_bytes / 2**30
