"""The contraction of each eigenmode along a training, measured and predicted."""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import pinns
from benchmarks._artefact import Artefact, Row, grid
from benchmarks._claims import Claim, claim, number
from benchmarks._files import Table
from benchmarks._optimizers import isgd_gauss_newton
from benchmarks._plots import figure
from benchmarks._steps import start, take_step
from benchmarks.paper._rules import every
from isgd_optax import diagnostics, gauss_newton, implicit_step

SOLVED = 1e-3  # relative residual of the implicit equation up to which a step counts as solved


class Contraction(Artefact):
    """Contraction of each eigenmode of K by one implicit step against 1/(1 + 2αλ), along a training."""

    name = "contraction"
    setting = (
        "ODE with ε = 0.01, 4×50 tanh network, 400 random points, float64, one seed; implicit steps of at "
        "most 50 linearisations before training and after 20 and 60 Gauss–Newton steps. Eq. 27 itself, "
        "with H of the new point and I₀, is for wide two-layer networks: see Theorem 1."
    )
    axes = ("step", "alpha")
    identity = ("epsilon", "max_inner_steps", "seed")
    dtype = "float64"

    epsilon: float = 0.01
    """ε of the ODE."""
    steps: tuple[int, ...] = (0, 20, 60)
    """Training steps after which it is measured."""
    alphas: tuple[float, ...] = (1e-2, 1.0, 100.0)
    """Learning rates of the steps that are measured."""
    max_inner_steps: int = 50
    """Most Gauss–Newton steps of each of them."""
    seed: int = 0
    """Of the network and the points."""

    def cells(self) -> list[Row]:
        """Every learning rate after every number of steps."""
        return grid(step=sorted(self.steps), alpha=self.alphas)

    def measure(self, step: int, alpha: float) -> Row:
        """An implicit step from where isgd-gn is after ``step`` steps on the ODE, 4×50 tanh, float64."""
        return _modes(*self._solve(self._trained[step], alpha))

    @functools.cached_property
    def _start(self) -> tuple[Any, Any]:
        """The loss and the initial parameters."""
        return start(pinns.SingularlyPerturbedODE(self.epsilon), [50] * 4, "float64", self.seed)[1:]

    @functools.cached_property
    def _trained(self) -> dict[int, Any]:
        """Parameters by the number of steps that led to them."""
        solver, (loss, params) = isgd_gauss_newton(), self._start
        advance = jax.jit(lambda carry: take_step(solver, loss, carry)[0])
        carry, found = (params, solver.init(params)), {}
        for taken in range(max(self.steps) + 1):
            carry = advance(carry) if taken else carry
            if taken in self.steps:
                found[taken] = carry[0]
        return found

    @functools.cached_property
    def _solve(self) -> Any:
        """One implicit step, solved to 1e-8: its info, contraction and loss decay.

        α is an argument, so that one compilation serves every cell.
        """
        loss, _ = self._start

        def solve(params: Any, alpha: jax.Array) -> tuple[Any, Any, Any]:
            solver = implicit_step(gauss_newton(), alpha, max_inner_steps=self.max_inner_steps, rtol=1e-8)
            (new, state), _ = take_step(solver, loss, (params, solver.init(params)))
            modes = diagnostics.contraction(loss, params, new, alpha)
            return state.info, modes, diagnostics.loss_decay(loss, params, new, alpha)

        return jax.jit(solve)

    @classmethod
    def data(cls, result: Row) -> Table:
        """How well each panel's modes agree with the theory."""
        keys = ("step", "alpha", "residual", "modes", "median_ratio", "within_10_percent")
        return Table(list(keys), [[f"{panel[key]:.3g}" for key in keys] for panel in result["rows"]])

    @classmethod
    def judge(cls, result: Row) -> Iterable[Claim]:
        """Eq. 11 along a training, and what the paper does not say: Eq. 27 linearised, for a PINN."""
        solved = [p for p in result["rows"] if p["residual"] <= SOLVED]
        off = max(
            (abs(1 - p["loss_decay"]["actual"] / p["loss_decay"]["predicted"]) for p in solved), default=0
        )
        falls = sum(p["loss_decay"]["actual"] < 0 for p in result["rows"])
        yield claim(
            "Eq. 11: an implicit step changes the loss by α‖∇L‖²(−1 − ½αΣλᵢyᵢ²), ∇L after it",
            f"to {number(off)} relative at {len(solved)} of {len(result['rows'])} steps, those that "
            f"solve their equation to {SOLVED:g}",
            off <= SOLVED,
            measured=solved,
        )
        yield claim(
            "the loss always decays in an implicit step",
            f"in {falls} of {len(result['rows'])} steps",
            falls == len(result["rows"]),
        )
        for step in dict.fromkeys(panel["step"] for panel in result["rows"]):
            panels = [panel for panel in result["rows"] if panel["step"] == step]
            shares = [
                f"α = {p['alpha']:g}: {100 * p['within_10_percent']:.0f} %"
                + (f" (equation solved to {number(p['residual'])} only)" if p["residual"] > SOLVED else "")
                for p in panels
            ]
            yield claim(
                f"Eq. 27 without I₀, K of θₙ: each mode contracts by 1/(1 + 2αλ), after {step} steps",
                f"modes within 10 % of it: {', '.join(shares)}",
                # A step that does not solve its equation says nothing of how the solution contracts.
                every(p["within_10_percent"] == 1 if p["residual"] <= SOLVED else None for p in panels),
                asked=True,
            )

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Contraction against eigenvalue, a row of panels for each number of steps."""
        panels = result["rows"]
        lines = len({panel["step"] for panel in panels})
        columns = len(panels) // lines
        size = (3.6 * columns, 3.0 * lines)
        shared = {"sharex": True, "sharey": True}
        with figure(folder / f"{cls.name}.png", lines, columns, size=size, dpi=130, **shared) as (_, axes):
            for axis, panel in zip(axes.flat, panels, strict=True):
                known, measured = panel["eigenvalues"], panel["measured"]
                values = np.geomspace(known[0], known[-1], 200)
                theory = 1 / (1 + 2 * panel["alpha"] * values)
                axis.loglog(values, theory, color="black", linewidth=1, label="1/(1 + 2αλ)")
                axis.loglog(known, measured, "o", mfc="none", markersize=5, label="measured")
                axis.set(title=f"step {panel['step']}, α = {panel['alpha']:g}")
            for axis in axes[-1]:
                axis.set(xlabel="eigenvalue λ of K")
            for axis in axes[:, 0]:
                axis.set(ylabel="contraction")
            axes[0, 0].legend()


def _modes(info: Any, modes: Any, decay: Any) -> Row:
    """What is recorded of a step, and of the modes whose contraction can be measured."""
    # Modes that hold nothing of the residual, or lie below rounding, have no contraction to measure.
    clear = np.abs(modes.before) > 1e-8 * np.linalg.norm(modes.before)
    clear &= np.asarray(modes.eigenvalues) > 1e-13 * float(modes.eigenvalues[-1])
    agreement = np.asarray(modes.measured / modes.predicted)[clear]
    return {
        "accepted": bool(info.accepted),
        "residual": float(info.residual),
        "num_inner_steps": int(info.num_inner_steps),
        "loss_decay": {k: float(v) for k, v in decay._asdict().items()},
        "modes": int(clear.sum()),
        "median_ratio": float(np.median(agreement)),
        "within_10_percent": float(np.mean(np.abs(agreement - 1) < 0.1)),
        "eigenvalues": np.asarray(modes.eigenvalues)[clear].tolist(),
        "measured": np.asarray(modes.measured)[clear].tolist(),
        "predicted": np.asarray(modes.predicted)[clear].tolist(),
    }
