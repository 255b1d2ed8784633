"""The paper's claim in one picture: the error against the learning rate, for every optimiser and problem."""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

import pinns
from benchmarks._environment import command, environment
from benchmarks._experiment import Experiment, Preset
from benchmarks._experiments import Helmholtz, Ode, Poisson1d, Poisson2d, Regression
from benchmarks._files import Table, stored_result, write_rows
from benchmarks._optimizers import Budget, make_optimizer
from benchmarks.paper._claims import Claim, number
from benchmarks.paper._figures import COLORS
from benchmarks.paper._robustness_claims import ALPHAS, IMPLICIT, medians, robustness_claims
from benchmarks.paper._study import LABELS
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
# Algorithm 1 without its second phase, which does not depend on α.
ONLY_IMPLICIT = {f"{whole}{IMPLICIT}": whole for whole in ("isgd-adam", "isgd-lbfgs")}
OPTIMIZERS = (
    "sgd",
    "adam",
    "lbfgs",
    "isgd-adam",
    "isgd-adam-implicit",
    "isgd-lbfgs",
    "isgd-lbfgs-implicit",
    "isgd-gn-constant",
    "isgd-gn",
)
NAMES = LABELS | {name: f"{LABELS[whole]}, all implicit" for name, whole in ONLY_IMPLICIT.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Robustness:
    """Error against learning rate, 1e-4 to 1e2, for every optimiser on every problem."""

    name: ClassVar[str] = "robustness"
    setting: ClassVar[str] = (
        "α from 1e-4 to 100, 4×50 networks (4×64 for 1-D Poisson), all points, one seed, far fewer "
        "gradients than the paper's: what has not trained and not diverged is undecided. Half of the "
        'gradients of "ISGD" lie in implicit steps (recorded with L-BFGS in 1-D: two thirds), all of them '
        "where it says so; the second phase, Adam at 0.001 or L-BFGS, does not depend on α."
    )

    preset: Preset = "quick"
    """quick: two problems, 750 gradients. paper: all of them, 20,000. Both with the quick networks."""
    problems: tuple[str, ...] = ()
    """Beginnings of the problems' names, instead of the preset's choice."""
    only: tuple[str, ...] = OPTIMIZERS
    """Names of the optimisers."""
    steps: int | None = None
    """Gradients instead of the preset's number."""
    gauss_newton_steps: int | None = None
    """Gauss–Newton linearisations instead of the preset's number, 30 or 150."""
    seeds: tuple[int, ...] = (0,)
    """Of the networks and points."""
    out: Path | None = None
    """Folder of the results, by default runs/robustness-PRESET; what is there is not run again."""

    def run(self) -> dict[str, Any]:
        """Trains everything, 4×50 networks (4×64 for the 1-D Poisson equation) on all points."""
        folder = self.out or Path("runs") / f"robustness-{self.preset}"
        path = folder / "robustness.json"
        chosen = self.problems or (("ODE, ε = 2", "Eq. 45") if self.preset == "quick" else tuple(PROBLEMS))
        names = [name for name in PROBLEMS if name.startswith(chosen)]
        if not names:
            raise ValueError(
                f"no problem's name begins with any of {self.problems}; there are {list(PROBLEMS)}."
            )
        stored = stored_result(path, preset=self.preset)
        rows = stored.get("rows", [])
        self._refuse_mixture(path, rows, names)
        head = {"command": command(), "preset": self.preset, "alphas": ALPHAS, "problems": names}
        head |= environment()
        before = len(rows)
        for seed in self.seeds:
            for name in names:
                for optimizer in self.only:
                    cell = self._cell(name, optimizer, seed)
                    if any(cell.items() <= row.items() for row in rows):
                        continue
                    rows.append(cell | self._sweep(name, optimizer, seed))
                    write_rows(path, {**head, "rows": rows})
                    print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr)
        rows.sort(key=_order)
        counts = sorted({row["steps"] for row in rows if not row["optimizer"].startswith("isgd-gn")})
        title = f"after {' or '.join(f'{count:,}' for count in counts)} gradients"
        # What made the rows is said of them, not what draws them again.
        result = {**(head if len(rows) > before else stored), "dataset": title, "rows": rows}
        write_rows(path, result)
        draw(result, folder / "robustness.png")
        print(self.data(result))
        print(f"results in {folder}")
        return result

    def _refuse_mixture(self, path: Path, rows: list[dict[str, Any]], names: list[str]) -> None:
        """Seeds of different lengths have no median."""
        for name in names:
            for optimizer in self.only:
                steps = self._cell(name, optimizer, 0)["steps"]
                for row in rows:
                    if (row["problem"], row["optimizer"]) == (name, optimizer) and row["steps"] != steps:
                        raise ValueError(
                            f"{path} holds {optimizer} on {name} with {row['steps']:,} steps, not {steps:,}; "
                            "choose another folder with --out, or the same --steps and --gauss-newton-steps."
                        )

    def _cell(self, name: str, optimizer: str, seed: int) -> dict[str, Any]:
        quick = self.preset == "quick"
        if optimizer.startswith("isgd-gn"):
            steps = self.gauss_newton_steps or (30 if quick else 150)
        else:
            steps = self.steps or (750 if quick else 20_000)
        return {"problem": name, "optimizer": optimizer, "seed": seed, "steps": steps}

    def _sweep(self, name: str, optimizer: str, seed: int) -> dict[str, Any]:
        """Errors and losses at the end for every α; None where it diverged. α is traced: compiled once."""
        steps = self._cell(name, optimizer, seed)["steps"]
        whole = _whole(optimizer)
        double = whole.endswith("lbfgs") or whole.startswith("isgd-gn")
        dtype = "float64" if double else "float32"
        jax.config.update("jax_enable_x64", double)
        experiment = PROBLEMS[name](optimizer=whole, seed=seed, dtype=dtype, steps=steps)
        plan, problem, model = experiment.plan(), experiment.problem(), experiment.model()
        graphdef, params, rest = nnx.split(model, nnx.Param, ...)
        points = problem.sample(
            pinns.data_key(jax.random.key(seed)), method=plan.sampling, dtype=jnp.dtype(dtype)
        )
        loss = problem.loss(model, points)
        where = evaluation_points(problem, jnp.dtype(dtype))
        exact = exact_values(problem, where)
        assert exact is not None

        @jax.jit
        def run(params: Any, alpha: jax.Array) -> tuple[jax.Array, jax.Array]:
            budget = dataclasses.replace(plan.budget, decay=False)
            if whole != optimizer:
                budget = dataclasses.replace(budget, implicit_iterations=steps)
            solver, count = make_optimizer(whole, _with_rate(whole, budget, alpha))

            def step(carry: Any, _: None) -> tuple[Any, None]:
                params, state = carry
                value, grad = jax.value_and_grad(loss)(params)
                updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
                return (optax.apply_updates(params, updates), state), None

            (params, _), _ = jax.lax.scan(step, (params, solver.init(params)), length=count)
            return errors(predict(nnx.merge(graphdef, params, rest), where), exact).rel_l2, loss(params)

        began = time.perf_counter()
        alphas = ALPHAS[:1] if optimizer == "lbfgs" else ALPHAS  # it has none: one run stands for all
        results = [jax.device_get(run(params, jnp.asarray(alpha, dtype))) for alpha in alphas]
        results *= len(ALPHAS) // len(results)
        finite = lambda value: float(f"{value:.4g}") if np.isfinite(value) else None
        return {
            "dtype": dtype,
            "rel_l2": [finite(error) for error, _ in results],
            "loss": [finite(value) for _, value in results],
            "seconds": round(time.perf_counter() - began, 1),
        }

    @staticmethod
    def data(result: dict[str, Any]) -> Table:
        """Median errors over the seeds for every α."""
        rows = result["rows"]
        lines = [
            [problem, NAMES[optimizer], f"{steps:,}", *map(number, medians(rows, problem, optimizer))]
            for problem, optimizer, steps in dict.fromkeys(
                (r["problem"], r["optimizer"], r["steps"]) for r in rows
            )
        ]
        return Table(["problem", "optimizer", "steps", *(f"α = {alpha:g}" for alpha in ALPHAS)], lines)

    @staticmethod
    def claims(result: dict[str, Any]) -> list[Claim]:
        """Whether each optimiser trains at every α, and what a second phase does of it."""
        return robustness_claims(result["rows"], NAMES)


