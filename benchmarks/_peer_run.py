"""One setting of one peer, in a process of its own: its memory is measured, its settings stay its own."""

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import pinns
from benchmarks._peer_settings import peers

# Problems whose equations are also written in the form of whole libraries.
OF_LIBRARIES = ("poisson1d", "poisson1d-wide", "ode", "ode-sobol")
THRESHOLDS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


@dataclasses.dataclass(frozen=True)
class Problem:
    """What all are trained on.

    Args:
      problem: The problem with its points, of which every residual counts.
      hidden: Widths of the hidden layers.
      sampling: How the points are drawn, once.
      outputs: The number of outputs.
      periods: The periods of a network that has them, or None.
    """

    problem: pinns.Problem
    hidden: tuple[int, ...]
    sampling: str
    outputs: int = 1
    periods: tuple[float, ...] | None = None

    def model(self, seed: int) -> nnx.Module:
        """The network in float64."""
        options: dict[str, Any] = {"dtype": jnp.float64, "rngs": nnx.Rngs(seed)}
        if self.periods is not None:
            return pinns.PeriodicMLP(self.periods, self.hidden, self.outputs, **options)
        return pinns.MLP(self.problem.domain.dim, self.hidden, self.outputs, **options)


PROBLEMS = {
    "poisson1d": Problem(pinns.Poisson1D(num_points=400), (64,) * 4, "grid"),
    "poisson1d-wide": Problem(pinns.Poisson1D(num_points=1000), (200,) * 5, "grid"),
    "ode": Problem(pinns.SingularlyPerturbedODE(0.01), (50,) * 4, "uniform"),
    "ode-sobol": Problem(pinns.SingularlyPerturbedODE(0.01), (50,) * 4, "sobol"),
    "burgers": Problem(pinns.Burgers(num_points=3000), (16,) * 4, "sobol"),
    "kovasznay": Problem(pinns.Kovasznay(num_points=800), (20,) * 3, "sobol", outputs=3),
    "helmholtz_periodic": Problem(
        pinns.PeriodicHelmholtz2D(1.0, num_points=45**2), (30,) * 4, "grid", periods=(2.0, 2.0)
    ),
    "poisson_nd": Problem(pinns.PoissonND(), (20,) * 2, "sobol"),
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
    chosen, peer, key = PROBLEMS[problem_name], peers()[name], jax.random.key(seed)
    problem, sampling, model = chosen.problem, chosen.sampling, chosen.model(seed)
    if peer.steps is None and problem_name not in OF_LIBRARIES:
        return {"skipped": "its form of this problem is not written"}
    if peer.most_parameters is not None and pinns.num_parameters(model) > peer.most_parameters:
        return {"skipped": f"needs a matrix of {pinns.num_parameters(model):,} rows and columns"}
    before = _peak_mib()
    points = problem.sample(pinns.data_key(key), method=sampling, dtype=jnp.float64)
    if peer.steps is None:
        arrays = {k: np.asarray(v) for k, v in points.items()}
        curve = peer.settings[setting](problem, chosen.hidden, arrays, seconds=seconds, seed=seed)
        return _record(curve.rows, curve.num_steps, curve.compile_seconds) | _memory(before)
    result = pinns.fit(
        problem,
        model,
        peer.settings[setting](problem.loss(model, points)),
        num_steps=10_000_000,
        key=key,
        sampling=sampling,
        evaluate_every=peer.steps,
        time_limit=seconds,
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
