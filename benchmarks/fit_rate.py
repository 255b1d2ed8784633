"""The step rate of ``pinns.fit`` against a bare ``lax.scan`` of the same step."""

import time

import jax
import numpy as np
import optax

import pinns
from benchmarks._artefact import Artefact, Row
from benchmarks._files import Table
from benchmarks._steps import start, take_steps
from benchmarks._timing import STATISTICS, ratio, shown


class FitRate(Artefact):
    """Steps per second of fit, evaluation and progress included, over those of a bare lax.scan."""

    name = "fit_rate"
    identity = ("repeats", "steps")

    repeats: int = 5
    """Pairs of timings."""
    steps: int = 2000
    """Steps per timing; fit is timed on 3n and on n steps, and the difference taken."""

    def measure(self) -> Row:
        """Rates of Adam on the ODE problem: 4×50 tanh, 400 + 2 points, float32."""
        problem = pinns.SingularlyPerturbedODE(epsilon=2.0)
        model, loss, params = start(problem, [50] * 4)
        adam = optax.adam(1e-3)
        scan = jax.jit(lambda carry: take_steps(adam, loss, carry, 2 * self.steps))
        carry = params, adam.init(params)

        def bare() -> float:
            began = time.perf_counter()
            jax.block_until_ready(scan(carry))
            return time.perf_counter() - began

        def fit(num_steps: int) -> float:
            began = time.perf_counter()
            every = max(1, self.steps // 20)
            key = jax.random.key(0)
            result = pinns.fit(problem, model, adam, num_steps=num_steps, key=key, evaluate_every=every)
            return time.perf_counter() - began - result.compile_seconds

        bare()  # compiles
        ours, theirs = [], []
        for _ in range(self.repeats):
            short = fit(self.steps)
            ours.append(2 * self.steps / (fit(3 * self.steps) - short))
            theirs.append(2 * self.steps / bare())
        rates = ratio(np.array(ours), np.array(theirs))
        return {"fit_steps_per_second": ours, "scan_steps_per_second": theirs, "ratio": rates}

    @classmethod
    def data(cls, result: Row) -> Table:
        """The ratio of the rates."""
        header = ["step rate of fit over lax.scan", *STATISTICS]
        return Table(header, [["adam, ODE", *shown(result["rows"][0]["ratio"], 3)]])
