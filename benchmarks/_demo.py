"""The demo: Gauss–Newton implicit steps beside Adam and L-BFGS on the multi-scale Poisson problem."""

from pathlib import Path

import jax
import optax

import pinns
from benchmarks._files import Table
from benchmarks._optimizers import ADAM, GAUSS_NEWTON, LBFGS, isgd_gauss_newton
from benchmarks._peer_run import PROBLEMS


def demo(
    seconds: float = 40.0, seed: int = 0, out: Path = Path("runs/demo"), progress: bool = True
) -> dict[str, pinns.FitResult]:
    """Solve the multi-scale Poisson problem with ISGD, Adam and L-BFGS; about three minutes on 2 cores.

    Args:
      seconds: of training for each optimiser, without compilation.
      seed: of the network.
      out: folder of the figures.
      progress: show progress bars.
    """
    jax.config.update("jax_enable_x64", True)
    row = PROBLEMS["poisson1d"]
    optimizers = {  # and the steps between two looks at the clock, about half a second
        GAUSS_NEWTON.label: (isgd_gauss_newton(), 10),
        ADAM.label: (optax.adam(1e-3), 200),
        LBFGS.label: (optax.lbfgs(), 50),
    }
    print(f"−u'' = f with u = sin 2πx + 0.1 sin 50πx, float64, {seconds:g} seconds of training each")
    options = {"seconds": seconds, "progress": progress}
    results = {
        name: row.fit(optimizer, seed, evaluate_every=every, description=f"{name:18s}", **options)
        for name, (optimizer, every) in optimizers.items()
    }
    last = lambda key: lambda item: f"{item[1].final[key]:.1e}"
    columns = {
        "optimizer": lambda item: item[0],
        "rel. L2": last("rel_l2"),
        "max error": last("max_error"),
        "loss": last("loss"),
        "steps": lambda item: f"{item[1].num_steps:,}",
        "seconds": lambda item: f"{item[1].train_seconds:.0f}",
    }
    print(Table.of(results.items(), columns))
    out.mkdir(parents=True, exist_ok=True)
    pinns.plot_history(results, x="seconds", path=out / "history.png")
    pinns.plot_solution(row.problem(), {k: r.model for k, r in results.items()}, path=out / "solution.png")
    print(f"figures: {out / 'history.png'}, {out / 'solution.png'}")
    return results
