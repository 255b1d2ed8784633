"""The contraction of each eigenmode along a training, measured and predicted."""

import dataclasses
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
from benchmarks._files import Table, write_json
from benchmarks._optimizers import isgd_gauss_newton
from benchmarks.paper._claims import Claim, claim, number
from isgd_optax import diagnostics, gauss_newton, implicit_step

SOLVED = 1e-3  # relative residual of the implicit equation up to which a step counts as solved


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contraction:
    """Contraction of each eigenmode of K by one implicit step against 1/(1 + 2αλ), along a training."""

    name: ClassVar[str] = "contraction"
    setting: ClassVar[str] = (
        "ODE with ε = 0.01, 4×50 tanh network, 400 random points, float64, one seed; implicit steps of at "
        "most 50 linearisations before training and after 20 and 60 Gauss–Newton steps. Eq. 27 itself, "
        "with H of the new point and I₀, is for wide two-layer networks: see Theorem 1."
    )

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
    out: Path = Path("runs/contraction")
    """Folder of contraction.json and contraction.png."""

    def run(self) -> dict[str, Any]:
        """Trains the ODE with isgd-gn, 4×50 tanh, float64, and stops to measure implicit steps."""
        jax.config.update("jax_enable_x64", True)
        problem = pinns.SingularlyPerturbedODE(self.epsilon)
        model = pinns.MLP(1, [50] * 4, 1, dtype=jnp.float64, rngs=nnx.Rngs(self.seed))
        params = nnx.state(model, nnx.Param)
        loss = problem.loss(
            model, problem.sample(pinns.data_key(jax.random.key(self.seed)), dtype=jnp.float64)
        )
        start = isgd_gauss_newton()
        advance = jax.jit(lambda params, state: _step(start, loss, params, state))
        # α is an argument, so that one compilation serves every panel.
        solve = jax.jit(lambda params, alpha: self._solve(loss, params, alpha))
        state = start.init(params)
        panels = []
        taken = 0
        for target in sorted(self.steps):
            for _ in range(target - taken):
                params, state = advance(params, state)
            taken = target
            panels += [self._panel(target, alpha, *solve(params, alpha)) for alpha in self.alphas]
        result = {"command": command(), "panels": panels, **environment()}
        write_json(self.out / "contraction.json", result)
        self._draw(panels)
        print(self.data(result))
        return result

    @staticmethod
    def data(result: dict[str, Any]) -> Table:
        """How well each panel's modes agree with the theory."""
        keys = ("step", "alpha", "residual", "modes", "median_ratio", "within_10_percent")
        return Table(list(keys), [[f"{panel[key]:.3g}" for key in keys] for panel in result["panels"]])

    @staticmethod
    def claims(result: dict[str, Any]) -> list[Claim]:
        """Eq. 11 along a training, and what the paper does not say: Eq. 27 linearised, for a PINN."""
        solved = [p for p in result["panels"] if p["residual"] <= SOLVED]
        off = max(
            (abs(1 - p["loss_decay"]["actual"] / p["loss_decay"]["predicted"]) for p in solved), default=0
        )
        falls = sum(p["loss_decay"]["actual"] < 0 for p in result["panels"])
        found = [
            claim(
                "Eq. 11: an implicit step changes the loss by α‖∇L‖²(−1 − ½αΣλᵢyᵢ²), ∇L after it",
                f"to {number(off)} relative at {len(solved)} of {len(result['panels'])} steps, those that "
                f"solve their equation to {SOLVED:g}",
                off <= SOLVED if solved else None,
            ),
            claim(
                "the loss always decays in an implicit step",
                f"in {falls} of {len(result['panels'])} steps",
                falls == len(result["panels"]),
            ),
        ]
        for step in dict.fromkeys(panel["step"] for panel in result["panels"]):
            panels = [panel for panel in result["panels"] if panel["step"] == step]
            shares = [
                f"α = {p['alpha']:g}: {100 * p['within_10_percent']:.0f} %"
                + (f" (equation solved to {number(p['residual'])} only)" if p["residual"] > SOLVED else "")
                for p in panels
            ]
            found.append(
                claim(
                    f"Eq. 27 without I₀, K of θₙ: each mode contracts by 1/(1 + 2αλ), after {step} steps",
                    f"modes within 10 % of it: {', '.join(shares)}",
                    all(p["within_10_percent"] == 1 for p in panels),
                    # A step that does not solve its equation says nothing of how the solution contracts.
                    decided=all(p["residual"] <= SOLVED for p in panels)
                    or any(p["within_10_percent"] < 1 for p in panels if p["residual"] <= SOLVED),
                    asked=True,
                )
            )
        return found

    def _solve(self, loss: Any, params: Any, alpha: jax.Array) -> tuple[Any, Any, Any]:
        """One implicit step from ``params``, solved to 1e-8: its info, contraction and loss decay."""
        solver = implicit_step(gauss_newton(), alpha, max_inner_steps=self.max_inner_steps, rtol=1e-8)
        new_params, state = _step(solver, loss, params, solver.init(params))
        modes = diagnostics.contraction(loss, params, new_params, alpha)
        return state.info, modes, diagnostics.loss_decay(loss, params, new_params, alpha)

    def _panel(self, step: int, alpha: float, info: Any, modes: Any, decay: Any) -> dict[str, Any]:
        """What is recorded of a step, and of the modes whose contraction can be measured."""
        # Modes that hold nothing of the residual, or lie below rounding, have no contraction to measure.
        clear = np.abs(modes.before) > 1e-8 * np.linalg.norm(modes.before)
        clear &= np.asarray(modes.eigenvalues) > 1e-13 * float(modes.eigenvalues[-1])
        agreement = np.asarray(modes.measured / modes.predicted)[clear]
        return {
            "step": step,
            "alpha": alpha,
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

    def _draw(self, panels: list[dict[str, Any]]) -> None:
        columns = len(self.alphas)
        figure, axes = plt.subplots(
            len(panels) // columns,
            columns,
            figsize=(3.6 * columns, 3.0 * (len(panels) // columns)),
            layout="constrained",
            squeeze=False,
            sharex=True,
            sharey=True,
        )
        for axis, panel in zip(axes.flat, panels, strict=True):
            values = np.geomspace(panel["eigenvalues"][0], panel["eigenvalues"][-1], 200)
            theory = 1 / (1 + 2 * panel["alpha"] * values)
            axis.loglog(values, theory, color="black", linewidth=1, label="1/(1 + 2αλ)")
            axis.loglog(
                panel["eigenvalues"], panel["measured"], "o", mfc="none", markersize=5, label="measured"
            )
            axis.set(title=f"step {panel['step']}, α = {panel['alpha']:g}")
            axis.grid(alpha=0.3)
        for axis in axes[-1]:
            axis.set(xlabel="eigenvalue λ of K")
        for axis in axes[:, 0]:
            axis.set(ylabel="contraction")
        axes[0, 0].legend()
        figure.savefig(self.out / "contraction.png", dpi=130)
        plt.close(figure)


def _step(solver: optax.GradientTransformationExtraArgs, loss: Any, params: Any, state: Any) -> Any:
    """One training step."""
    value, grad = jax.value_and_grad(loss)(params)
    updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
    return optax.apply_updates(params, updates), state
