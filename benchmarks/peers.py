"""Ours beside what a user would take instead, at equal wall time."""

import concurrent.futures
import dataclasses
import json
import multiprocessing
import statistics
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Literal

import jax

from benchmarks import _peers
from benchmarks._artefact import Artefact, Row
from benchmarks._files import Table, plain
from benchmarks._optimizers import GAUSS_NEWTON
from benchmarks._peer_run import PROBLEMS, THRESHOLDS, run_setting
from benchmarks._peer_settings import peers
from benchmarks._plots import figure

BEST = "the best"  # in place of a setting: that which was best with the first seed


@dataclasses.dataclass(frozen=True, kw_only=True)
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
    identity = ("dataset",)

    problem: Literal[
        "poisson1d",
        "poisson1d-wide",
        "ode",
        "ode-sobol",
        "burgers",
        "kovasznay",
        "helmholtz_periodic",
        "poisson_nd",
    ] = "poisson1d"
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
            "problem": repr(chosen.problem),
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

    def measure(self, peer: str, setting: str, seed: int) -> Row:
        """A training in a process of its own, or why there is none."""
        if not setting:
            package = peers()[peer].package
            return {"record": {"skipped": f"{package} is not installed: pip install -e '.[peers]'"}}
        if setting == BEST:
            tried = json.loads((self.folder() / "peers.json").read_text())["runs"].get(peer)
            if tried is None:
                return {"record": {"skipped": f"no run with seed {self.seed}"}}
            setting = _best(tried)[0]
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            options = {"seconds": self.seconds, "seed": seed, "progress": self.progress}
            try:
                run = pool.submit(run_setting, self.problem, peer, setting, **options).result()
                return {"record": plain({"setting": setting} | run)}
            except (BrokenProcessPool, jax.errors.JaxRuntimeError) as error:
                # Mostly for want of memory: the others go on, and a later run tries again.
                text = (str(error) or repr(error)).splitlines()[0].rsplit(": ", 1)[-1]
                return {"record": {"skipped": text}}

    @classmethod
    def pack(cls, rows: Sequence[Row]) -> Row:
        """Runs by peer and setting, repeats by peer and seed, and why others were skipped."""
        found: Row = {"runs": {}, "repeats": {}, "skipped": {}}
        for row in rows:
            peer, setting, record = row["peer"], row["setting"], row["record"]
            if "skipped" in record:
                seed = f"seed {row['seed']}" if setting == BEST else ""
                title = ", ".join(filter(None, (peer, setting, seed)))
                found["skipped"][title] = record["skipped"]
            elif setting == BEST:
                found["repeats"].setdefault(peer, {})[str(row["seed"])] = record
            else:
                found["runs"].setdefault(peer, {})[setting] = record
        done = set(found["runs"])
        done |= {f"{peer}, {setting}" for peer, runs in found["runs"].items() for setting in runs}
        done |= {f"{peer}, {BEST}, seed {seed}" for peer, runs in found["repeats"].items() for seed in runs}
        found["skipped"] = {k: reason for k, reason in found["skipped"].items() if k not in done}
        return found

    @classmethod
    def unpack(cls, stored: Row) -> list[Row]:
        """The runs, and by their titles those that were skipped, which are tried again if asked for."""
        first = stored.get("seed", 0)
        rows = [
            {"peer": title, "setting": "", "seed": first, "record": {"skipped": reason}}
            for title, reason in stored.get("skipped", {}).items()
        ]
        rows += [
            {"peer": peer, "setting": setting, "seed": first, "record": record}
            for peer, settings in stored.get("runs", {}).items()
            for setting, record in settings.items()
        ]
        return rows + [
            {"peer": peer, "setting": BEST, "seed": int(seed), "record": record}
            for peer, seeds in stored.get("repeats", {}).items()
            for seed, record in seeds.items()
        ]

    @classmethod
    def data(cls, result: Row) -> Table:
        """Every peer with its best setting: error, memory, and when it reached each threshold."""
        runs, repeats, rows = result["runs"], result.get("repeats", {}), []
        ended = {
            name: [_error(_best(settings)[1]), *map(_error, repeats.get(name, {}).values())]
            for name, settings in runs.items()
        }
        ours = statistics.median(ended.get(GAUSS_NEWTON.name, [float("nan")]))
        for name, settings in runs.items():
            setting, run = _best(settings)
            reached = [f"{s:.1f}" if s is not None else "—" for s in run["seconds_to"].values()]
            errors, error = ended[name], statistics.median(ended[name])
            span = f" ({len(errors)}: {min(errors):.1e} to {max(errors):.1e})" if len(errors) > 1 else ""
            memory = run.get("device_memory_mib") or run.get("memory_mib")
            rows.append(
                [
                    name,
                    f"{setting} (of {len(settings)})",
                    f"{error:.1e}{span}",
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

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Error of every peer's best setting against seconds, and gradients where they are counted."""
        path = folder / f"{cls.name}.png"
        with figure(path, columns=2, size=(13, 4.8), sharey=True) as (drawn, axes):
            for i, (name, settings) in enumerate(result["runs"].items()):
                setting, run = _best(settings)
                style = {"label": f"{name} ({setting})", "color": f"C{i % 10}", "ls": "-" if i < 10 else "--"}
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


def _best(settings: dict[str, Any]) -> tuple[str, Any]:
    """The setting with the lowest error at the end."""
    return min(settings.items(), key=lambda item: _error(item[1]))


def _error(run: dict[str, Any]) -> float:
    """The error at the end, +∞ if there is none: it diverged."""
    return float("inf") if run["rel_l2"] is None else run["rel_l2"]
