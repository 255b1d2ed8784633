"""One setting of one peer, in a process of its own: its memory is measured, its settings stay its own."""

import dataclasses
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pinns
from benchmarks._field_rows import ROWS, Row
from benchmarks._peer_settings import peers

# Problems whose equations are also written in the form of whole libraries.
OF_LIBRARIES = ("poisson1d", "poisson1d-wide", "ode", "ode-sobol")
THRESHOLDS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def _fixed(name: str, sampling: str, **changes: Any) -> Row:
    """A row of the field on points that stay."""
    return dataclasses.replace(ROWS[name], sampling=sampling, **changes)


_POISSON = Row("Poisson's equation", partial(pinns.Poisson1D, num_points=400), (64,) * 4, sampling="grid")
_ODE = Row("ODE, ε = 0.01", partial(pinns.SingularlyPerturbedODE, 0.01), (50,) * 4, sampling="uniform")
# What all are trained on, every residual of it counted.
PROBLEMS = {
    "poisson1d": _POISSON,
    "poisson1d-wide": dataclasses.replace(
        _POISSON, problem=partial(pinns.Poisson1D, num_points=1000), hidden=(200,) * 5
    ),
    "ode": _ODE,
    "ode-sobol": dataclasses.replace(_ODE, sampling="sobol"),
    "burgers": _fixed("burgers", "sobol", problem=partial(pinns.Burgers, num_points=3000), hidden=(16,) * 4),
    "kovasznay": _fixed(
        "kovasznay", "sobol", problem=partial(pinns.Kovasznay, num_points=800), hidden=(20,) * 3
    ),
    "helmholtz_periodic": _fixed("helmholtz_periodic", "grid"),
    "poisson_nd": _fixed("poisson_nd", "sobol"),
}


def run_setting(
    problem_name: str, name: str, setting: str, *, seconds: float, seed: int, progress: bool
) -> dict[str, Any]:
    """Trains for so many seconds in float64; returns what is recorded of it.

    Args:
      problem_name: of :data:`PROBLEMS`.
      name: of the peer.
      setting: of its settings.
      seconds: of training, without compilation.
      seed: of network and points.
      progress: show a progress bar.
    """
    jax.config.update("jax_enable_x64", True)
    chosen, peer = PROBLEMS[problem_name], peers()[name]
    problem, model = chosen.problem(), chosen.model(seed)
    if peer.steps is None and problem_name not in OF_LIBRARIES:
        return {"skipped": "its form of this problem is not written"}
    if peer.most_parameters is not None and pinns.num_parameters(model) > peer.most_parameters:
        return {"skipped": f"needs a matrix of {pinns.num_parameters(model):,} rows and columns"}
    before = _peak_mib()
    key = pinns.data_key(jax.random.key(seed))
    points = problem.sample(key, method=chosen.sampling, dtype=jnp.float64)
    if peer.steps is None:
        arrays = {k: np.asarray(v) for k, v in points.items()}
        curve = peer.settings[setting](problem, chosen.hidden, arrays, seconds=seconds, seed=seed)
        return _record(curve.rows, curve.num_steps, curve.compile_seconds) | _memory(before)
    result = chosen.fit(
        peer.settings[setting](problem.loss(model, points)),
        seed,
        seconds=seconds,
        evaluate_every=peer.steps,
        progress=progress,
        description=f"{name}, {setting}",
    )
    gradients = lambda row: row["num_gradients"] if peer.counts_gradients else None
    rows = [(row["seconds"], row["rel_l2"], row["loss"], gradients(row)) for row in result.history]
    return _record(rows, result.num_steps, result.compile_seconds) | _memory(before)


def _record(rows: list[Any], num_steps: int, compile_seconds: float) -> dict[str, Any]:
    """The run's curve, thinned to some 200 rows, and what it came to."""
    every = max(1, len(rows) // 200)
    best = min((row[1] for row in rows if np.isfinite(row[1])), default=float("inf"))
    times = {f"{t:g}": next((row[0] for row in rows if row[1] <= t), None) for t in THRESHOLDS}
    return {
        "rel_l2": rows[-1][1],
        "best_rel_l2": best,
        "num_steps": num_steps,
        "train_seconds": rows[-1][0],
        "compile_seconds": compile_seconds,
        "seconds_to": times,
        "curve": [*rows[:-1:every], rows[-1]],
    }


def _memory(before: float | None) -> dict[str, float | None]:
    """How much the training added to the process's largest size, and on an accelerator its own peak."""
    after = _peak_mib()
    stats = jax.devices()[0].memory_stats() or {}
    device = stats.get("peak_bytes_in_use")
    return {
        "memory_mib": None if after is None or before is None else after - before,
        "device_memory_mib": None if device is None else device / 2**20,
    }


def _peak_mib() -> float | None:
    """The largest size of this process so far, where the system tells it."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: its ru_maxrss is at least that of the parent before it started this process
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        return int(found[1]) / 2**10 if found else None
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return None
