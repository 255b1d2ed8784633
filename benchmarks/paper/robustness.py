"""The paper's claim in one picture: the error against the learning rate, for every optimiser and problem."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import pinns
from benchmarks._artefact import Artefact, Row
from benchmarks._claims import Claim, number
from benchmarks._experiment import Experiment, Preset
from benchmarks._experiments import Helmholtz, Ode, Poisson1d, Poisson2d, Regression
from benchmarks._files import Table
from benchmarks._optimizers import make_optimizer
from benchmarks._plots import figure, legend_below
from benchmarks._steps import take_steps
from benchmarks.paper._robustness_claims import ALPHAS, SWEPT, robustness_claims
from benchmarks.paper._rows import medians, where
from pinns import errors, evaluation_points, exact_values, predict

PROBLEMS: dict[str, Callable[..., Experiment]] = {
    "ODE, ε = 2": lambda **chosen: Ode(epsilon=2.0, **chosen),
    "ODE, ε = 0.01": lambda **chosen: Ode(epsilon=0.01, **chosen),
    "Eq. 45": lambda **chosen: Regression(function="multiscale", **chosen),
    "Eq. 46": lambda **chosen: Regression(function="discontinuous", **chosen),
    "Poisson 1-D, u_H": lambda **chosen: Poisson1d(solution="multiscale", **chosen),
    "Poisson 2-D": Poisson2d,
    "Helmholtz": Helmholtz,
}
QUICK_PROBLEMS = ("ODE, ε = 2", "Eq. 45")
LARGEST = 1e2  # error that a figure shows


class Robustness(Artefact):
    """Error against learning rate, 1e-4 to 1e2, for every optimiser on every problem."""

    name = "robustness"
    setting = (
        "α from 1e-4 to 100, 4×50 networks (4×64 for 1-D Poisson), all points, one seed, far fewer "
        "gradients than the paper's: what has not trained and not diverged is undecided. Half of the "
        'gradients of "ISGD" lie in implicit steps (recorded with L-BFGS in 1-D: two thirds), all of them '
        "where it says so; the second phase, Adam at 0.001 or L-BFGS, does not depend on α."
    )
    axes = ("problem", "optimizer", "seed")
    identity = ("preset",)

    preset: Preset = "quick"
    """quick: two problems, 750 gradients. paper: all of them, 20,000. Both with the quick networks."""
    problems: tuple[str, ...] = ()
    """Beginnings of the problems' names, instead of the preset's choice."""
    only: tuple[str, ...] = tuple(SWEPT)
    """Names of the optimisers."""
    steps: int | None = None
    """Gradients instead of the preset's number."""
    gauss_newton_steps: int | None = None
    """Gauss–Newton linearisations instead of the preset's number, 30 or 150."""
    seeds: tuple[int, ...] = (0,)
    """Of the networks and points."""

    def head(self) -> Row:
        """The learning rates and the problems."""
        return {"alphas": ALPHAS, "problems": self._problems()}

    def cells(self) -> list[Row]:
        """Every optimiser on every problem; a row is a sweep of α."""
        return [
            {"problem": problem, "optimizer": name, "seed": seed, "steps": self._steps(name)}
            for seed in self.seeds
            for problem in self._problems()
            for name in self.only
        ]

    def run(self) -> Row:
        """Refuses to mix lengths, of which there is no median, and measures what is missing."""
        path = self.folder() / f"{self.name}.json"
        held = json.loads(path.read_text()).get("rows", []) if path.exists() else []
        lengths = {(row["problem"], row["optimizer"]): row["steps"] for row in held}
        for cell in self.cells():
            problem, name, steps = cell["problem"], cell["optimizer"], cell["steps"]
            if (other := lengths.get((problem, name), steps)) != steps:
                raise ValueError(
                    f"{path} holds {name} on {problem} with {other:,} steps, not {steps:,}; choose another "
                    "folder with --out, or the same --steps and --gauss-newton-steps."
                )
        return super().run()

    def complete(self, result: Row, measured: Sequence[Row]) -> Row:
        """By problem, optimiser and seed, whenever they were run, with a title."""
        del measured
        places = (list(PROBLEMS).index, list(SWEPT).index, int)
        order = lambda row: [at(row[axis]) for at, axis in zip(places, self.axes[:3], strict=True)]
        rows = sorted(result["rows"], key=order)
        counts = sorted({r["steps"] for r in rows if not SWEPT[r["optimizer"]].method.gauss_newton})
        title = f"after {' or '.join(f'{count:,}' for count in counts)} gradients"
        return result | {"dataset": title, "rows": rows}

    def measure(self, problem: str, optimizer: str, seed: int, steps: int) -> Row:
        """Errors and losses at the end for every α; None where it diverged. α is traced: compiled once."""
        swept = SWEPT[optimizer]
        method, dtype = swept.method, "float64" if swept.method.precise else "float32"
        jax.config.update("jax_enable_x64", dtype == "float64")
        experiment = PROBLEMS[problem](optimizer=method.name, seed=seed, dtype=dtype, steps=steps)
        loss, error_of, params = _functions(experiment)
        budget = dataclasses.replace(experiment.plan().budget, decay=False)
        if swept.all_implicit:
            budget = dataclasses.replace(budget, implicit_iterations=steps)

        @jax.jit
        def train(params: Any, alpha: jax.Array) -> tuple[jax.Array, jax.Array]:
            solver, count = make_optimizer(method.name, method.with_rate(budget, alpha))
            (params, _), _ = take_steps(solver, loss, (params, solver.init(params)), count)
            return error_of(params), loss(params)

        began = time.perf_counter()
        alphas = ALPHAS if method.has_rate else ALPHAS[:1]  # without one, one run stands for all
        results = [jax.device_get(train(params, jnp.asarray(alpha, dtype))) for alpha in alphas]
        results *= len(ALPHAS) // len(results)
        finite = lambda value: float(f"{value:.4g}") if np.isfinite(value) else None
        return {
            "dtype": dtype,
            "rel_l2": [finite(error) for error, _ in results],
            "loss": [finite(value) for _, value in results],
            "seconds": round(time.perf_counter() - began, 1),
        }

    @classmethod
    def data(cls, result: Row) -> Table:
        """Median errors over the seeds for every α."""
        rows = result["rows"]
        kinds = dict.fromkeys((r["problem"], r["optimizer"], r["steps"]) for r in rows)
        lines = [
            [
                problem,
                SWEPT[name].label,
                f"{steps:,}",
                *map(number, medians(rows, "rel_l2", problem=problem, optimizer=name)),
            ]
            for problem, name, steps in kinds
        ]
        return Table(["problem", "optimizer", "steps", *(f"α = {alpha:g}" for alpha in ALPHAS)], lines)

    @classmethod
    def judge(cls, result: Row) -> Iterable[Claim]:
        """Whether each optimiser trains at every α, and what a second phase does of it."""
        return robustness_claims(result["rows"])

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """A panel for each problem, a curve for each optimiser; divergence as a cross on the upper edge."""
        rows = result["rows"]
        problems = [name for name in PROBLEMS if where(rows, problem=name)]
        columns = min(4, len(problems))
        lines, legend_columns = -(-len(problems) // columns), max(1, round(1.4 * columns))
        height = 3.4 * lines + 0.25 * (len(SWEPT) / legend_columns + 1)
        path, size = folder / f"{cls.name}.png", (3.8 * columns, height)
        with figure(path, lines, columns, size=size) as (drawn, axes):
            for axis, problem in zip(axes.flat, problems, strict=False):
                runs = where(rows, problem=problem)
                for name in dict.fromkeys(row["optimizer"] for row in runs):
                    swept, values = SWEPT[name], np.array(medians(runs, "rel_l2", optimizer=name))
                    line = "o--" if swept.all_implicit else "o-" if swept.method.has_rate else "-"
                    style = {"color": swept.method.color, "label": swept.label}
                    axis.loglog(ALPHAS, np.minimum(values, LARGEST), line, ms=3.5, **style)
                    lost = np.array(ALPHAS)[~np.isfinite(values)]
                    edge = np.full(len(lost), LARGEST)
                    axis.loglog(lost, edge, "x", color=swept.method.color, ms=9, mew=2)
                axis.set(title=problem, xlabel="learning rate α", ylim=(None, 2 * LARGEST))
            for axis in axes.flat[len(problems) :]:
                axis.set_axis_off()
            for axis in axes[:, 0]:
                axis.set_ylabel("relative L2 error")
            legend_below(drawn, axes[0, :1], legend_columns)

    def _problems(self) -> list[str]:
        """Names of the chosen problems."""
        chosen = self.problems or (QUICK_PROBLEMS if self.preset == "quick" else tuple(PROBLEMS))
        names = [name for name in PROBLEMS if name.startswith(chosen)]
        if not names:
            raise ValueError(
                f"no problem's name begins with any of {self.problems}; there are {list(PROBLEMS)}."
            )
        return names

    def _steps(self, optimizer: str) -> int:
        """Gradients, or Gauss–Newton's linearisations."""
        quick = self.preset == "quick"
        if SWEPT[optimizer].method.gauss_newton:
            return self.gauss_newton_steps or (30 if quick else 150)
        return self.steps or (750 if quick else 20_000)


def _functions(experiment: Experiment) -> tuple[Any, Any, Any]:
    """Loss and error as functions of the parameters, and the initial ones."""
    problem, model, dtype = experiment.problem(), experiment.model(), jnp.dtype(experiment.precision)
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    key = pinns.data_key(jax.random.key(experiment.seed))
    loss = problem.loss(model, problem.sample(key, method=experiment.plan().sampling, dtype=dtype))
    where = evaluation_points(problem, dtype)
    exact = exact_values(problem, where)
    assert exact is not None
    return loss, lambda p: errors(predict(nnx.merge(graphdef, p, rest), where), exact).rel_l2, params
