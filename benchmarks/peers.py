"""Ours beside what a user would take instead, at equal wall time."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax
from flax import nnx

import pinns
from benchmarks import _peers
from benchmarks._environment import command, environment
from benchmarks._files import table, write_json
from benchmarks._optimizers import isgd_gauss_newton
from isgd_optax import LeastSquares, isgd_adam

Make = Callable[[LeastSquares], optax.GradientTransformation]
THRESHOLDS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


class Peer:
    """An optimiser with the settings that are tried, and how many steps are made between two looks."""

    def __init__(self, steps: int, settings: dict[str, Make], package: str = "optax"):
        self.steps = steps
        self.settings = settings
        self.package = package


def peers() -> dict[str, Peer]:
    """Every optimiser under comparison."""
    ours = lambda loss: isgd_gauss_newton()
    adam = lambda rate: lambda loss: optax.adam(rate)
    lbfgs = lambda memory: lambda loss: optax.lbfgs(memory_size=memory)
    algorithm_1 = lambda alpha, rate: (
        lambda loss: isgd_adam(
            alpha,
            num_implicit_steps=20,
            num_inner_steps=100,
            inner_learning_rate=rate,
            outer_learning_rate=rate,
            safeguard=False,
        )
    )
    return {
        "isgd-gn": Peer(10, {"α by itself": ours}, "isgd_optax"),
        "adam": Peer(200, {f"η = {rate:g}": adam(rate) for rate in (1e-2, 3e-3, 1e-3, 3e-4)}),
        "lbfgs": Peer(50, {f"memory {memory}": lbfgs(memory) for memory in (10, 50)}),
        "isgd-adam": Peer(
            20,
            {f"α = {a:g}, η = {r:g}": algorithm_1(a, r) for a, r in ((0.5, 1e-3), (0.1, 3e-3))},
            "isgd_optax",
        ),
        "optimistix LM (LSMR)": Peer(
            1,
            {
                f"rtol {rtol:g}": lambda loss, rtol=rtol: _peers.optimistix_levenberg_marquardt(
                    loss, rtol=rtol
                )
                for rtol in (1e-3, 1e-6)
            },
            "optimistix",
        ),
        "jaxopt LM": Peer(
            1,
            {
                f"damping {d:g}, geodesic {g}": lambda loss, d=d, g=g: _peers.jaxopt_levenberg_marquardt(
                    loss, damping=d, geodesic=g
                )
                for d, g in ((1e-6, False), (1e-2, False), (1e-2, True))
            },
            "jaxopt",
        ),
        "somax dual GN": Peer(
            1,
            {
                f"{policy} {damping:g}": lambda loss, p=policy, d=damping: _peers.somax_gauss_newton(
                    loss, policy=p, damping=d
                )
                for policy, damping in (("trust_region", 1.0), ("trust_region", 1e-3), ("const", 1e-3))
            },
            "somax",
        ),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peers:
    """Ours, Adam, L-BFGS and other libraries' Gauss–Newton on one problem, network and points, equal time."""

    name = "peers"

    problem: Literal["poisson1d", "poisson1d-wide", "ode", "ode-sobol"] = "poisson1d"
    """4×64 and 400 points, 5×200 and 1,000 points, ε = 0.01 with 400 random or Sobol points."""
    seconds: float = 60.0
    """Training time of each setting, without compilation."""
    only: tuple[str, ...] = ()
    """Names of the optimisers to run; all by default."""
    seed: int = 0
    """Of network and points."""
    out: Path | None = None
    """Folder of peers.json and peers.png; by default one below runs/peers."""
    progress: bool = True
    """Show progress bars."""

    def run(self) -> dict[str, Any]:
        """Runs every setting of every optimiser; one that is on disk already is not run again."""
        jax.config.update("jax_enable_x64", True)
        folder = self.out or Path("runs/peers") / f"{self.problem}-seed={self.seed}-{self.seconds:g}s"
        problem, hidden, sampling = _problem(self.problem)
        model = pinns.MLP(1, hidden, 1, dtype=jnp.float64, rngs=nnx.Rngs(self.seed))
        key = jax.random.key(self.seed)
        loss = problem.loss(model, problem.sample(key, method=sampling, dtype=jnp.float64))
        runs: dict[str, dict[str, Any]] = {}
        for name, peer in peers().items():
            if self.only and name not in self.only:
                continue
            if not _peers.is_installed(peer.package):
                print(f"{name}: {peer.package} is not installed; pip install 'isgd-optax[peers]'")
                continue
            for setting, make in peer.settings.items():
                path = folder / f"{name} {setting}.json".replace("/", "_")
                identity = {"problem": repr(problem), "seed": self.seed, "seconds": self.seconds}
                if not path.exists() or json.loads(path.read_text())["identity"] != identity:
                    result = pinns.fit(
                        problem,
                        model,
                        make(loss),
                        num_steps=10_000_000,
                        key=key,
                        sampling=sampling,
                        evaluate_every=peer.steps,
                        time_limit=self.seconds,
                        progress=self.progress,
                        description=f"{name}, {setting}",
                    )
                    write_json(path, {"identity": identity, **_record(result)})
                runs.setdefault(name, {})[setting] = json.loads(path.read_text())
        result = {
            "command": command(),
            "problem": repr(problem),
            "hidden": hidden,
            "runs": runs,
            **environment(),
        }
        write_json(folder / "peers.json", result)
        _draw(runs, folder / "peers.png")
        _print(runs)
        return result


