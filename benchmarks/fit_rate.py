"""The step rate of ``pinns.fit`` against a bare ``lax.scan`` of the same step."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

import pinns
from benchmarks._environment import command, environment
from benchmarks._files import table, write_json
from benchmarks._timing import ratio


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitRate:
    """Steps per second of fit, evaluation and progress included, over those of a bare lax.scan."""

    name = "fit_rate"

    repeats: int = 5
    """Pairs of timings."""
    steps: int = 2000
    """Steps per timing; fit is timed on 3n and on n steps, and the difference taken."""
    out: Path = Path("runs/fit_rate")
    """Folder of fit_rate.json."""

    def run(self) -> dict[str, Any]:
        """Measures Adam on the ODE problem: 4×50 tanh, 400 + 2 points, float32."""
        problem = pinns.SingularlyPerturbedODE(epsilon=2.0)
        model = pinns.MLP(1, [50] * 4, 1, rngs=nnx.Rngs(0))
        params = nnx.state(model, nnx.Param)
        loss = problem.loss(model, problem.sample(pinns.data_key(jax.random.key(0))))
        adam = optax.adam(1e-3)

        @jax.jit
        def scan(params, state):
            def step(carry, _):
                params, state = carry
                value, grad = jax.value_and_grad(loss)(params)
                updates, state = adam.update(grad, state, params)
                return (optax.apply_updates(params, updates), state), value

            return jax.lax.scan(step, (params, state), length=2 * self.steps)

        state = adam.init(params)

        def bare() -> float:
            began = time.perf_counter()
            jax.block_until_ready(scan(params, state))
            return time.perf_counter() - began

        def fit(num_steps: int) -> float:
            began = time.perf_counter()
            result = pinns.fit(
                problem,
                model,
                adam,
                num_steps=num_steps,
                key=jax.random.key(0),
                evaluate_every=max(1, self.steps // 20),
            )
            return time.perf_counter() - began - result.compile_seconds

        bare()  # compiles
        ours, theirs = [], []
        for _ in range(self.repeats):
            short = fit(self.steps)
            ours.append(2 * self.steps / (fit(3 * self.steps) - short))
            theirs.append(2 * self.steps / bare())
        rates = ratio(np.array(ours), np.array(theirs))
        result = {
            "command": command(),
            "fit_steps_per_second": ours,
            "scan_steps_per_second": theirs,
            "ratio": rates,
            **environment(),
        }
        write_json(self.out / "fit_rate.json", result)
        row = [f"{rates[key]:.3f}" for key in ("median", "min", "max")]
        print(table(["step rate of fit over lax.scan", "median", "min", "max"], [["adam, ODE", *row]]))
        return result
