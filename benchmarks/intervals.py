"""How often intervals of unknown coefficients cover the truth, over draws of the noise."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._artefact import Artefact, Row, grid
from benchmarks._files import Table
from benchmarks._inverse_problems import CASES, InverseProblem
from benchmarks._steps import take_steps
from isgd_optax import LeastSquares, diagnostics, gauss_newton, implicit_step, largest_trusted
from pinns import data_key


class Intervals(Artefact):
    """Coverage of 95 % intervals of unknown coefficients of differential equations, from noisy data."""

    name = "intervals"
    axes = ("problem",)
    identity = ("weights", "draws", "steps", "warm_steps", "seed")
    dtype = "float64"

    cases: tuple[str, ...] = tuple(CASES)
    """Inverse problems: decay, oscillator, kdv."""
    weights: tuple[float, ...] = (1e-2, 1.0, 1e2, 1e4)
    """Weights of the equation's block; that of the data is 1."""
    draws: int = 100
    """Draws of the noise."""
    steps: int = 50
    """Gauss–Newton steps of a draw, from the fit to data without noise."""
    warm_steps: int = 600
    """Steps of that fit, from a random network for the first weight and from the last fit for others."""
    seed: int = 0
    """Of the network and the noise."""

    def cells(self) -> list[Row]:
        """The problems."""
        return grid(problem=self.cases)

    def measure(self, problem: str) -> Row:
        """Fits every draw, float64, and counts the intervals that hold the true coefficient."""
        return {"unknowns": self._unknowns(CASES[problem]())}

    @classmethod
    def data(cls, result: Row) -> Table:
        """Coverage, and standard errors beside the spread of the estimates."""
        plain = lambda key: lambda row: row[key]
        short = lambda key: lambda row: "nan" if row[key] is None else f"{row[key]:.3g}"
        ratios = ("spread", "standard_error", "standard_error_noise_given", "bound", "noise_std")
        columns = {
            "problem": plain("problem"),
            "weight": lambda row: f"{row['weight']:g}",
            **{key: plain(key) for key in ("unknown", "covered", "covered_noise_given")},
            **{key: short(key) for key in ratios},
        }
        return Table.of([each for row in result["rows"] for each in row["unknowns"]], columns)

    def _unknowns(self, problem: InverseProblem) -> list[Row]:
        params = problem.init(jax.random.key(self.seed))
        exact = problem.values()
        noise = jax.random.normal(data_key(jax.random.key(self.seed)), (self.draws, *exact.shape))
        warm = jax.jit(lambda params, weight: _train(problem.loss(exact, weight), params, self.warm_steps))

        @jax.jit
        def draw(params: Any, noise: jax.Array, weight: jax.Array) -> Row:
            loss = problem.loss(exact + problem.noise_std * noise, weight)
            fitted, progress = _train(loss, params, self.steps)
            unknowns = lambda p: p["unknowns"]
            of = lambda **given: diagnostics.covariance(
                loss, fitted, select=unknowns, noisy=("data",), **given
            )
            estimated, given = of(), of(noise_std=problem.noise_std)
            return {
                "estimate": fitted["unknowns"],
                "error": estimated.standard_error,
                "error_given": given.standard_error,
                "interval": estimated.intervals(),
                "interval_given": given.intervals(),
                "noise_std": estimated.noise_std["data"],
                "degrees_of_freedom": estimated.degrees_of_freedom,
                "progress": progress,
            }

        rows: list[dict[str, Any]] = []
        for weight in self.weights:
            params, _ = warm(params, jnp.asarray(weight))
            found = [draw(params, one, jnp.asarray(weight)) for one in noise]
            rows += _summary(problem, weight, jax.tree.map(lambda *x: np.stack(x), *found))
        return rows


def _train(loss: LeastSquares, params: Any, num_steps: int) -> tuple[Any, jax.Array]:
    """The parameters after Gauss–Newton steps, and the share by which the last five lowered the loss."""
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True)
    (params, _), values = take_steps(solver, loss, (params, solver.init(params)), num_steps, stored=True)
    return params, values[-6:][0] / values[-1] - 1


def _summary(problem: InverseProblem, weight: float, draws: Row) -> list[dict[str, Any]]:
    """One row for each unknown, in the unit of the equation."""
    bound = problem.bound()
    rows = []
    for i, (name, truth, unit) in enumerate(problem.unknowns):
        covered = lambda ends, i=i, scaled=truth / unit: int(
            np.sum((ends[0][:, i] < scaled) & (scaled < ends[1][:, i]))
        )
        estimates = unit * draws["estimate"][:, i]
        rows.append(
            {
                "problem": problem.name,
                "weight": weight,
                "unknown": name,
                "truth": truth,
                "covered": covered(draws["interval"]),
                "covered_noise_given": covered(draws["interval_given"]),
                "bias": float(np.mean(estimates) - truth),
                "spread": float(np.std(estimates, ddof=1)) if len(estimates) > 1 else None,
                "standard_error": unit * float(np.median(draws["error"][:, i])),
                "standard_error_noise_given": unit * float(np.median(draws["error_given"][:, i])),
                "bound": float("nan") if bound is None else float(bound[i]),
                "undetermined": int(np.sum(np.isinf(draws["error_given"][:, i]))),
                "true_noise_std": problem.noise_std,
                "noise_std": float(np.median(draws["noise_std"])),
                "degrees_of_freedom": float(np.median(draws["degrees_of_freedom"])),
                "largest_fall_of_loss_in_last_5_steps": float(np.max(draws["progress"])),
                "num_residuals": problem.num_residuals,
                "num_parameters": problem.num_parameters,
            }
        )
    return rows
