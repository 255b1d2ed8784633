"""The layer-wise kernel against rows of the Jacobian."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import pinns
from benchmarks._environment import command, environment
from benchmarks._files import table, write_json
from benchmarks._timing import paired, ratio
from isgd_optax import diagnostics


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
    """Time and memory of K = JJᵀ from layers' factors, from blocks of rows of J, and from a whole J."""

    name = "kernel"

    repeats: int = 5
    """Rounds of timings."""
    points: int = 1000
    """Residuals N."""
    out: Path = Path("runs/kernel")
    """Folder of kernel.json."""

    def run(self) -> dict[str, Any]:
        """Measures on the 2-D and 1-D Poisson problems with the paper's networks, float64."""
        jax.config.update("jax_enable_x64", True)
        num_boundary = self.points // 10
        cases = {
            "2-D, 6×100": (pinns.Poisson2D(self.points - num_boundary, num_boundary), (100,) * 6),
            "1-D, 5×200": (pinns.Poisson1D(num_points=self.points - 2), (200,) * 5),
            "1-D, 4×50": (pinns.Poisson1D(num_points=self.points - 2), (50,) * 4),
        }
        result: dict[str, Any] = {"command": command(), "points": self.points, **environment()}
        rows = []
        for case, (problem, hidden) in cases.items():
            measured = _measure(problem, hidden, self.repeats)
            result[case] = measured
            for name, values in measured.items():
                r = values["time_over_layers"]
                times = [f"{r[key]:.2f}" for key in ("median", "min", "max")]
                rows.append(
                    [case, name, f"{np.median(values['seconds']):.3f}", *times, f"{values['gib']:.2f}"]
                )
        write_json(self.out / "kernel.json", result)
        print(table(["network", "K from", "seconds", "over layers", "min", "max", "GiB"], rows))
        return result


def _measure(problem: pinns.Problem, hidden: tuple[int, ...], repeats: int) -> dict[str, Any]:
    model = pinns.MLP(problem.domain.dim, hidden, 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
    params = nnx.state(model, nnx.Param)
    loss = problem.loss(model, problem.sample(pinns.data_key(jax.random.key(0)), dtype=jnp.float64))

    def gram(kernel: str, row_block: int) -> Any:
        return lambda params, loss: diagnostics.gram_matrix(loss, params, kernel=kernel, row_block=row_block)

    forms = {
        "layers": gram("layers", 256),
        "rows": gram("rows", 256),
        "whole J": gram("rows", 10**9),  # one block
    }
    compiled = {name: jax.jit(form).lower(params, loss).compile() for name, form in forms.items()}
    calls = {name: (lambda c=c: c(params, loss)) for name, c in compiled.items()}
    reference = calls["whole J"]()
    for call in calls.values():
        np.testing.assert_allclose(call(), reference, rtol=1e-9, atol=1e-12 * float(jnp.max(reference)))
    seconds = paired(calls, repeats)
    return {
        name: {
            "seconds": values.tolist(),
            "time_over_layers": ratio(values, seconds["layers"]),
            "gib": _gib(compiled[name]),
        }
        for name, values in seconds.items()
    }


def _gib(compiled: Any) -> float:
    """What XLA allocates beside arguments and result."""
    return compiled.memory_analysis().temp_size_in_bytes / 2**30
