"""Theorem 1: linear convergence of IGD on a wide two-layer network (Eqs. 13 to 18 and 27)."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from benchmarks._environment import command, environment
from benchmarks._experiments import Preset
from benchmarks._files import Table, stored_result, write_rows
from benchmarks.paper._claims import Claim, number, spread
from benchmarks.paper._theorem1_claims import holds, theorem1_claims
from isgd_optax import ImplicitStepState, LeastSquares, Residual, gauss_newton, implicit_step

ACTIVATIONS = {"erf": jax.scipy.special.erf, "tanh": jnp.tanh, "softplus": jax.nn.softplus}
ROUNDING = 1e-12  # of L(n)/L(0): below, changes of W are too small to solve their equation well
SAMPLES = 1_000_000
WIDEST_BEYOND = 16_384  # of the learning rates that the theorem does not cover: they show their regime before
_SETTINGS = ("num_points", "dim", "datasets", "steps", "activation", "outer")


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Theorem1:
    """Theorem 1: L(n)/L(0) of IGD on a two-layer network against Eq. 18's bound, width by width."""

    name: ClassVar[str] = "theorem1"
    setting: ClassVar[str] = (
        'N = 3 points on the sphere of d = 20, σ = erf, a_r = ±1 (the theorem\'s "unif" of −1 and 1 may '
        "also be the interval; its H^∞ has no factor 1/3 and so belongs to ±1), 40 steps, C = 1, ten data "
        "sets. At the theorem's α the loss falls to a fifth in these steps."
    )

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
    out: Path | None = None
    """Folder of theorem1.json and theorem1.png; by default runs/theorem1-PRESET."""

    def run(self) -> dict[str, Any]:
        """Measures in float64; a row for every width and learning rate."""
        jax.config.update("jax_enable_x64", True)
        folder = self.out or Path("runs") / f"theorem1-{self.preset}"
        widths = self.widths or [4**k for k in range(6 if self.preset == "quick" else 10)]
        data = [_data(seed, self.num_points, self.dim) for seed in range(self.datasets)]
        limits = [limit_gram(x, self.activation, jax.random.key(i)) for i, (x, _) in enumerate(data)]
        smallest = [float(jnp.linalg.eigvalsh(h)[0]) for h, _ in limits]
        # The theorem's own bound on α for C = 1, and two learning rates far beyond it.
        within = min(smallest) / self.num_points**2
        train = jax.jit(self._train)
        head = {
            "command": command(),
            "preset": self.preset,
            **{k: getattr(self, k) for k in _SETTINGS},
            "lambda_min": smallest,
            "monte_carlo_error": max(error for _, error in limits),
            "required_width": [_required_width(value, self.num_points) for value in smallest],
            **environment(),
        }
        path = folder / "theorem1.json"
        stored = stored_result(path, **{k: head[k] for k in _SETTINGS}).get("rows", [])
        rows: list[dict[str, Any]] = []
        for width in widths:
            for alpha in (within, 1.0, 100.0):
                if alpha > within and width > WIDEST_BEYOND:
                    continue
                row = next((r for r in stored if (r["width"], r["alpha"]) == (width, alpha)), None)
                if row is None:
                    runs = []
                    for seed, (x, y) in enumerate(data):
                        weights, a = self._weights(seed, width)
                        trace, start = jax.device_get(train(x, y, weights, a, jnp.asarray(alpha)))
                        runs.append(self._measured(trace, start, alpha, smallest[seed], limits[seed][0]))
                    row = {"width": width, "alpha": alpha, "covered": alpha <= within, "runs": runs}
                rows.append(row)
                write_rows(path, {**head, "rows": rows})
        result = {**head, "rows": rows}
        draw(result, folder / "theorem1.png")
        print(self.data(result))
        print(f"results in {folder}")
        return result

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
            w, state = carry
            value, grad = jax.value_and_grad(loss)(w)
            updates, state = solver.update(grad, state, w, value=value, value_fn=loss)
            new = w + updates
            before, after, h = errors(w), errors(new), gram(new)
            defect = after + alpha * h @ after - before  # I₀ of Eq. 27
            assert isinstance(state, ImplicitStepState)
            return (new, state), Trace(
                loss(new) / start["loss"],
                jnp.linalg.eigvalsh(h)[0],
                jnp.linalg.norm(defect) / (alpha * jnp.linalg.norm(after)),
                state.info.residual,
            )

        start = {"loss": loss(weights), "gram": gram(weights)}
        _, trace = jax.lax.scan(step, (weights, solver.init(weights)), length=self.steps)
        return trace, start

    def _measured(
        self, trace: Trace, start: Any, alpha: float, smallest: float, limit: jax.Array
    ) -> dict[str, Any]:
        """What is recorded of a training, from the steps before rounding takes over."""
        clear = int(np.argmax(np.append(trace.loss < ROUNDING, True)))
        n = np.arange(1, clear + 1)
        losses = trace.loss[:clear]
        bound = (1 + alpha * smallest / 2) ** -n.astype(float)  # Eq. 18
        keep = sorted({round(i) for i in np.geomspace(1, max(1, clear), 12)})
        return {
            "steps": clear,
            "worst": float(np.max(losses / bound)),
            "rate": float(losses[-1] ** (1 / clear)),
            "bound": float(bound[0]),
            "smallest": float(np.min(trace.smallest[:clear])),
            "defect": float(np.max(trace.defect[:clear])),
            "residual": float(np.max(trace.residual[:clear])),
            "distance": float(np.linalg.norm(start["gram"] - limit, 2)),
            "curve": [[k, float(f"{losses[k - 1]:.4g}")] for k in keep],
        }

    @staticmethod
    def data(result: dict[str, Any]) -> Table:
        """Rates per step and how often the bound is kept, for every width and α."""
        header = [
            "m",
            "α",
            "bound kept",
            "rate per step",
            "Eq. 18's rate",
            "least λ_min(H(n))",
            "‖I₀‖/α‖y−u‖",
        ]
        lines = [
            [
                f"{row['width']:,}",
                f"{row['alpha']:.2g}",
                f"{sum(map(holds, row['runs']))} of {len(row['runs'])}",
                spread(run["rate"] for run in row["runs"]),
                spread(run["bound"] for run in row["runs"]),
                number(min(run["smallest"] for run in row["runs"])),
                number(max(run["defect"] for run in row["runs"])),
            ]
            for row in result["rows"]
        ]
        return Table(header, lines)

    @staticmethod
    def claims(result: dict[str, Any]) -> list[Claim]:
        """Theorem 1 and its lemmas beside what was measured."""
        return theorem1_claims(result)


