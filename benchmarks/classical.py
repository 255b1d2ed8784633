"""The seconds that the solvers of the references take, which are made for their equations."""

import time

import numpy as np

from benchmarks._artefact import Artefact, Row, grid
from benchmarks._claims import number
from benchmarks._files import Table
from benchmarks.references import RECIPES

# Rows of the field's table whose reference is computed, and its name.
REFERENCES = {
    "allen_cahn": "allen_cahn_smooth",
    "kdv": "kdv",
    "cavity": "cavity_regularised_100",
    "robertson": "robertson",
    "van_der_pol": "van_der_pol",
    "lorenz_inverse": "lorenz",
}


class Classical(Artefact):
    """Seconds and errors of the classical solvers that make the references of the field's problems."""

    name = "classical"
    axes = ("problem",)
    kind = "field"
    setting = (
        "The generators of the references at their resolution, which is far finer than our errors: "
        "exponential time differencing with Fourier modes, collocation with Chebyshev polynomials, Radau. "
        "The error is the difference to a finer computation."
    )

    problems: tuple[str, ...] = tuple(REFERENCES)
    """Rows of the field's table with a computed reference."""

    def cells(self) -> list[Row]:
        """The problems."""
        return grid(problem=self.problems)

    def measure(self, problem: str) -> Row:
        """Computes the reference and the finer one."""
        recipe = RECIPES[REFERENCES[problem]]
        start = time.perf_counter()
        table = recipe.table()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "error": float(np.max(recipe.floor(table)))}

    @classmethod
    def data(cls, result: Row) -> Table:
        """Seconds and errors."""
        rows = [[row["problem"], f"{row['seconds']:.2g}", number(row["error"])] for row in result["rows"]]
        return Table(["problem", "seconds", "error"], rows)
