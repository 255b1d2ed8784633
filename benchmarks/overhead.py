"""What an implicit step costs beside the gradients in it."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import optax

import pinns
from benchmarks._artefact import Artefact, Row
from benchmarks._claims import Claim, claim
from benchmarks._files import Table
from benchmarks._optimizers import ADAM
from benchmarks._steps import start, take_steps
from benchmarks._timing import STATISTICS, paired, ratio, shown
from isgd_optax import implicit_step

COMPARABLE = 1.5  # of the times per gradient


class Overhead(Artefact):
    """Time per gradient of implicit_step(adam, rtol=0) over that of a plain scanned Adam step."""

    name = "overhead"
    setting = (
        'ODE with ε = 2, 4×50 tanh network, 402 points, float32: time per gradient of "ISGD, Adam" and of '
        "Adam, in turn in one process. Other processes ran beside it."
    )

    identity = ("repeats", "inner_steps", "outer_steps")

    repeats: int = 15
    """Pairs of timings."""
    inner_steps: int = 100
    """K1."""
    outer_steps: int = 10
    """Implicit steps per timing."""

    def measure(self) -> Row:
        """Times on the ODE problem: 4×50 tanh, 400 + 2 points, float32."""
        _, loss, params = start(pinns.SingularlyPerturbedODE(epsilon=2.0), [50] * 4)
        adam = optax.adam(1e-3)
        num_gradients = self.outer_steps * self.inner_steps

        def timed(solver: Any, num_steps: int, *, stored: bool) -> Callable[[], Any]:
            scan = jax.jit(lambda *carry: take_steps(solver, loss, carry, num_steps, stored=stored))
            state = solver.init(params)
            return lambda: scan(params, state)

        def implicit(*, safeguard: bool) -> Callable[[], Any]:
            options = {"max_inner_steps": self.inner_steps, "rtol": 0.0, "store_grad": True}
            solver = implicit_step(adam, 0.5, safeguard=safeguard, **options)
            return timed(solver, self.outer_steps, stored=True)

        seconds = paired(
            {
                ADAM.name: timed(adam, num_gradients, stored=False),
                "implicit_step(adam)": implicit(safeguard=True),
                "implicit_step(adam, safeguard=False)": implicit(safeguard=False),
            },
            self.repeats,
        )
        # The very first gradient has no predecessor that stored it; all others are inner ones.
        counts = {name: num_gradients + (name != ADAM.name) for name in seconds}
        per_gradient = {name: values / counts[name] for name, values in seconds.items()}
        return {
            "seconds_per_gradient": {name: values.tolist() for name, values in per_gradient.items()},
            "ratio_to_adam": {name: ratio(v, per_gradient[ADAM.name]) for name, v in per_gradient.items()},
        }

    @classmethod
    def data(cls, result: Row) -> Table:
        """Time per gradient over Adam's."""
        rows = [[name, *shown(r, 3)] for name, r in result["rows"][0]["ratio_to_adam"].items()]
        return Table(["time per gradient over Adam's", *STATISTICS], rows)

    @classmethod
    def judge(cls, result: Row) -> Iterable[Claim]:
        """That ISGD costs as much as Adam, gradient for gradient, in every pair of timings."""
        ratios = {name: r for name, r in result["rows"][0]["ratio_to_adam"].items() if name != ADAM.name}
        shown = ", ".join(
            f"{name} {r['median']:.2f} ({r['min']:.2f}–{r['max']:.2f})" for name, r in ratios.items()
        )
        yield claim(
            "the cost of ISGD is comparable to Adam's: time is proportional to the number of iterations, "
            "inner ones counted",
            f"time per gradient over Adam's: {shown}",
            max(r["max"] for r in ratios.values()) <= COMPARABLE,
        )