def _problem(name: str) -> tuple[pinns.Problem, tuple[int, ...], str]:
    if name == "poisson1d":
        return pinns.Poisson1D(num_points=400), (64,) * 4, "grid"
    if name == "poisson1d-wide":
        return pinns.Poisson1D(num_points=1000), (200,) * 5, "grid"
    return pinns.SingularlyPerturbedODE(0.01), (50,) * 4, "sobol" if name == "ode-sobol" else "uniform"


def _record(result: pinns.FitResult) -> dict[str, Any]:
    """The run's curve, thinned to some 200 rows, and what it came to."""
    rows = [(row["seconds"], row["rel_l2"], row["loss"]) for row in result.history]
    every = max(1, len(rows) // 200)
    best = min((row[1] for row in rows if row[1] == row[1]), default=float("inf"))
    times = {f"{t:g}": next((s for s, error, _ in rows if error <= t), None) for t in THRESHOLDS}
    return {
        "rel_l2": rows[-1][1],
        "best_rel_l2": best,
        "stop_reason": result.stop_reason,
        "num_steps": result.num_steps,
        "train_seconds": result.train_seconds,
        "compile_seconds": result.compile_seconds,
        "seconds_to": times,
        "curve": [*rows[:-1:every], rows[-1]],
    }


def _best(settings: dict[str, Any]) -> tuple[str, Any]:
    """The setting with the lowest error at the end."""
    return min(
        settings.items(), key=lambda item: item[1]["rel_l2"] if item[1]["rel_l2"] is not None else 1e300
    )


def _print(runs: dict[str, dict[str, Any]]) -> None:
    ours = _best(runs["isgd-gn"])[1]["rel_l2"] if "isgd-gn" in runs else float("nan")
    rows = []
    for name, settings in runs.items():
        setting, run = _best(settings)
        reached = [f"{s:.1f}" if s is not None else "-" for s in run["seconds_to"].values()]
        error = run["rel_l2"] if run["rel_l2"] is not None else float("inf")
        rows.append([name, setting, f"{error:.1e}", f"{error / ours:.0f}", f"{run['num_steps']:,}", *reached])
    reach = [f"s to {t:g}" for t in THRESHOLDS]
    print(table(["optimizer", "best setting", "rel. L2", "over ours", "steps", *reach], rows))


def _draw(runs: dict[str, dict[str, Any]], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, settings in runs.items():
        setting, run = _best(settings)
        seconds, errors, _ = zip(*run["curve"], strict=True)
        axis.semilogy(
            seconds, [float("nan") if e is None else e for e in errors], label=f"{name} ({setting})"
        )
    axis.set(xlabel="seconds of training", ylabel="relative L2 error")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)
