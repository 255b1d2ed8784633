"""What each choice is worth: the field's problems with one thing changed, after equal time."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import pinns
from benchmarks import _field
from benchmarks._artefact import Artefact, Row, grid
from benchmarks._claims import spread
from benchmarks._files import Table, plain
from isgd_optax import gauss_newton, implicit_step, largest_trusted


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a problem is trained.

    Args:
      row: The problem, its points, its network and the optimiser's momentum.
      network: The class of the network.
      dtype: The dtype of the parameters; matrices are factored in float64 in any case.
      weights: Weights of conditions that follow the training.
      max_corrections: The most corrections of a step for the curvature of the residuals.
    """

    row: _field.Row
    network: Callable[..., nnx.Module] = pinns.MLP
    dtype: str = "float64"
    weights: pinns.AdaptiveWeights | None = None
    max_corrections: int = 10

    def but(self, **changes: Any) -> "Setting":
        """The same with other entries of the row."""
        return dataclasses.replace(self, row=dataclasses.replace(self.row, **changes))


def _periodic(setting: Setting) -> Setting:
    """A network with the period itself in place of conditions."""
    problem = setting.row.problem
    return setting.but(
        problem=functools.partial(problem, periodic_network=True),  # pyright: ignore[reportCallIssue]
        embedding=lambda dtype: pinns.PeriodicEmbedding((2.0, None), dtype=dtype),
    )


def _fourier(in_features: int, hidden: Any, out_features: int, *, embedding: Any, dtype: Any, rngs: nnx.Rngs):
    """A plain network behind ten random frequencies, of about one period per unit length."""
    del embedding  # of rows that have one this is no change of one thing
    features = pinns.FourierFeatures(in_features, 10, scale=1.0, dtype=dtype, rngs=rngs)
    return pinns.MLP(in_features, hidden, out_features, embedding=features, dtype=dtype, rngs=rngs)


CHANGES: dict[str, Callable[[Setting], Setting]] = {
    "as it is": lambda s: s,
    "momentum 0.5": lambda s: s.but(momentum=0.5),
    "no momentum": lambda s: s.but(momentum=None),
    "uniform points, fixed": lambda s: s.but(sampling=pinns.Sampling()),
    "uniform points, fresh": lambda s: s.but(sampling=pinns.Sampling(resample_every=10)),
    "adaptive points": lambda s: s.but(sampling=pinns.AdaptiveSampling(every=10, pool=10)),
    "adaptive weights": lambda s: dataclasses.replace(s, weights=pinns.AdaptiveWeights(every=20)),
    "scaled": lambda s: s.but(scaled=True),
    "unscaled": lambda s: s.but(scaled=False),
    "no corrections": lambda s: dataclasses.replace(s, max_corrections=0),
    "one correction": lambda s: dataclasses.replace(s, max_corrections=1),
    "sine network": lambda s: dataclasses.replace(s, network=pinns.SIREN),
    "modified network": lambda s: dataclasses.replace(s, network=pinns.ModifiedMLP),
    "Fourier features": lambda s: dataclasses.replace(s, network=_fourier),
    "periodic network": _periodic,
    "float32 parameters": lambda s: dataclasses.replace(s, dtype="float32"),
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

    def cells(self) -> list[Row]:
        """All changes of all problems that change something."""
        cells = grid(problem=self.problems, change=self.changes, seed=self.seeds)
        return [cell for cell in cells if _applies(cell["problem"], cell["change"])]

    def measure(self, problem: str, change: str, seed: int) -> Row:
        """Trains for the seconds of a cell."""
        setting, trained = _trained(problem, change)
        row, dtype = setting.row, jnp.dtype(setting.dtype)
        solved = row.problem()
        embedding = row.embedding(dtype) if row.embedding else None
        model = setting.network(
            solved.domain.dim, row.hidden, row.outputs, embedding=embedding, dtype=dtype, rngs=nnx.Rngs(seed)
        )
        key = jax.random.key(seed)
        optimizer = implicit_step(
            gauss_newton(max_corrections=setting.max_corrections),
            largest_trusted(),
            max_inner_steps=1,
            momentum=row.momentum,
            store_grad=True,
        )
        result = pinns.fit(
            pinns.scaled(solved, model, key) if row.scaled else solved,
            model,
            optimizer,
            num_steps=10_000_000,
            key=key,
            sampling=row.sampling,
            weights=setting.weights,
            evaluate_every=2,  # looks at the clock: times are to be equal
            stop=pinns.Stop(seconds=self.seconds),
            progress=False,
        )
        if result.stop_reason == "interrupted":  # a row would not be one of equal time
            raise KeyboardInterrupt
        kept = ("rel_l2", "loss", "fresh_loss")
        return {
            **{name: result.final[name] for name in kept},
            "num_steps": result.num_steps,
            "num_parameters": pinns.num_parameters(model),
            "train_seconds": result.train_seconds,
            "stop_reason": result.stop_reason,
            "trained": trained,
        }

    def is_stale(self, row: Row) -> bool:
        """Whether the field's row was another then: rows of one table are trained alike."""
        return row.get("trained") != plain(_trained(row["problem"], row["change"])[1])

    @classmethod
    def data(cls, result: Row) -> Table:
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


def _trained(problem: str, change: str) -> tuple[Setting, Row]:
    """How a problem is trained with a change, and that in words."""
    setting = CHANGES[change](Setting(_field.ROWS[problem]))
    row = setting.row
    told = {"problem": repr(row.problem()), "hidden": row.hidden, "momentum": row.momentum}
    return setting, told | {"scaled": row.scaled, "sampling": repr(row.sampling)}


def _applies(problem: str, change: str) -> bool:
    """Whether a change of a row is one and can be made."""
    if change == "as it is":
        return True
    if change == "periodic network":
        return hasattr(_field.ROWS[problem].problem(), "periodic_network")
    setting = Setting(_field.ROWS[problem])
    if change == "Fourier features" and setting.row.embedding is not None:
        return False
    return CHANGES[change](setting) != setting
