"""The peers: every optimiser and library under comparison, with the settings that are tried."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optax

import pinns
from benchmarks import _libraries, _peers
from benchmarks._libraries import Curve
from benchmarks._optimizers import isgd_gauss_newton
from isgd_optax import LeastSquares, isgd_adam, switch_after

Make = Callable[[LeastSquares], optax.GradientTransformation]
Points = dict[str, np.ndarray]
Library = Callable[[pinns.Problem, tuple[int, ...], Points, float, int], Curve]


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An optimiser that ``pinns.fit`` runs.

    Args:
      settings: what is tried, by name.
      steps: between two looks at the clock.
      package: what must be installed.
      counts_gradients: whether the gradients it evaluates are known.
      most_parameters: what its matrices limit it to.
    """

    settings: Mapping[str, Make]
    steps: int
    package: str = "optax"
    counts_gradients: bool = True
    most_parameters: int | None = None


@dataclasses.dataclass(frozen=True)
class WholeLibrary:
    """A library with networks, losses and a training loop of its own, on the same points.

    Args:
      settings: what is tried, by name: ``run(problem, hidden, points, seconds, seed)``.
      package: what must be installed.
      most_parameters: what its matrices limit it to.
    """

    settings: Mapping[str, Library]
    package: str
    most_parameters: int | None = None


def peers() -> dict[str, Optimizer | WholeLibrary]:
    """All of them, by name."""
    plain = lambda make, *rates: {f"η = {r:g}": lambda loss, r=r: make(r) for r in rates}
    return {
        "isgd-gn": Optimizer({"α by itself": lambda loss: isgd_gauss_newton()}, 10, "isgd_optax"),
        "sgd": Optimizer(plain(optax.sgd, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6), 200),
        "adam": Optimizer(plain(optax.adam, 1e-2, 3e-3, 1e-3, 3e-4), 200),
        "adamw, decay": Optimizer(plain(_decaying_adamw, 1e-2, 3e-3, 1e-3), 200),
        "lbfgs": Optimizer(
            {f"memory {m}": lambda loss, m=m: optax.lbfgs(memory_size=m) for m in (10, 50)}, 50
        ),
        "adam, then lbfgs": Optimizer(
            {
                f"{n} steps, η = {r:g}": _adam_then_lbfgs(n, r)
                for n, r in ((500, 3e-3), (2000, 3e-3), (2000, 1e-3))
            },
            50,
        ),
        "isgd-adam": Optimizer(
            {f"α = {a:g}, η = {r:g}": _algorithm_1(a, r) for a, r in ((0.5, 1e-3), (0.1, 3e-3))},
            20,
            "isgd_optax",
        ),
        "optimistix LM (LSMR)": Optimizer(
            {
                f"rtol {t:g}": lambda loss, t=t: _peers.optimistix_levenberg_marquardt(loss, rtol=t)
                for t in (1e-3, 1e-6)
            },
            1,
            "optimistix",
            counts_gradients=False,
        ),
        "optimistix BFGS": Optimizer(
            {"defaults": _peers.optimistix_bfgs},
            5,
            "optimistix",
            counts_gradients=False,
            most_parameters=20_000,
        ),
        "jaxopt LM": Optimizer(
            {
                f"damping {d:g}, geodesic {g}": lambda loss, d=d, g=g: _peers.jaxopt_levenberg_marquardt(
                    loss, damping=d, geodesic=g
                )
                for d, g in ((1e-6, False), (1e-2, False), (1e-2, True))
            },
            1,
            "jaxopt",
            counts_gradients=False,
        ),
        "somax dual GN": Optimizer(
            {
                f"{p} {d:g}": lambda loss, p=p, d=d: _peers.somax_gauss_newton(loss, policy=p, damping=d)
                for p, d in (("trust_region", 1.0), ("trust_region", 1e-3), ("const", 1e-3))
            },
            1,
            "somax",
            counts_gradients=False,
        ),
        "DeepXDE, adam": WholeLibrary(
            {f"η = {r:g}": _run(_libraries.deepxde, learning_rate=r) for r in (1e-2, 3e-3, 1e-3)}, "deepxde"
        ),
        "jinns, adam": WholeLibrary(
            {
                f"η = {r:g}": _run(_libraries.jinns, optimizer="adam", learning_rate=r)
                for r in (1e-2, 3e-3, 1e-3)
            },
            "jinns",
        ),
        "jinns, natural gradient": WholeLibrary(
            {
                f"η = {r:g}": _run(_libraries.jinns, optimizer="vanilla_ngd", learning_rate=r)
                for r in (1.0, 1e-1)
            },
            "jinns",
            most_parameters=20_000,
        ),
    }


def _run(function: Callable[..., Curve], **options: Any) -> Library:
    return lambda problem, hidden, points, seconds, seed: function(
        problem, hidden, points, seconds=seconds, seed=seed, **options
    )


def _decaying_adamw(rate: float) -> optax.GradientTransformation:
    """AdamW with the schedule that PINN codes use, × 0.9 every 2,000 steps."""
    return optax.adamw(optax.exponential_decay(rate, 2000, 0.9))


def _adam_then_lbfgs(num_steps: int, rate: float) -> Make:
    return lambda loss: switch_after(num_steps, optax.adam(rate), optax.lbfgs(memory_size=50))


def _algorithm_1(alpha: float, rate: float) -> Make:
    return lambda loss: isgd_adam(
        alpha,
        num_implicit_steps=20,
        num_inner_steps=100,
        inner_learning_rate=rate,
        outer_learning_rate=rate,
        safeguard=False,
    )
