"""What an implicit step costs beside the gradients in it."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import jax
import optax
from flax import nnx

import pinns
from benchmarks._environment import command, environment
from benchmarks._files import Table, write_json
from benchmarks._timing import paired, ratio
from benchmarks.paper._claims import Claim, claim
from isgd_optax import implicit_step

COMPARABLE = 1.5  # of the times per gradient


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overhead:
    """Time per gradient of implicit_step(adam, rtol=0) over that of a plain scanned Adam step."""

    name: ClassVar[str] = "overhead"
    setting: ClassVar[str] = (
        'ODE with ε = 2, 4×50 tanh network, 402 points, float32: time per gradient of "ISGD, Adam" and of '
        "Adam, in turn in one process. Other processes ran beside it."
    )

    repeats: int = 15
    """Pairs of timings."""
    inner_steps: int = 100
    """K1."""
    outer_steps: int = 10
    """Implicit steps per timing."""
    out: Path = Path("runs/overhead")
    """Folder of overhead.json."""

    def run(self) -> dict[str, Any]:
        """Measures on the ODE problem: 4×50 tanh, 400 + 2 points, float32."""
        problem = pinns.SingularlyPerturbedODE(epsilon=2.0)
        model = pinns.MLP(1, [50] * 4, 1, rngs=nnx.Rngs(0))
        params = nnx.state(model, nnx.Param)
        loss = problem.loss(model, problem.sample(pinns.data_key(jax.random.key(0))))
        adam = optax.adam(1e-3)
        kinds = {
            safeguard: implicit_step(
                adam, 0.5, max_inner_steps=self.inner_steps, rtol=0.0, safeguard=safeguard, store_grad=True
            )
            for safeguard in (True, False)
        }
        num_gradients = self.outer_steps * self.inner_steps

        @jax.jit
        def plain(params, state):
            def step(carry, _):
                params, state = carry
                value, grad = jax.value_and_grad(loss)(params)
                updates, state = adam.update(grad, state, params)
                return (optax.apply_updates(params, updates), state), value

            return jax.lax.scan(step, (params, state), length=num_gradients)

        def implicit(solver):
            @jax.jit
            def steps(params, state):
                def step(carry, _):
                    params, state = carry
                    value, grad = optax.value_and_grad_from_state(loss)(params, state=state)
                    updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
                    return (optax.apply_updates(params, updates), state), value

                return jax.lax.scan(step, (params, state), length=self.outer_steps)

            state = solver.init(params)
            return lambda: steps(params, state)

        adam_state = adam.init(params)
        seconds = paired(
            {
                "adam": lambda: plain(params, adam_state),
                "implicit_step(adam)": implicit(kinds[True]),
                "implicit_step(adam, safeguard=False)": implicit(kinds[False]),
            },
            self.repeats,
        )
        # The very first gradient has no predecessor that stored it; all others are inner ones.
        counts = {name: num_gradients + (name != "adam") for name in seconds}
        per_gradient = {name: values / counts[name] for name, values in seconds.items()}
        ratios = {name: ratio(v, per_gradient["adam"]) for name, v in per_gradient.items()}
        result = {
            "command": command(),
            "seconds_per_gradient": {name: values.tolist() for name, values in per_gradient.items()},
            "ratio_to_adam": ratios,
            **environment(),
        }
        write_json(self.out / "overhead.json", result)
        print(self.data(result))
        return result

    @staticmethod
    def data(result: dict[str, Any]) -> Table:
        """Time per gradient over Adam's."""
        ratios = result["ratio_to_adam"]
        rows = [[k, *(f"{r[key]:.3f}" for key in ("median", "min", "max"))] for k, r in ratios.items()]
        return Table(["time per gradient over Adam's", "median", "min", "max"], rows)

    @staticmethod
    def claims(result: dict[str, Any]) -> list[Claim]:
        """That ISGD costs as much as Adam, gradient for gradient, in every pair of timings."""
        ratios = {name: r for name, r in result["ratio_to_adam"].items() if name != "adam"}
        shown = ", ".join(
            f"{name} {r['median']:.2f} ({r['min']:.2f}–{r['max']:.2f})" for name, r in ratios.items()
        )
        return [
            claim(
                "the cost of ISGD is comparable to Adam's: time is proportional to the number of iterations, "
                "inner ones counted",
                f"time per gradient over Adam's: {shown}",
                max(r["max"] for r in ratios.values()) <= COMPARABLE,
            )
        ]