def _data(seed: int, num_points: int, dim: int) -> tuple[jax.Array, jax.Array]:
    """Points on the unit sphere, no two of them parallel, and values in [−1, 1]."""
    points, values = jax.random.split(jax.random.fold_in(jax.random.key(0), seed))
    x = jax.random.normal(points, (num_points, dim), jnp.float64)
    x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    return x, jax.random.uniform(values, (num_points,), jnp.float64, minval=-1.0)


def limit_gram(x: jax.Array, activation: str, key: jax.Array) -> tuple[jax.Array, float]:
    r"""H^∞ (Eq. 17) and the largest standard error of its entries, 0 in closed form.

    For σ = erf, whose slope is a Gaussian,
    E σ'(wᵀx)σ'(wᵀz) = (4/π)/√((1 + 2|x|²)(1 + 2|z|²) − 4(xᵀz)²).
    """
    products = x @ x.T
    if activation == "erf":
        squares = 1 + 2 * jnp.diagonal(products)
        mean = 4 / jnp.pi / jnp.sqrt(squares[:, None] * squares[None] - 4 * products**2)
        return products * mean, 0.0
    slope = jax.vmap(jax.vmap(jax.grad(ACTIVATIONS[activation])))
    slopes = slope(jax.random.normal(key, (SAMPLES, x.shape[1]), x.dtype) @ x.T)
    mean, square = slopes.T @ slopes / SAMPLES, (slopes**2).T @ slopes**2 / SAMPLES
    error = jnp.abs(products) * jnp.sqrt((square - mean**2) / SAMPLES)
    return products * mean, float(jnp.max(error))


def _required_width(smallest: float, num_points: int, delta: float = 0.1) -> float:
    """The theorem's m for C = 1, max{16N²/λ² log(2N/δ), 16N⁴/λ⁴}."""
    first = 16 * num_points**2 / smallest**2 * np.log(2 * num_points / delta)
    return float(max(first, 16 * num_points**4 / smallest**4))


def draw(result: dict[str, Any], path: Path) -> None:
    """L(n)/L(0) of the first data set for every width, a panel for each α, and where the bound is kept."""
    rows, smallest = result["rows"], result["lambda_min"]
    alphas = sorted({row["alpha"] for row in rows})
    figure, axes = plt.subplots(
        1, len(alphas) + 1, figsize=(3.7 * (len(alphas) + 1), 3.8), layout="constrained"
    )
    colors = plt.get_cmap("viridis")
    widths = sorted({row["width"] for row in rows})
    for axis, alpha in zip(axes, alphas, strict=False):
        for row in rows:
            if row["alpha"] == alpha:
                color = colors(widths.index(row["width"]) / len(widths))
                axis.semilogy(
                    *zip(*row["runs"][0]["curve"], strict=True), color=color, label=f"m = {row['width']:,}"
                )
        low, high = axis.get_ylim()
        n = np.arange(result["steps"] + 1)
        bound = (1 + alpha * smallest[0] / 2) ** -n.astype(float)
        axis.semilogy(n[bound > low], bound[bound > low], color="black", ls="--", label="Eq. 18")
        axis.set(title=f"α = {alpha:.2g}", xlabel="n", ylim=(low, high))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("L(n)/L(0), first data set")
    axes[0].legend(fontsize=7)
    for alpha in alphas:
        series = [
            (row["width"], max(r["worst"] for r in row["runs"])) for row in rows if row["alpha"] == alpha
        ]
        axes[-1].loglog(*zip(*series, strict=True), "o-", label=f"α = {alpha:.2g}")
    axes[-1].axhline(1, color="black", ls="--", lw=0.8)
    axes[-1].set(xlabel="width m", title="largest L(n)/bound, all data sets")
    axes[-1].grid(alpha=0.3)
    axes[-1].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
