"""The demo: ISGD beside Adam and SGD at a learning rate of 0.5."""

from pathlib import Path

import jax
from flax import nnx

import pinns
from benchmarks._files import table
from benchmarks._optimizers import Budget, evaluation_steps, make_optimizer


def demo(*, gradients: int, seed: int, out: Path, progress: bool) -> dict[str, pinns.FitResult]:
    """Trains the ε = 2 ODE with each optimiser, prints their errors and draws both figures."""
    problem = pinns.SingularlyPerturbedODE(epsilon=2.0)
    model = pinns.MLP(1, [50] * 4, 1, rngs=nnx.Rngs(seed))
    # Half of the gradients in implicit steps; then Adam, whose learning rate falls to zero.
    budgets = {
        "isgd-adam": Budget(gradients, gradients // 2, decay=True),
        "adam": Budget(gradients, 0, learning_rate=0.5),
        "sgd": Budget(gradients, 0, learning_rate=0.5),
    }
    labels = {"isgd-adam": "ISGD, Adam", "adam": "Adam", "sgd": "SGD"}
    print(f"−εy'' + y' = f with ε = 2, learning rate 0.5, {gradients:,} gradients each")
    results = {}
    for name, budget in budgets.items():
        optimizer, num_steps = make_optimizer(name, budget)
        results[labels[name]] = pinns.fit(
            problem,
            model,
            optimizer,
            num_steps=num_steps,
            key=jax.random.key(seed),
            evaluate_every=evaluation_steps(name, budget),
            progress=progress,
            description=f"{labels[name]:10s}",
        )
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
        errors = [f"{final[key]:.1e}" for key in ("rel_l2", "max_error", "loss")]
        note = (
            f"diverged; step {result.num_steps} was the last good one"
            if result.stop_reason == "diverged"
            else ""
        )
        rows.append([name, *errors, f"{final['num_gradients']:,.0f}", f"{result.train_seconds:.0f}", note])
    return rows