def _order(row: dict[str, Any]) -> tuple[int, int, int]:
    """By problem, optimiser and seed, whenever they were run."""
    return list(PROBLEMS).index(row["problem"]), OPTIMIZERS.index(row["optimizer"]), row["seed"]


def _whole(optimizer: str) -> str:
    """The optimiser with both its phases."""
    return ONLY_IMPLICIT.get(optimizer, optimizer)


def _with_rate(optimizer: str, budget: Budget, alpha: Any) -> Budget:
    """The budget with α as its learning rate: of the implicit steps, or of the plain method."""
    field = "alpha" if optimizer.startswith("isgd-") else "learning_rate"
    return dataclasses.replace(budget, **{field: alpha})


def draw(result: dict[str, Any], path: Path) -> None:
    """A panel for each problem, a curve for each optimiser; divergence as a cross on the upper edge."""
    rows = result["rows"]
    problems = [name for name in PROBLEMS if any(row["problem"] == name for row in rows)]
    columns = min(4, len(problems))
    lines = -(-len(problems) // columns)
    legend_columns = max(1, round(1.4 * columns))
    height = 3.4 * lines + 0.25 * (len(OPTIMIZERS) / legend_columns + 1)
    figure, axes = plt.subplots(
        lines, columns, figsize=(3.8 * columns, height), layout="constrained", squeeze=False
    )
    top = 1e2
    for axis, problem in zip(axes.flat, problems, strict=False):
        for optimizer in dict.fromkeys(row["optimizer"] for row in rows if row["problem"] == problem):
            values = np.array(medians(rows, problem, optimizer))
            color = COLORS[LABELS[_whole(optimizer)]]
            line = "o--" if optimizer in ONLY_IMPLICIT else "-" if optimizer == "lbfgs" else "o-"
            label = NAMES[optimizer]
            axis.loglog(ALPHAS, np.minimum(values, top), line, ms=3.5, color=color, label=label)
            lost = np.array(ALPHAS)[~np.isfinite(values)]
            axis.loglog(lost, np.full(len(lost), top), "x", color=color, ms=9, mew=2)
        axis.set(title=problem, xlabel="learning rate α", ylim=(None, 2 * top))
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(problems) :]:
        axis.set_axis_off()
    for axis in axes[:, 0]:
        axis.set_ylabel("relative L2 error")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
