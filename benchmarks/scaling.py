"""What a Gauss–Newton step keeps and sends on each of several devices."""

import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import pinns
from benchmarks._environment import command, environment
from benchmarks._files import table, write_json
from isgd_optax import gauss_newton, implicit_step

# E.g. "%all-reduce.3 = (f64[16]{0}, f64[]) all-reduce(": kind and shapes of what is sent.
_COLLECTIVE = re.compile(
    r"= (?P<shapes>[^=]*?) (?P<kind>all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)\("
)
_SHAPE = re.compile(r"(?P<dtype>[a-z]+)(?P<bits>\d+)\[(?P<dims>[\d,]*)\]")
_SOLVERS = ("dual", "primal", "cg")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scaling:
    """Memory and communication of a Gauss–Newton step on 1, 2 and 4 devices, read from the compiled program.

    Devices of a CPU are virtual: this shows what is kept and sent, not how fast.
    """

    name = "scaling"

    points: int = 1024
    """Residuals N."""
    width: int = 20
    """Width of three hidden layers."""
    out: Path = Path("runs/scaling")
    """Folder of scaling.json."""

    def run(self) -> dict[str, Any]:
        """Compiles a step on the Burgers problem, float64, for each number of devices and linear solver."""
        jax.config.update("jax_enable_x64", True)
        if jax.default_backend() == "cpu" and jax.device_count() < 4:
            raise RuntimeError("scaling needs four devices: set JAX_NUM_CPU_DEVICES=4 for those of a CPU.")
        rows = [
            {"linear_solver": solver, "devices": number, **self._measure(solver, number)}
            for solver in _SOLVERS
            for number in (1, 2, 4)
        ]
        result = {"command": command(), "points": self.points, "width": self.width, "rows": rows}
        result |= environment()
        write_json(self.out / "scaling.json", result)
        header = ["linear solver", "devices", "MiB on each", "collectives", "MiB sent by each"]
        shown = [
            [
                row["linear_solver"],
                str(row["devices"]),
                f"{row['bytes_per_device'] / 2**20:.1f}",
                ", ".join(f"{count} {kind}" for kind, count in row["collectives"].items()) or "none",
                f"{row['bytes_sent'] / 2**20:.2f}",
            ]
            for row in rows
        ]
        print(table(header, shown))
        return result

    def _measure(self, linear_solver: str, number: int) -> dict[str, Any]:
        ends = self.points // 8
        problem = pinns.Burgers(self.points - 2 * ends, num_boundary_points=ends, num_initial_points=ends)
        model = pinns.MLP(2, [self.width] * 3, 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
        function, params = pinns.functional(model)
        points = problem.sample(pinns.data_key(jax.random.key(0)), dtype=jnp.float64)
        solver = implicit_step(gauss_newton(linear_solver=linear_solver), 100.0, max_inner_steps=1)

        def step(params: Any, state: Any, points: Any) -> tuple[Any, Any]:
            loss = problem.loss(function, points)
            value, grad = jax.value_and_grad(loss)(params)
            updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
            return optax.apply_updates(params, updates), state

        auto = (jax.sharding.AxisType.Auto,)
        mesh = jax.make_mesh((number,), ("points",), axis_types=auto, devices=jax.devices()[:number])
        with jax.set_mesh(mesh):
            whole, spread = (jax.NamedSharding(mesh, jax.P(*axes)) for axes in ((), ("points",)))
            args = (*jax.device_put((params, solver.init(params)), whole), jax.device_put(points, spread))
            compiled: Any = jax.jit(step).lower(*args).compile()
        analysis = compiled.memory_analysis()
        kinds, sent = collectives(compiled.as_text())
        return {
            "num_parameters": pinns.num_parameters(params),
            "bytes_per_device": analysis.temp_size_in_bytes + analysis.output_size_in_bytes,
            "collectives": dict(kinds),
            "bytes_sent": sent,
        }


def collectives(program: str) -> tuple[Counter[str], int]:
    """The collective operations of a compiled program by kind, and the bytes of their results.

    What stands in a loop is counted once.
    """
    kinds: Counter[str] = Counter()
    size = 0
    for found in _COLLECTIVE.finditer(program):
        kinds[found["kind"]] += 1
        for shape in _SHAPE.finditer(found["shapes"]):
            dims = [int(n) for n in shape["dims"].split(",") if n]
            size += int(np.prod(dims, dtype=int)) * max(1, int(shape["bits"]) // 8)
    return kinds, size
