"""Loss and gradient with forward-propagated derivatives against nested autodiff."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import pinns
from benchmarks._artefact import Artefact, Row, grid
from benchmarks._files import Table
from benchmarks._timing import STATISTICS, paired, ratio, shown

Operator = Callable[[Any, jax.Array], jax.Array]
OURS = "pinns"


class Derivatives(Artefact):
    """Time of loss and gradient with our Laplacian, u_xy and u_xxxx against that with nested autodiff."""

    name = "derivatives"
    axes = ("derivative",)
    identity = ("points", "width", "repeats")

    repeats: int = 7
    """Rounds of timings."""
    points: int = 4400
    """Collocation points."""
    width: int = 100
    """Width of the 6 hidden layers."""

    def cells(self) -> list[Row]:
        """The derivatives."""
        return grid(derivative=_operators())

    def measure(self, derivative: str) -> Row:
        """Times of each way, with a 6-layer tanh network in two dimensions, float32."""
        graphdef, params = nnx.split(pinns.MLP(2, [self.width] * 6, 1, rngs=nnx.Rngs(0)))
        points = jax.random.uniform(pinns.data_key(jax.random.key(0)), (self.points, 2))

        def loss_and_grad(operator: Operator) -> Callable[[], Any]:
            def loss(params):
                u = nnx.merge(graphdef, params)
                return jnp.mean(jnp.square(jax.vmap(lambda x: operator(u, x))(points) + 1.0))

            compiled = jax.jit(jax.value_and_grad(loss))
            return lambda: compiled(params)

        ways = {name: loss_and_grad(operator) for name, operator in _operators()[derivative].items()}
        seconds = paired(ways, self.repeats)
        return {
            "seconds": {name: values.tolist() for name, values in seconds.items()},
            "ratio_to_ours": {name: ratio(values, seconds[OURS]) for name, values in seconds.items()},
        }

    @classmethod
    def data(cls, result: Row) -> Table:
        """Times over ours."""
        ratios = [
            (row["derivative"], name, r) for row in result["rows"] for name, r in row["ratio_to_ours"].items()
        ]
        header = ["derivative", "loss and gradient, time over ours", *STATISTICS]
        return Table(header, [[derivative, name, *shown(r)] for derivative, name, r in ratios])


def _operators() -> dict[str, dict[str, Operator]]:
    """The derivatives and the ways to each, ours first."""
    return {
        "Δu": {
            OURS: lambda u, x: pinns.laplacian(u, x)[2][0],
            **_folx(),
            "trace(jax.hessian)": lambda u, x: jnp.trace(jax.hessian(lambda z: u(z)[0])(x)),
            "jvp of jvp": lambda u, x: jnp.sum(jax.vmap(lambda e: _nested(u, x, e, e))(jnp.eye(2))),
        },
        "u_xy": {
            OURS: lambda u, x: pinns.mixed_derivative(u, x)[2][0],
            "jax.hessian": lambda u, x: jax.hessian(lambda z: u(z)[0])(x)[0, 1],
            "jvp of jvp": lambda u, x: _nested(u, x, *jnp.eye(2)),
        },
        "u_xxxx": {
            OURS: lambda u, x: pinns.derivatives(u, x, order=4, directions=(0,))[4][0, 0],
            "grad of grad of …": _fourth,
            "jvp of jvp of …": lambda u, x: _nested(u, x, *[jnp.eye(2)[0]] * 4),
        },
    }


def _nested(u: Callable[[jax.Array], jax.Array], x: jax.Array, *directions: jax.Array) -> jax.Array:
    """The derivative along each direction in turn, by forward mode within forward mode."""
    along = u
    for v in directions:
        along = lambda z, f=along, v=v: jax.jvp(f, (z,), (v,))[1]
    return along(x)[0]


def _fourth(u: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """u_xxxx as users write it, by a gradient of gradients along one coordinate."""
    along = lambda t: u(x.at[0].set(t))[0]
    for _ in range(4):
        along = jax.grad(along)
    return along(x[0])


def _folx() -> dict[str, Operator]:
    """Its Laplacian, by its name; nothing where it is not installed, as with the extra `benchmarks` alone."""
    try:
        import folx
    except ModuleNotFoundError:
        print("folx is not installed and left out: pip install -e '.[peers]'")
        return {}
    return {"folx": lambda u, x: folx.forward_laplacian(lambda z: u(z)[0])(x).laplacian}
