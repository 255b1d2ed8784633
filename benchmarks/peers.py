"""Ours beside what a user would take instead, at equal wall time."""

import concurrent.futures
import dataclasses
import json
import multiprocessing
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax
import matplotlib.pyplot as plt

from benchmarks import _peers
from benchmarks._environment import command, environment
from benchmarks._files import Table, write_json
from benchmarks._peer_run import PROBLEMS, THRESHOLDS, run_setting
from benchmarks._peer_settings import peers
from benchmarks.paper._claims import Claim


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peers:
    """Ours, optax's optimisers, other libraries' second-order methods, DeepXDE and jinns, equal time."""

    name: ClassVar[str] = "peers"
    setting: ClassVar[str] = (
        "The same network, points and time for all, every optimiser with each of its settings."
    )

    problem: Literal["poisson1d", "poisson1d-wide", "ode", "ode-sobol"] = "poisson1d"
    """4×64 and 400 points, 5×200 and 1,000 points, ε = 0.01 with 400 random or Sobol points."""
    seconds: float = 60.0
    """Training time of each setting, without compilation."""
    only: tuple[str, ...] = ()
    """Names of the peers to run; all by default."""
    seed: int = 0
    """Of network and points."""
    out: Path | None = None
    """Folder of peers.json and peers.png; by default one below runs/peers."""
    progress: bool = True
    """Show progress bars."""

    def run(self) -> dict[str, Any]:
        """Runs every setting of every peer in a process of its own; what is on disk is not run again."""
        folder = self.out or Path("runs/peers") / f"{self.problem}-seed={self.seed}-{self.seconds:g}s"
        problem, hidden, _ = PROBLEMS[self.problem]
        runs: dict[str, dict[str, Any]] = {}
        skipped: dict[str, str] = {}
        for name, peer in peers().items():
            if self.only and name not in self.only:
                continue
            if not _peers.is_installed(peer.package):
                skipped[name] = f"{peer.package} is not installed: pip install -e '.[peers]'"
                print(f"{name}: {skipped[name]}")
                continue
            for setting in peer.settings:
                record = self._stored_or_run(folder, name, setting)
                if "skipped" in record:
                    skipped[f"{name}, {setting}"] = record["skipped"]
                    print(f"{name}, {setting}: skipped, {record['skipped']}")
                else:
                    runs.setdefault(name, {})[setting] = record
        result = {
            "command": command(),
            "dataset": f"{self.problem}, {self.seconds:g} seconds each, seed {self.seed}",
            "problem": repr(problem),
            "hidden": hidden,
            "runs": runs,
            "skipped": skipped,
            **environment(),
        }
        write_json(folder / "peers.json", result)
        draw(result, folder / "peers.png")
        print(self.data(result))
        return result

    def _stored_or_run(self, folder: Path, name: str, setting: str) -> dict[str, Any]:
        path = folder / f"{name} {setting}.json".replace("/", "_")
        identity = {"problem": self.problem, "seed": self.seed, "seconds": self.seconds}
        if path.exists():
            stored = json.loads(path.read_text())
            if stored["identity"] == identity:
                return stored
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            options = {"seconds": self.seconds, "seed": self.seed, "progress": self.progress}
            try:
                record = pool.submit(run_setting, self.problem, name, setting, **options).result()
            except (BrokenProcessPool, jax.errors.JaxRuntimeError) as error:
                # Mostly for want of memory: the others go on, and a later run tries again.
                return {"skipped": (str(error) or repr(error)).splitlines()[0].rsplit(": ", 1)[-1]}
        write_json(path, {"identity": identity, **record})
        return json.loads(path.read_text())

    @staticmethod
    def data(result: dict[str, Any]) -> Table:
        """Every peer with its best setting: error, memory, and when it reached each threshold."""
        runs, rows = result["runs"], []
        ours = _error(_best(runs["isgd-gn"])[1]) if "isgd-gn" in runs else float("nan")
        for name, settings in runs.items():
            setting, run = _best(settings)
            reached = [f"{s:.1f}" if s is not None else "—" for s in run["seconds_to"].values()]
            error = _error(run)
            memory = run.get("device_memory_mib") or run.get("memory_mib")
            rows.append(
                [
                    name,
                    f"{setting} (of {len(settings)})",
                    f"{error:.1e}",
                    f"{error / ours:.2g}",
                    f"{run['num_steps']:,}",
                    "—" if memory is None else f"{memory:.0f}",
                    *reached,
                ]
            )
        reach = [f"s to {t:g}" for t in THRESHOLDS]
        for setting, reason in result.get("skipped", {}).items():
            rows.append([setting, reason, *["—"] * (4 + len(THRESHOLDS))])
        return Table(["optimizer", "best setting", "rel. L2", "over ours", "steps", "MiB", *reach], rows)

    @staticmethod
    def claims(result: dict[str, Any]) -> list[Claim]:
        """None: the paper does not compare with these."""
        del result
        return []


def _best(settings: dict[str, Any]) -> tuple[str, Any]:
    """The setting with the lowest error at the end."""
    return min(settings.items(), key=lambda item: _error(item[1]))


def _error(run: dict[str, Any]) -> float:
    """The error at the end, +∞ if there is none: it diverged."""
    return float("inf") if run["rel_l2"] is None else run["rel_l2"]


def draw(result: dict[str, Any], path: Path) -> None:
    """Error of every peer's best setting against seconds, and against gradients where they are counted."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.8), layout="constrained", sharey=True)
    for i, (name, settings) in enumerate(result["runs"].items()):
        setting, run = _best(settings)
        style = {"label": f"{name} ({setting})", "color": f"C{i % 10}", "ls": "-" if i < 10 else "--"}
        errors = [float("nan") if row[1] is None else row[1] for row in run["curve"]]
        for axis, column in zip(axes, (0, 3), strict=True):
            values = [row[column] for row in run["curve"] if len(row) > column]
            if values and values[-1] is not None:
                axis.plot(values, errors, **style)
    axes[0].set(xlabel="seconds of training", ylabel="relative L2 error", yscale="log")
    axes[1].set(xlabel="gradient evaluations, where they are counted", xscale="symlog", xlim=(0, None))
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.suptitle(result["problem"], fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)
