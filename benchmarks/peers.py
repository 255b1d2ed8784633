"""Ours beside what a user would take instead, at equal wall time."""

import concurrent.futures
import json
import multiprocessing
import statistics
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jax

from benchmarks import _peers
from benchmarks._artefact import Artefact, Row
from benchmarks._files import Table
from benchmarks._optimizers import GAUSS_NEWTON
from benchmarks._peer_run import PROBLEMS, run_setting
from benchmarks._peer_settings import peers
from benchmarks._plots import figure

if TYPE_CHECKING:
    Name = str
else:  # what the command line lets one choose is what the table has
    Name = Literal[tuple(PROBLEMS)]
BEST = "the best"  # in place of a setting: that which was best with the first seed


class Peers(Artefact):
    """Ours, optax's optimisers, other libraries' second-order methods, DeepXDE and jinns, equal time."""

    name = "peers"
    kind = "peers"
    setting = (
        "The same network, points and time for all, every optimiser with each of its settings; with further "
        "seeds the setting that was best with the first."
    )
    note = "rel. L2 at the end: the median over the seeds, whose number and range stand behind it"
    axes = ("peer", "setting", "seed")
    identity = ("dataset", "problem", "hidden")

    problem: Name = "poisson1d"
    """Poisson in 1-D by 4×64 with 400 points or by 5×200 with 1,000, the ODE with ε = 0.01 on 400 random or
    Sobol points, and of the field's problems these four, on points that stay."""
    seconds: float = 60.0
    """Training time of each setting, without compilation."""
    only: tuple[str, ...] = ()
    """Names of the peers to run; all by default."""
    seed: int = 0
    """Of network and points."""
    repeat: tuple[int, ...] = ()
    """Further seeds, with which every peer runs the setting that was best with the first."""

    def folder(self) -> Path:
        """By default one below runs/peers."""
        return self.out or Path("runs/peers") / f"{self.problem}-seed={self.seed}-{self.seconds:g}s"

    def head(self) -> Row:
        """The problem, the network and the time."""
        chosen = PROBLEMS[self.problem]
        title = f"{self.problem}, {self.seconds:g} seconds each, seed {self.seed}"
        return {
            "dataset": title,
            "problem": repr(chosen.problem()),
            "hidden": chosen.hidden,
            "seed": self.seed,
        }

    def cells(self) -> list[Row]:
        """Every setting of every peer, then the best ones again; one cell for what is not installed."""
        if unknown := sorted(set(self.only) - set(peers())):
            raise ValueError(f"there are no peers {unknown}; there are {sorted(peers())}.")
        chosen = {name: peer for name, peer in peers().items() if not self.only or name in self.only}
        installed = [name for name, peer in chosen.items() if _peers.is_installed(peer.package)]
        settings = [
            {"peer": name, "setting": setting, "seed": self.seed}
            for name, peer in chosen.items()
            for setting in (peer.settings if name in installed else [""])
        ]
        others = [seed for seed in self.repeat if seed != self.seed]
        return settings + [
            {"peer": name, "setting": BEST, "seed": seed} for seed in others for name in installed
        ]

    def is_stale(self, row: Row) -> bool:
        """Whether there is none: what could not be run is tried again if asked for."""
        return "skipped" in row

    def measure(self, peer: str, setting: str, seed: int) -> Row:
        """A training in a process of its own, or why there is none."""
        package = peers()[peer].package
        if not setting:
            return {"skipped": f"{package} is not installed: pip install -e '.[peers]'"}
        if setting == BEST:
            path = self.folder() / "peers.json"
            tried = _runs(json.loads(path.read_text()), peer) if path.exists() else []
            if not tried:
                return {"skipped": f"no run with seed {self.seed}"}
            setting = _best(tried)["setting"]
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            options = {"seconds": self.seconds, "seed": seed, "progress": self.progress}
            try:
                run = pool.submit(run_setting, self.problem, peer, setting, **options).result()
                return {"ran": setting, "package": _peers.version(package), **run}
            except (BrokenProcessPool, jax.errors.JaxRuntimeError) as error:
                # Mostly for want of memory: the others go on, and a later run tries again.
                return {"skipped": (str(error) or repr(error)).splitlines()[0].rsplit(": ", 1)[-1]}

    @classmethod
    def data(cls, result: Row) -> Table:
        """Every peer with its best setting: error, memory, and when it reached each threshold."""
        lines = []
        ended = {
            name: [_error(_best(_runs(result, name))), *map(_error, _runs(result, name, repeated=True))]
            for name in _names(result)
        }
        ours = statistics.median(ended.get(GAUSS_NEWTON.name, [float("nan")]))
        for name, errors in ended.items():
            tried, error = _runs(result, name), statistics.median(errors)
            run = _best(tried)
            span = f" ({len(errors)}: {min(errors):.1e} to {max(errors):.1e})" if len(errors) > 1 else ""
            memory = run.get("device_memory_mib") or run.get("memory_mib")
            lines.append(
                {
                    "optimizer": name,
                    "best setting": f"{run['setting']} (of {len(tried)})",
                    "rel. L2": f"{error:.1e}{span}",
                    "over ours": f"{error / ours:.2g}",
                    "steps": f"{run['num_steps']:,}",
                    "s to compile": f"{run['compile_seconds']:.0f}",
                    "MiB": "—" if memory is None else f"{memory:.0f}",
                    **{f"s to {t}": "—" if s is None else f"{s:.1f}" for t, s in run["seconds_to"].items()},
                }
            )
        for row in result["rows"]:
            if "skipped" in row and (row["setting"] or row["peer"] not in ended):
                seed = f"seed {row['seed']}" if row["setting"] == BEST else ""
                which = ", ".join(filter(None, (row["peer"], row["setting"], seed)))
                rest = dict.fromkeys(lines[0] if lines else (), "—")
                lines.append(rest | {"optimizer": which, "best setting": row["skipped"]})
        return Table.of_lines(lines)

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Error of every peer's best setting against seconds, and gradients where they are counted."""
        path = folder / f"{cls.name}.png"
        with figure(path, columns=2, size=(13, 4.8), sharey=True) as (drawn, axes):
            for i, name in enumerate(_names(result)):
                run = _best(_runs(result, name))
                style = {
                    "label": f"{name} ({run['setting']})",
                    "color": f"C{i % 10}",
                    "ls": "-" if i < 10 else "--",
                }
                errors = [float("nan") if row[1] is None else row[1] for row in run["curve"]]
                for axis, column in zip(axes[0], (0, 3), strict=True):
                    values = [row[column] for row in run["curve"] if len(row) > column]
                    if values and values[-1] is not None:
                        axis.plot(values, errors, **style)
            seconds, gradients = axes[0]
            seconds.set(xlabel="seconds of training", ylabel="relative L2 error", yscale="log")
            gradients.set(
                xlabel="gradient evaluations, where they are counted", xscale="symlog", xlim=(0, None)
            )
            drawn.legend(*seconds.get_legend_handles_labels(), loc="outside right center", fontsize=8)
            drawn.suptitle(result["problem"], fontsize=10)


def _runs(result: Row, peer: str, *, repeated: bool = False) -> list[Row]:
    """A peer's runs of the first seed, or the repeats of its best setting."""
    runs = [row for row in result["rows"] if row["peer"] == peer and "skipped" not in row]
    return [row for row in runs if (row["setting"] == BEST) == repeated]


def _names(result: Row) -> list[str]:
    """The peers that ran with the first seed."""
    return [name for name in dict.fromkeys(row["peer"] for row in result["rows"]) if _runs(result, name)]


def _best(runs: list[Row]) -> Row:
    """That with the lowest error at the end."""
    return min(runs, key=_error)


def _error(run: Row) -> float:
    """The error at the end, +∞ if there is none: it diverged."""
    return float("inf") if run["rel_l2"] is None else run["rel_l2"]
