"""The analytical stiff problem of paper Section 2.2 (Eqs. 7 and 8)."""

import dataclasses
import functools
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from benchmarks._environment import command, environment
from benchmarks._files import Table, write_json
from benchmarks.paper._claims import Claim
from benchmarks.paper._stiff_claims import TOLERANCE, K, stiff_claims
from isgd_optax import diagnostics, implicit_step

# How close a second run comes on the same type of device: decays and numbers of steps, relative.
REPRODUCED = {"decay_rtol": 1e-6, "steps_rtol": 0.02}


def loss(theta: jax.Array) -> jax.Array:
    """½(K₁θ₁² + K₂θ₂²) with K₁ = 1e-4 and K₂ = 1e4."""
    return 0.5 * jnp.sum(jnp.asarray(K, theta.dtype) * jnp.square(theta))


@dataclasses.dataclass(frozen=True, kw_only=True)
class StiffQuadratic:
    """Decay per step against the learning rate for GD, Adam and IGD (Eqs. 7, 8), condition 1e8."""

    name: ClassVar[str] = "stiff_quadratic"

    setting: ClassVar[str] = (
        "K₁ = 1e-4, K₂ = 1e4, from θ = (1, 1), float64; L-BFGS solves the implicit steps."
    )

    num_alphas: int = 19
    """Learning rates, spaced logarithmically from 1e-5 to 1e4."""
    max_steps: int = 100_000
    """Steps after which GD and Adam count as not converged."""
    max_implicit_steps: int = 1_000
    """The same for IGD."""
    out: Path = Path("runs/stiff_quadratic")
    """Folder of stiff_quadratic.json and stiff_quadratic.png."""

    def run(self) -> dict[str, Any]:
        """Measures in float64 from θ = (1, 1)."""
        jax.config.update("jax_enable_x64", True)
        limits = {"gd": self.max_steps, "adam": self.max_steps, "igd": self.max_implicit_steps}
        rows = [_row(float(alpha), limits) for alpha in np.logspace(-5, 4, self.num_alphas)]
        result = {
            "command": command(),
            "K": K,
            "tolerance": TOLERANCE,
            "max_steps": limits,
            "reproduced": REPRODUCED,
            "rows": rows,
            **environment(),
        }
        write_json(self.out / "stiff_quadratic.json", result)
        _draw(rows, self.out / "stiff_quadratic.png")
        print(self.data(result))
        print(
            "GD, IGD: the larger (θᵢ new / θᵢ)² of one step; Adam: the largest loss ratio of 20 steps; "
            f"steps: until both |θᵢ| ≤ {TOLERANCE}"
        )
        return result

    @staticmethod
    def data(result: dict[str, Any]) -> Table:
        """Decays per step and steps to converge, for every α."""
        header = ["α", "GD, Eq. 7", "GD", "Adam", "1 − IGD, Eq. 8", "1 − IGD"]
        header += ["GD steps", "Adam steps", "IGD steps"]
        return Table(header, [_cells(row, result["max_steps"]) for row in result["rows"]])

    @staticmethod
    def claims(result: dict[str, Any]) -> list[Claim]:
        """Eqs. 7, 8, 10 and 11 and what the paper concludes from them."""
        return stiff_claims(result["rows"])


def _solvers(alpha: Any) -> dict[str, optax.GradientTransformation]:
    """GD, Adam and IGD with learning rate α."""
    return {
        "gd": optax.sgd(alpha),
        "adam": optax.adam(alpha),
        "igd": implicit_step(optax.lbfgs(), alpha, rtol=1e-11),
    }


def _row(alpha: float, limits: dict[str, int]) -> dict[str, Any]:
    k = np.array(K)
    row: dict[str, Any] = {
        "alpha": alpha,
        "gd_bound": float(np.max((1 - alpha * k) ** 2)),
        "igd_bound": float(np.max(1 / (1 + alpha * k) ** 2)),
    }
    for name, solver in _solvers(alpha).items():
        decay, growth, steps = jax.device_get(_measure(solver, limits[name]))
        row[f"{name}_decay"] = float(growth if name == "adam" else decay)
        row[f"{name}_steps"] = int(steps) if steps <= limits[name] else None
        if name != "adam":
            decay = jax.device_get(_first_step(jnp.asarray(alpha), implicit=name == "igd"))
            row[f"{name}_loss_decay"] = {key: float(value) for key, value in decay._asdict().items()}
    return row


