"""The demo: ISGD beside Adam and SGD at a learning rate of 0.5."""

from pathlib import Path

import jax
import optax
from flax import nnx

import pinns
from benchmarks._files import table
from isgd_optax import isgd_adam


def demo(*, gradients: int, seed: int, out: Path, progress: bool) -> dict[str, pinns.FitResult]:
    """Trains the ε = 2 ODE with each optimiser, prints their errors and draws both figures."""
    problem = pinns.SingularlyPerturbedODE(epsilon=2.0)
    model = pinns.MLP(1, [50] * 4, 1, rngs=nnx.Rngs(seed))
    num_inner = 100
    num_implicit = gradients // (2 * num_inner)
    num_explicit = gradients - num_implicit * (num_inner + 1)
    isgd = isgd_adam(
        0.5,
        num_implicit_steps=num_implicit,
        num_inner_steps=num_inner,
        outer_learning_rate=optax.cosine_decay_schedule(1e-3, num_explicit),
        safeguard=False,
    )
    optimizers = {
        "ISGD, Adam": (isgd, num_implicit + num_explicit),
        "Adam": (optax.adam(0.5), gradients),
        "SGD": (optax.sgd(0.5), gradients),
    }
    print(f"−εy'' + y' = f with ε = 2, learning rate 0.5, {gradients:,} gradients each")
    results = {
        name: pinns.fit(
            problem,
            model,
            optimizer,
            num_steps=num_steps,
            key=jax.random.key(seed),
            progress=progress,
            description=f"{name:10s}",
        )
        for name, (optimizer, num_steps) in optimizers.items()
    }
    print(table(["optimizer", "rel. L2", "max error", "loss", "gradients", "seconds", ""], _rows(results)))
    out.mkdir(parents=True, exist_ok=True)
    pinns.plot_history(results, path=out / "history.png")
    pinns.plot_solution(problem, {k: r.model for k, r in results.items()}, path=out / "solution.png")
    print(f"figures: {out / 'history.png'}, {out / 'solution.png'}")
    return results


def _rows(results: dict[str, pinns.FitResult]) -> list[list[str]]:
    rows = []
    for name, result in results.items():
        final = result.final
        good = "last good step" if result.stop_reason == "diverged" else ""
        errors = [f"{final[key]:.1e}" for key in ("rel_l2", "max_error", "loss")]
        note = f"diverged, {good}" if good else ""
        rows.append([name, *errors, f"{final['num_gradients']:,.0f}", f"{result.train_seconds:.0f}", note])
    return rows
