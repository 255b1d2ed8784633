"""How often intervals of unknown coefficients cover the truth, over draws of the noise."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks._environment import command, environment
from benchmarks._files import table, write_rows
from benchmarks._inverse_problems import CASES, InverseProblem
from isgd_optax import LeastSquares, diagnostics, gauss_newton, implicit_step, largest_trusted
from pinns import data_key


@dataclasses.dataclass(frozen=True, kw_only=True)
class Intervals:
    """Coverage of 95 % intervals of unknown coefficients of differential equations, from noisy data."""

    name = "intervals"

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
    out: Path = Path("runs/intervals")
    """Folder of intervals.json."""

    def run(self) -> dict[str, Any]:
        """Fits every draw, float64, and counts the intervals that hold the true coefficient."""
        jax.config.update("jax_enable_x64", True)
        rows: list[dict[str, Any]] = []
        result = {
            "command": command(),
            "draws": self.draws,
            "steps": self.steps,
            "warm_steps": self.warm_steps,
            "seed": self.seed,
            **environment(),
        }
        for case in self.cases:
            rows += self._rows(CASES[case]())
            write_rows(self.out / "intervals.json", {**result, "rows": rows})
        columns = ("problem", "weight", "unknown", "covered", "covered_noise_given")
        ratios = ("spread", "standard_error", "standard_error_noise_given", "bound")
        shown = [
            [*(f"{row[key]:g}" if key == "weight" else str(row[key]) for key in columns)]
            + [f"{row[key]:.3g}" for key in (*ratios, "noise_std")]
            for row in rows
        ]
        print(table([*columns, *ratios, "noise_std"], shown))
        return {**result, "rows": rows}

    def _rows(self, problem: InverseProblem) -> list[dict[str, Any]]:
        params = problem.init(jax.random.key(self.seed))
        exact = problem.values()
        noise = jax.random.normal(data_key(jax.random.key(self.seed)), (self.draws, *exact.shape))
        warm = jax.jit(lambda params, weight: _train(problem.loss(exact, weight), params, self.warm_steps))

        @jax.jit
        def draw(params: Any, noise: jax.Array, weight: jax.Array) -> _Draw:
            loss = problem.loss(exact + problem.noise_std * noise, weight)
            fitted, progress = _train(loss, params, self.steps)
            unknowns = lambda p: p["unknowns"]
            of = lambda **given: diagnostics.covariance(
                loss, fitted, select=unknowns, noisy=("data",), **given
            )
            estimated, given = of(), of(noise_std=problem.noise_std)
            return _Draw(
                fitted["unknowns"],
                estimated.standard_error,
                given.standard_error,
                estimated.intervals(),
                given.intervals(),
                estimated.noise_std["data"],
                estimated.degrees_of_freedom,
                progress,
            )

        rows: list[dict[str, Any]] = []
        for weight in self.weights:
            params, _ = warm(params, jnp.asarray(weight))
            found = [draw(params, one, jnp.asarray(weight)) for one in noise]
            rows += _summary(problem, weight, jax.tree.map(lambda *x: np.stack(x), *found))
        return rows


class _Draw(NamedTuple):
    """What one draw of the noise gives; arrays of shape (unknowns,) but for the last three."""

    estimate: Any
    error: Any
    error_given: Any
    interval: Any
    interval_given: Any
    noise_std: Any
    degrees_of_freedom: Any
    progress: Any


def _train(loss: LeastSquares, params: Any, num_steps: int) -> tuple[Any, jax.Array]:
    """The parameters after Gauss–Newton steps, and the share by which the last five lowered the loss."""
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True)
    value_and_grad: Callable[..., Any] = optax.value_and_grad_from_state(loss)

    def step(carry: Any, _: None) -> tuple[Any, jax.Array]:
        params, state = carry
        value, grad = value_and_grad(params, state=state)
        updates, state = solver.update(grad, state, params, value_fn=loss, value=value)
        return (optax.apply_updates(params, updates), state), value

    (params, _), values = jax.lax.scan(step, (params, solver.init(params)), length=num_steps)
    return params, values[-6:][0] / values[-1] - 1


def _summary(problem: InverseProblem, weight: float, draws: _Draw) -> list[dict[str, Any]]:
    """One row for each unknown, in the unit of the equation."""
    bound = problem.bound()
    rows = []
    for i, (name, truth, unit) in enumerate(problem.unknowns):
        covered = lambda ends, i=i, scaled=truth / unit: int(
            np.sum((ends[0][:, i] < scaled) & (scaled < ends[1][:, i]))
        )
        estimates = unit * draws.estimate[:, i]
        rows.append(
            {
                "problem": problem.name,
                "weight": weight,
                "unknown": name,
                "truth": truth,
                "covered": covered(draws.interval),
                "covered_noise_given": covered(draws.interval_given),
                "bias": float(np.mean(estimates) - truth),
                "spread": float(np.std(estimates, ddof=1)) if len(estimates) > 1 else None,
                "standard_error": unit * float(np.median(draws.error[:, i])),
                "standard_error_noise_given": unit * float(np.median(draws.error_given[:, i])),
                "bound": float("nan") if bound is None else float(bound[i]),
                "undetermined": int(np.sum(np.isinf(draws.error_given[:, i]))),
                "true_noise_std": problem.noise_std,
                "noise_std": float(np.median(draws.noise_std)),
                "degrees_of_freedom": float(np.median(draws.degrees_of_freedom)),
                "largest_fall_of_loss_in_last_5_steps": float(np.max(draws.progress)),
                "num_residuals": problem.num_residuals,
                "num_parameters": problem.num_parameters,
            }
        )
    return rows
