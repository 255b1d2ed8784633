"""What each choice is worth: the field's problems with one thing changed, after equal time."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from flax import nnx

import pinns
from benchmarks._artefact import Artefact, grid
from benchmarks._claims import spread
from benchmarks._field_rows import ROWS, Row
from benchmarks._files import Table, plain
from benchmarks._optimizers import isgd_gauss_newton


def _but(**changes: Any) -> Callable[[Row], Row]:
    """The same row with other entries."""
    return lambda row: dataclasses.replace(row, **changes)


def _periodic(row: Row) -> Row:
    """A network with the period itself in place of conditions."""
    problem = functools.partial(row.problem, periodic_network=True)  # pyright: ignore[reportCallIssue]
    embedding = lambda dtype: pinns.PeriodicEmbedding((2.0, None), dtype=dtype)
    return dataclasses.replace(row, problem=problem, embedding=embedding)


def _fourier(in_features: int, hidden: Any, out_features: int, *, embedding: Any, dtype: Any, rngs: nnx.Rngs):
    """A plain network behind ten random frequencies, of about one period per unit length."""
    del embedding  # of rows that have one this is no change of one thing
    features = pinns.FourierFeatures(in_features, 10, scale=1.0, dtype=dtype, rngs=rngs)
    return pinns.MLP(in_features, hidden, out_features, embedding=features, dtype=dtype, rngs=rngs)


CHANGES: dict[str, Callable[[Row], Row]] = {
    "as it is": _but(),
    "momentum 0.5": _but(momentum=0.5),
    "no momentum": _but(momentum=None),
    "uniform points, fixed": _but(sampling=pinns.Sampling()),
    "uniform points, fresh": _but(sampling=pinns.Sampling(resample_every=10)),
    "adaptive points": _but(sampling=pinns.AdaptiveSampling(every=10, pool=10)),
    "adaptive weights": _but(weights=pinns.AdaptiveWeights(every=20)),
    "scaled": _but(scaled=True),
    "unscaled": _but(scaled=False),
    "no corrections": _but(max_corrections=0),
    "one correction": _but(max_corrections=1),
    "sine network": _but(network=pinns.SIREN),
    "modified network": _but(network=pinns.ModifiedMLP),
    "Fourier features": _but(network=_fourier),
    "periodic network": _periodic,
    "float32 parameters": _but(dtype="float32"),
}


class Ablations(Artefact):
    """Errors of the field's problems with one choice changed, after equal time."""

    name = "ablations"
    axes = ("problem", "change", "seed")
    identity = ("seconds",)
    dtype = "float64"
    kind = "field"
    setting = (
        "Rows of the field's table and with one thing changed: the same seeds, the same seconds of training. "
        "Left out where a change changes nothing or does not apply."
    )

    problems: tuple[str, ...] = (
        "burgers",
        "kovasznay",
        "wave",
        "convection",
        "allen_cahn",
        "kdv",
        "poisson_nd",
    )
    """Rows of the field's table."""
    changes: tuple[str, ...] = tuple(CHANGES)
    """What is changed."""
    seeds: tuple[int, ...] = (0,)
    """Of networks and points."""
    seconds: float = 40.0
    """Seconds of each training, without compilation."""

    def cells(self) -> list[dict[str, Any]]:
        """All changes of all problems that change something."""
        cells = grid(problem=self.problems, change=self.changes, seed=self.seeds)
        return [cell for cell in cells if _applies(cell["problem"], cell["change"])]

    def measure(self, problem: str, change: str, seed: int) -> dict[str, Any]:
        """Trains for the seconds of a cell."""
        row, trained = _trained(problem, change)
        result = row.fit(
            isgd_gauss_newton(momentum=row.momentum, max_corrections=row.max_corrections),
            seed,
            seconds=self.seconds,
            evaluate_every=2,  # looks at the clock: times are to be equal
            progress=False,
        )
        if result.stop_reason == "interrupted":  # a row would not be one of equal time
            raise KeyboardInterrupt
        kept = ("rel_l2", "loss", "fresh_loss")
        return {
            **{name: result.final[name] for name in kept},
            "num_steps": result.num_steps,
            "num_parameters": pinns.num_parameters(result.params),
            "train_seconds": result.train_seconds,
            "stop_reason": result.stop_reason,
            "trained": trained,
        }

    def is_stale(self, row: dict[str, Any]) -> bool:
        """Whether the field's row was another then: rows of one table are trained alike."""
        return row.get("trained") != plain(_trained(row["problem"], row["change"])[1])

    @classmethod
    def data(cls, result: dict[str, Any]) -> Table:
        """The errors, a line for every change; over the seeds that were trained alike, median and range."""
        now = {(row["problem"], row["change"]): row.get("trained") for row in result["rows"]}  # the last ones
        problems = list(dict.fromkeys(row["problem"] for row in result["rows"]))
        lines = []
        for change in dict.fromkeys(row["change"] for row in result["rows"]):
            errors = {problem: [] for problem in problems}
            for row in result["rows"]:
                if row["change"] == change and row.get("trained") == now[row["problem"], change]:
                    errors[row["problem"]].append(row["rel_l2"])
            lines.append([change, *map(spread, errors.values())])
        return Table(["relative L2 error", *problems], lines)


def _trained(problem: str, change: str) -> tuple[Row, dict[str, Any]]:
    """How a problem is trained with a change, and that in words."""
    row = CHANGES[change](ROWS[problem])
    told = {"problem": repr(row.problem()), "hidden": row.hidden, "momentum": row.momentum}
    return row, told | {"scaled": row.scaled, "sampling": repr(row.sampling)}


def _applies(problem: str, change: str) -> bool:
    """Whether a change of a row is one and can be made."""
    row = ROWS[problem]
    if change == "periodic network":
        return hasattr(row.problem(), "periodic_network")
    if change == "Fourier features" and row.embedding is not None:
        return False
    return change == "as it is" or CHANGES[change](row) != row
