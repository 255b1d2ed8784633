"""What a Gauss–Newton step keeps and sends on each of several devices."""

import re
from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import pinns
from benchmarks._artefact import Artefact, Row, grid
from benchmarks._files import Table
from benchmarks._steps import Carry, take_step
from isgd_optax import gauss_newton, implicit_step

# E.g. "%all-reduce.3 = (f64[16]{0}, f64[]) all-reduce(": kind and shapes of what is sent.
_COLLECTIVE = re.compile(
    r"= (?P<shapes>[^=]*?) (?P<kind>all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)\("
)
_SHAPE = re.compile(r"(?P<dtype>[a-z]+)(?P<bits>\d+)\[(?P<dims>[\d,]*)\]")
_SOLVERS = ("dual", "primal", "cg")


class Scaling(Artefact):
    """Memory and communication of a Gauss–Newton step on 1, 2 and 4 devices, read from the compiled program.

    Devices of a CPU are virtual: this shows what is kept and sent, not how fast.
    """

    name = "scaling"
    axes = ("linear_solver", "devices")
    identity = ("points", "width")
    dtype = "float64"

    points: int = 1024
    """Residuals N."""
    width: int = 20
    """Width of three hidden layers."""

    def cells(self) -> list[Row]:
        """Every linear solver on every number of devices."""
        if jax.default_backend() == "cpu" and jax.device_count() < 4:
            raise RuntimeError("scaling needs four devices: set JAX_NUM_CPU_DEVICES=4 for those of a CPU.")
        return grid(linear_solver=_SOLVERS, devices=(1, 2, 4))

    def measure(self, linear_solver: str, devices: int) -> Row:
        """A step on the Burgers problem, float64, compiled."""
        ends = self.points // 8
        problem = pinns.Burgers(self.points - 2 * ends, num_boundary_points=ends, num_initial_points=ends)
        model = pinns.MLP(2, [self.width] * 3, 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
        function, params = pinns.functional(model)
        points = problem.sample(pinns.data_key(jax.random.key(0)), dtype=jnp.float64)
        solver = implicit_step(gauss_newton(linear_solver=linear_solver), 100.0, max_inner_steps=1)

        def advance(params: Any, state: Any, points: Any) -> Carry:
            return take_step(solver, problem.loss(function, points), (params, state))[0]

        auto = (jax.sharding.AxisType.Auto,)
        mesh = jax.make_mesh((devices,), ("points",), axis_types=auto, devices=jax.devices()[:devices])
        with jax.set_mesh(mesh):
            whole, spread = (jax.NamedSharding(mesh, jax.P(*axes)) for axes in ((), ("points",)))
            args = (*jax.device_put((params, solver.init(params)), whole), jax.device_put(points, spread))
            compiled: Any = jax.jit(advance).lower(*args).compile()
        analysis = compiled.memory_analysis()
        kinds, sent = collectives(compiled.as_text())
        return {
            "num_parameters": pinns.num_parameters(params),
            "bytes_per_device": analysis.temp_size_in_bytes + analysis.output_size_in_bytes,
            "collectives": dict(kinds),
            "bytes_sent": sent,
        }

    @classmethod
    def data(cls, result: Row) -> Table:
        """What each device keeps and sends."""
        columns = {
            "linear solver": lambda row: row["linear_solver"],
            "devices": lambda row: row["devices"],
            "MiB on each": lambda row: f"{row['bytes_per_device'] / 2**20:.1f}",
            "collectives": lambda row: (
                ", ".join(f"{n} {kind}" for kind, n in row["collectives"].items()) or "none"
            ),
            "MiB sent by each": lambda row: f"{row['bytes_sent'] / 2**20:.2f}",
        }
        return Table.of(result["rows"], columns)


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
