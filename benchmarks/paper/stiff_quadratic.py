"""The analytical stiff problem of paper Section 2.2 (Eqs. 7 and 8)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks._artefact import Artefact, Row, grid
from benchmarks._claims import Claim
from benchmarks._files import Table
from benchmarks._optimizers import ADAM
from benchmarks._plots import figure
from benchmarks._steps import take_step
from benchmarks.paper._stiff_claims import TOLERANCE, K, stiff_claims
from isgd_optax import diagnostics, implicit_step

# How close a second run comes on the same type of device: decays and numbers of steps, relative.
REPRODUCED = {"decay_rtol": 1e-6, "steps_rtol": 0.02}
LABELS = {"gd": "GD", ADAM.name: ADAM.label, "igd": "IGD"}


def loss(theta: jax.Array) -> jax.Array:
    """½(K₁θ₁² + K₂θ₂²) with K₁ = 1e-4 and K₂ = 1e4."""
    return 0.5 * jnp.sum(jnp.asarray(K, theta.dtype) * jnp.square(theta))


class StiffQuadratic(Artefact):
    """Decay per step against the learning rate for GD, Adam and IGD (Eqs. 7, 8), condition 1e8."""

    name = "stiff_quadratic"
    setting = "K₁ = 1e-4, K₂ = 1e4, from θ = (1, 1), float64; L-BFGS solves the implicit steps."
    note = (
        "GD, IGD: the larger (θᵢ new / θᵢ)² of one step; Adam: the largest loss ratio of 20 steps; "
        f"steps: until both |θᵢ| ≤ {TOLERANCE}"
    )
    axes = ("alpha",)
    identity = ("K", "tolerance", "max_steps")
    dtype = "float64"

    num_alphas: int = 19
    """Learning rates, spaced logarithmically from 1e-5 to 1e4."""
    max_steps: int = 100_000
    """Steps after which GD and Adam count as not converged."""
    max_implicit_steps: int = 1_000
    """The same for IGD."""

    def head(self) -> Row:
        """The problem, and how many steps each method may take."""
        limits = {"gd": self.max_steps, ADAM.name: self.max_steps, "igd": self.max_implicit_steps}
        return {"K": K, "tolerance": TOLERANCE, "max_steps": limits, "reproduced": REPRODUCED}

    def cells(self) -> list[Row]:
        """The learning rates."""
        return grid(alpha=np.logspace(-5, 4, self.num_alphas).tolist())

    def measure(self, alpha: float) -> Row:
        """Decays and numbers of steps in float64 from θ = (1, 1)."""
        k, limits = np.array(K), self.head()["max_steps"]
        row: Row = {
            "gd_bound": float(np.max((1 - alpha * k) ** 2)),
            "igd_bound": float(np.max(1 / (1 + alpha * k) ** 2)),
        }
        for name, solver in _solvers(alpha).items():
            decay, growth, num_steps, first = jax.device_get(_measure(solver, name, alpha, limits[name]))
            row[f"{name}_decay"] = float(growth if name == ADAM.name else decay)
            row[f"{name}_steps"] = int(num_steps) if num_steps <= limits[name] else None
            if name != ADAM.name:
                row[f"{name}_loss_decay"] = {key: float(value) for key, value in first._asdict().items()}
        return row

    @classmethod
    def data(cls, result: Row) -> Table:
        """Decays per step and steps to converge, for every α."""
        steps = lambda name: lambda row: row[f"{name}_steps"] or f"> {result['max_steps'][name]:,}"
        columns = {
            "α": lambda row: f"{row['alpha']:.1e}",
            "GD, Eq. 7": lambda row: f"{row['gd_bound']:.3g}",
            "GD": lambda row: f"{row['gd_decay']:.3g}",
            ADAM.label: lambda row: f"{row['adam_decay']:.3g}",
            "1 − IGD, Eq. 8": lambda row: f"{1 - row['igd_bound']:.6e}",
            "1 − IGD": lambda row: f"{1 - row['igd_decay']:.6e}",
            **{f"{label} steps": steps(name) for name, label in LABELS.items()},
        }
        return Table.of(result["rows"], columns)

    @classmethod
    def judge(cls, result: Row) -> Iterable[Claim]:
        """Eqs. 7, 8, 10 and 11 and what the paper concludes from them."""
        return stiff_claims(result["rows"])

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Decays per step beside Eqs. 7 and 8."""
        alphas = [row["alpha"] for row in result["rows"]]
        column = lambda key: [row[key] for row in result["rows"]]
        styles = {
            "gd": ("tab:red", "o", "GD, measured"),
            ADAM.name: (ADAM.color, "^", "Adam, largest loss ratio of 20 steps"),
            "igd": ("tab:blue", "s", "IGD, measured"),
        }
        with figure(folder / f"{cls.name}.png", size=(7, 4.2), dpi=130) as (_, axes):
            axis = axes[0, 0]
            for name, label in (("gd", "GD, Eq. 7"), ("igd", "IGD, Eq. 8")):
                color = styles[name][0]
                axis.plot(alphas, column(f"{name}_bound"), color=color, alpha=0.4, lw=4, label=label)
            for name, (color, marker, label) in styles.items():
                axis.plot(alphas, column(f"{name}_decay"), marker, color=color, label=label)
            axis.axhline(1, color="black", lw=0.8, ls=":")
            axis.set(xscale="log", yscale="log", xlabel="learning rate α", ylabel="decay per step")
            axis.set_title("stiff quadratic, condition 1e8")
            axis.legend()


def _solvers(alpha: Any) -> dict[str, optax.GradientTransformation]:
    """GD, Adam and IGD with learning rate α."""
    return {
        "gd": optax.sgd(alpha),
        ADAM.name: optax.adam(alpha),
        "igd": implicit_step(optax.lbfgs(), alpha, rtol=1e-11),
    }


def _measure(solver: optax.GradientTransformation, name: str, alpha: float, max_steps: int) -> Any:
    """The larger decay of a coordinate in one step, the largest growth of L in 20, steps to converge.

    And the change of the loss in the first step against Eq. 11 of IGD, Eq. 10 of GD.
    """

    def unconverged(carry):
        theta, _, _, steps = carry
        largest = jnp.max(jnp.abs(theta))
        return (largest > TOLERANCE) & jnp.isfinite(largest) & (steps < max_steps)

    def body(carry):
        theta, state, growth, steps = carry
        (new, state), _ = take_step(solver, loss, (theta, state))
        ratio = loss(new) / loss(theta)
        return new, state, jnp.where(steps < 20, jnp.maximum(growth, ratio), growth), steps + 1

    @jax.jit
    def measure(theta, state):
        (new, _), _ = take_step(solver, loss, (theta, state))
        first = diagnostics.loss_decay(loss, theta, new, alpha, implicit=name == "igd")
        last, _, growth, steps = jax.lax.while_loop(unconverged, body, (theta, state, 0.0, 0))
        steps = jnp.where(jnp.max(jnp.abs(last)) <= TOLERANCE, steps, max_steps + 1)
        return jnp.max(jnp.square(new / theta)), growth, steps, first

    theta = jnp.ones(2)
    return measure(theta, solver.init(theta))
