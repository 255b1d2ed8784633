"""Loss and gradient with forward-propagated Laplacians against nested autodiff."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import pinns
from benchmarks._environment import command, environment
from benchmarks._files import table, write_json
from benchmarks._timing import paired, ratio


@dataclasses.dataclass(frozen=True, kw_only=True)
class Derivatives:
    """Time of loss and gradient with our Laplacian over that with nested autodiff and with folx."""

    name = "derivatives"

    repeats: int = 7
    """Rounds of timings."""
    points: int = 4400
    """Collocation points."""
    width: int = 100
    """Width of the 6 hidden layers."""
    out: Path = Path("runs/derivatives")
    """Folder of derivatives.json."""

    def run(self) -> dict[str, Any]:
        """Measures with a 6-layer tanh network in two dimensions, float32; folx where it is installed."""
        model = pinns.MLP(2, [self.width] * 6, 1, rngs=nnx.Rngs(0))
        graphdef, params = nnx.split(model)
        points = jax.random.uniform(pinns.data_key(jax.random.key(0)), (self.points, 2))

        def reverse_over_forward(u, x):
            return jnp.trace(jax.hessian(lambda z: u(z)[0])(x))

        def forward_over_forward(u, x):
            second = lambda e: jax.jvp(lambda z: jax.jvp(u, (z,), (e,))[1], (x,), (e,))[1][0]
            return jnp.sum(jax.vmap(second)(jnp.eye(2)))

        laplacians = {
            "pinns.laplacian": lambda u, x: pinns.laplacian(u, x)[2][0],
            **_folx(),
            "trace(jax.hessian)": reverse_over_forward,
            "jvp of jvp": forward_over_forward,
        }

        def loss_and_grad(laplacian):
            def loss(params):
                u = nnx.merge(graphdef, params)
                return jnp.mean(jnp.square(jax.vmap(lambda x: laplacian(u, x))(points) + 1.0))

            compiled = jax.jit(jax.value_and_grad(loss))
            return lambda: compiled(params)

        seconds = paired({name: loss_and_grad(lap) for name, lap in laplacians.items()}, self.repeats)
        ours = seconds["pinns.laplacian"]
        ratios = {name: ratio(values, ours) for name, values in seconds.items()}
        result = {
            "command": command(),
            "seconds": {name: values.tolist() for name, values in seconds.items()},
            "ratio_to_ours": ratios,
            **environment(),
        }
        write_json(self.out / "derivatives.json", result)
        rows = [[k, *(f"{r[key]:.2f}" for key in ("median", "min", "max"))] for k, r in ratios.items()]
        print(table(["loss and gradient, time over ours", "median", "min", "max"], rows))
        return result


def _folx() -> dict[str, Any]:
    """Its Laplacian, by its name; nothing where it is not installed, as with the extra `benchmarks` alone."""
    try:
        import folx
    except ModuleNotFoundError:
        print("folx is not installed and left out: pip install -e '.[peers]'")
        return {}
    return {"folx": lambda u, x: folx.forward_laplacian(lambda z: u(z)[0])(x).laplacian}
