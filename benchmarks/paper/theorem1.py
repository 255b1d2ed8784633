"""Theorem 1: linear convergence of IGD on a wide two-layer network (Eqs. 13 to 18 and 27)."""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._artefact import Artefact, Row
from benchmarks._claims import Claim, number, spread
from benchmarks._experiment import Preset
from benchmarks._files import Table
from benchmarks._steps import take_step
from benchmarks.paper._limit_gram import ACTIVATIONS, limit_gram, required_width, sphere_data
from benchmarks.paper._theorem1_shown import draw, holds, theorem1_claims
from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step

ROUNDING = 1e-12  # of L(n)/L(0): below, changes of W are too small to solve their equation well
WIDEST_BEYOND = 16_384  # of the learning rates that the theorem does not cover: they show their regime before


class DataSet(NamedTuple):
    """Points and values, H^∞ with the error of its entries, and its smallest eigenvalue λ₀."""

    x: jax.Array
    y: jax.Array
    limit: jax.Array
    error: float
    smallest: float


class Trace(NamedTuple):
    """A training, an entry for every step n = 1, 2, ...

    Attributes:
      loss: L(n)/L(0).
      smallest: λ_min(H(n)).
      defect: ‖I₀(n)‖/(α‖y − u(n)‖), what Eq. 27 adds to the linear contraction.
      residual: of the implicit equation, relative.
    """

    loss: jax.Array
    smallest: jax.Array
    defect: jax.Array
    residual: jax.Array