def _cells(row: dict[str, Any], limits: dict[str, int]) -> list[str]:
    return [
        f"{row['alpha']:.1e}",
        *(f"{row[key]:.3g}" for key in ("gd_bound", "gd_decay", "adam_decay")),
        *(f"{1 - row[key]:.6e}" for key in ("igd_bound", "igd_decay")),
        *(str(row[f"{name}_steps"] or f"> {limit:,}") for name, limit in limits.items()),
    ]


def _measure(solver: optax.GradientTransformation, max_steps: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The larger decay of a coordinate in one step, the largest growth of L in 20, steps to converge."""
    solver = optax.with_extra_args_support(solver)

    def step(theta: Any, state: Any) -> tuple[Any, Any]:
        value, grad = jax.value_and_grad(loss)(theta)
        updates, state = solver.update(grad, state, theta, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(theta, updates), state

    def unconverged(carry):
        theta, _, _, steps = carry
        largest = jnp.max(jnp.abs(theta))
        return (largest > TOLERANCE) & jnp.isfinite(largest) & (steps < max_steps)

    def body(carry):
        theta, state, growth, steps = carry
        new, state = step(theta, state)
        ratio = loss(new) / loss(theta)
        return new, state, jnp.where(steps < 20, jnp.maximum(growth, ratio), growth), steps + 1

    @jax.jit
    def measure(theta, state):
        decay = jnp.max(jnp.square(step(theta, state)[0] / theta))
        theta, _, growth, steps = jax.lax.while_loop(unconverged, body, (theta, state, 0.0, 0))
        return decay, growth, jnp.where(jnp.max(jnp.abs(theta)) <= TOLERANCE, steps, max_steps + 1)

    theta = jnp.ones(2)
    return measure(theta, solver.init(theta))


@functools.partial(jax.jit, static_argnames="implicit")
def _first_step(alpha: jax.Array, *, implicit: bool) -> diagnostics.LossDecay:
    """The change of the loss in the first step of IGD or GD against Eq. 11 or 10."""
    solver = optax.with_extra_args_support(_solvers(alpha)["igd" if implicit else "gd"])
    theta = jnp.ones(2)
    value, grad = jax.value_and_grad(loss)(theta)
    updates, _ = solver.update(grad, solver.init(theta), theta, value=value, grad=grad, value_fn=loss)
    new = jnp.asarray(optax.apply_updates(theta, updates))
    return diagnostics.loss_decay(loss, theta, new, alpha, implicit=implicit)


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    alphas = [row["alpha"] for row in rows]
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    axis.plot(alphas, [row["gd_bound"] for row in rows], color="tab:red", alpha=0.4, lw=4, label="GD, Eq. 7")
    axis.plot(
        alphas, [row["igd_bound"] for row in rows], color="tab:blue", alpha=0.4, lw=4, label="IGD, Eq. 8"
    )
    styles = {
        "gd": ("tab:red", "o", "GD, measured"),
        "adam": ("tab:orange", "^", "Adam, largest loss ratio of 20 steps"),
        "igd": ("tab:blue", "s", "IGD, measured"),
    }
    for name, (color, marker, label) in styles.items():
        decays = [row[f"{name}_decay"] for row in rows]
        axis.plot(alphas, decays, marker, color=color, label=label)
    axis.axhline(1, color="black", lw=0.8, ls=":")
    axis.set(xscale="log", yscale="log", xlabel="learning rate α", ylabel="decay per step")
    axis.set_title("stiff quadratic, condition 1e8")
    axis.grid(alpha=0.3)
    axis.legend()
    plt.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