class Theorem1(Artefact):
    """Theorem 1: L(n)/L(0) of IGD on a two-layer network against Eq. 18's bound, width by width."""

    name = "theorem1"
    setting = (
        'N = 3 points on the sphere of d = 20, σ = erf, a_r = ±1 (the theorem\'s "unif" of −1 and 1 may '
        "also be the interval; its H^∞ has no factor 1/3 and so belongs to ±1), 40 steps, C = 1, ten data "
        "sets. At the theorem's α the loss falls to a fifth in these steps."
    )
    axes = ("width", "alpha")
    identity = ("num_points", "dim", "datasets", "steps", "activation", "outer")
    dtype = "float64"

    preset: Preset = "quick"
    """quick: widths to 1,024. paper: to 262,144, which meets the theorem's condition for C = 1."""
    num_points: int = 3
    """N."""
    dim: int = 20
    """d."""
    datasets: int = 10
    """Random data sets and initialisations."""
    widths: tuple[int, ...] = ()
    """m, instead of the preset's."""
    steps: int = 40
    """IGD steps."""
    activation: Literal["erf", "tanh", "softplus"] = "erf"
    """σ. H^∞ of erf is known in closed form; of the others it is estimated by Monte Carlo."""
    outer: Literal["signs", "uniform"] = "signs"
    """a_r = ±1, or uniform on [−1, 1]. The paper's notation allows both; its H^∞ is the limit for ±1."""

    @functools.cached_property
    def _sets(self) -> list[DataSet]:
        """The data sets."""
        found = []
        for seed in range(self.datasets):
            x, y = sphere_data(seed, self.num_points, self.dim)
            limit, error = limit_gram(x, self.activation, jax.random.key(seed))
            found.append(DataSet(x, y, limit, error, float(jnp.linalg.eigvalsh(limit)[0])))
        return found

    @functools.cached_property
    def _compiled(self) -> Any:
        return jax.jit(self._train)

    def head(self) -> Row:
        """The setting, λ₀ and the width that the theorem asks for."""
        smallest = [data.smallest for data in self._sets]
        return {
            "preset": self.preset,
            "lambda_min": smallest,
            "monte_carlo_error": max(data.error for data in self._sets),
            "required_width": [required_width(value, self.num_points) for value in smallest],
        }

    def cells(self) -> list[Row]:
        """Every width at the theorem's bound on α for C = 1 and, up to a width, at two α far beyond it."""
        within = min(data.smallest for data in self._sets) / self.num_points**2
        widths = self.widths or [4**k for k in range(6 if self.preset == "quick" else 10)]
        return [
            {"width": width, "alpha": alpha, "covered": alpha <= within}
            for width in widths
            for alpha in (within, 1.0, 100.0)
            if alpha <= within or width <= WIDEST_BEYOND
        ]

    def measure(self, width: int, alpha: float, covered: bool) -> Row:
        """A training in float64 on every data set."""
        del covered
        runs = []
        for seed, data in enumerate(self._sets):
            found = self._compiled(data.x, data.y, *self._weights(seed, width), jnp.asarray(alpha))
            trace, start = jax.device_get(found)
            runs.append(_measured(trace, start, alpha, data))
        return {"runs": runs}

    def _weights(self, seed: int, width: int) -> tuple[jax.Array, jax.Array]:
        """w_r ~ N(0, I) and a_r."""
        inner, outer = jax.random.split(jax.random.fold_in(jax.random.key(1), seed))
        if self.outer == "signs":
            a = jax.random.rademacher(outer, (width,), dtype=jnp.float64)
        else:
            a = jax.random.uniform(outer, (width,), jnp.float64, minval=-1.0)
        return jax.random.normal(inner, (width, self.dim), jnp.float64), a

    def _train(self, x: Any, y: Any, weights: Any, a: Any, alpha: Any) -> tuple[Trace, dict[str, jax.Array]]:
        """IGD steps (Eq. 15), each solved by Gauss–Newton to 1e-10, or to rounding of W."""
        sigma = ACTIVATIONS[self.activation]
        slope = jax.vmap(jax.vmap(jax.grad(sigma)))
        scale = 1 / jnp.sqrt(a.size)

        def residual(w: Any, point: Any) -> jax.Array:
            return scale * jnp.sum(a * sigma(jnp.matmul(w, point["x"], precision="highest"))) - point["y"]

        loss = LeastSquares(Residual(residual, {"x": x, "y": y}, weight=y.size / 2))  # Eq. 14
        rounding = 1e-13 * jnp.linalg.norm(weights)
        solver = implicit_step(gauss_newton(), alpha, max_inner_steps=20, rtol=1e-10, atol=rounding)

        def gram(w: Any) -> jax.Array:  # Eq. 16
            slopes = scale * slope(jnp.matmul(w, x.T, precision="highest")) * a[:, None]
            return (x @ x.T) * jnp.matmul(slopes.T, slopes, precision="highest")

        errors = lambda w: jax.vmap(residual, (None, 0))(w, {"x": x, "y": y})

        def step(carry: Any, _: None) -> tuple[Any, Trace]:
            ratio = loss(carry[0]) / start["loss"]
            zero = jnp.zeros_like(ratio)
            done = lambda carry: (carry, Trace(ratio, zero, zero, zero))
            return jax.lax.cond(ratio < ROUNDING, done, advance, carry)

        def advance(carry: Any) -> tuple[Any, Trace]:
            (new, state), _ = take_step(solver, loss, carry)
            before, after, h = errors(carry[0]), errors(new), gram(new)
            defect = after + alpha * h @ after - before  # I₀ of Eq. 27
            return (new, state), Trace(
                loss(new) / start["loss"],
                jnp.linalg.eigvalsh(h)[0],
                jnp.linalg.norm(defect) / (alpha * jnp.linalg.norm(after)),
                state.info.residual,
            )

        start = {"loss": loss(weights), "gram": gram(weights)}
        _, trace = jax.lax.scan(step, (weights, solver.init(weights)), length=self.steps)
        return trace, start

    @classmethod
    def data(cls, result: Row) -> Table:
        """Rates per step and how often the bound is kept, for every width and α."""
        columns = {
            "m": lambda row: f"{row['width']:,}",
            "α": lambda row: f"{row['alpha']:.2g}",
            "bound kept": lambda row: f"{sum(map(holds, row['runs']))} of {len(row['runs'])}",
            "rate per step": lambda row: spread(run["rate"] for run in row["runs"]),
            "Eq. 18's rate": lambda row: spread(run["bound"] for run in row["runs"]),
            "least λ_min(H(n))": lambda row: number(min(run["smallest"] for run in row["runs"])),
            "‖I₀‖/α‖y−u‖": lambda row: number(max(run["defect"] for run in row["runs"])),
        }
        return Table.of(result["rows"], columns)

    @classmethod
    def judge(cls, result: Row) -> Iterable[Claim]:
        """Theorem 1 and its lemmas beside what was measured."""
        return theorem1_claims(result)

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Losses beside their bound, and where it is kept."""
        draw(result, folder / f"{cls.name}.png")


def _measured(trace: Trace, start: Any, alpha: float, data: DataSet) -> Row:
    """What is recorded of a training, from the steps before rounding takes over."""
    clear = int(np.argmax(np.append(trace.loss < ROUNDING, True)))
    n = np.arange(1, clear + 1)
    losses = trace.loss[:clear]
    bound = (1 + alpha * data.smallest / 2) ** -n.astype(float)  # Eq. 18
    keep = sorted({round(i) for i in np.geomspace(1, max(1, clear), 12)})
    return {
        "steps": clear,
        "worst": float(np.max(losses / bound)),
        "rate": float(losses[-1] ** (1 / clear)),
        "bound": float(bound[0]),
        "smallest": float(np.min(trace.smallest[:clear])),
        "defect": float(np.max(trace.defect[:clear])),
        "residual": float(np.max(trace.residual[:clear])),
        "distance": float(np.linalg.norm(start["gram"] - data.limit, 2)),
        "curve": [[k, float(f"{losses[k - 1]:.4g}")] for k in keep],
    }
