"""The peers: every optimiser and library under comparison, with the settings that are tried."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import optax

from benchmarks import _libraries, _peers
from benchmarks._optimizers import ADAM, GAUSS_NEWTON, ISGD_ADAM, LBFGS, SGD, isgd_gauss_newton
from isgd_optax import LeastSquares, isgd_adam, switch_after


@dataclasses.dataclass(frozen=True)
class Peer:
    """An optimiser that ``pinns.fit`` runs, or a whole library.

    Args:
      settings: what is tried, by name: functions that give the optimiser for a loss, or that train with the
        library, see ``_libraries``.
      steps: between two looks at the clock; None of a library, with networks, losses and a training loop of
        its own, on the same points.
      package: what must be installed.
      counts_gradients: whether the gradients it evaluates are known.
      most_parameters: what its matrices limit it to.
    """

    settings: Mapping[str, Callable[..., Any]]
    steps: int | None
    package: str = "optax"
    counts_gradients: bool = True
    most_parameters: int | None = None


def peers() -> dict[str, Peer]:
    """All of them, by name."""
    own, wide = "isgd_optax", {"most_parameters": 20_000}
    return {
        GAUSS_NEWTON.name: Peer({"α by itself": lambda loss: isgd_gauss_newton()}, 2, own),
        SGD.name: _rates(optax.sgd, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        ADAM.name: _rates(optax.adam, 1e-2, 3e-3, 1e-3, 3e-4),
        "adamw, decay": _rates(_decaying_adamw, 1e-2, 3e-3, 1e-3),
        "muon": _rates(optax.contrib.muon, 1e-2, 3e-3, 1e-3),
        LBFGS.name: Peer(_tried("memory {}", lambda m, loss: optax.lbfgs(memory_size=m), (10,), (50,)), 50),
        "adam, then lbfgs": Peer(
            _tried("{} steps, η = {:g}", _adam_then_lbfgs, (500, 3e-3), (2000, 3e-3), (2000, 1e-3)), 50
        ),
        ISGD_ADAM.name: Peer(_tried("α = {:g}, η = {:g}", _algorithm_1, (0.5, 1e-3), (0.1, 3e-3)), 20, own),
        "optimistix LM (LSMR)": _solver(
            "optimistix", "rtol {:g}", _peers.optimistix_levenberg_marquardt, (1e-3,), (1e-6,)
        ),
        "optimistix BFGS": _solver("optimistix", "defaults", _peers.optimistix_bfgs, (), steps=5, **wide),
        "SSBroyden": _solver("ssbroyden_optimistix", "defaults", _peers.ssbroyden, (), steps=5, **wide),
        "nlls_gram LM": _solver(
            "nlls_gram", "damping {:g}", _peers.nlls_gram_levenberg_marquardt, (1e-3,), (1.0,)
        ),
        "randngd": _solver(
            "randngd",
            "{}, {}",
            _peers.randngd_natural_gradient,
            *(("cholesky", "eigenvalue"), ("cholesky", "gain ratio"), ("nystrom", "eigenvalue")),
            **wide,
        ),
        "jaxopt LM": _solver(
            "jaxopt",
            "damping {:g}, geodesic {}",
            _peers.jaxopt_levenberg_marquardt,
            *((1e-6, False), (1e-2, False), (1e-2, True)),
        ),
        "somax dual GN": _solver(
            "somax",
            "{} {:g}",
            _peers.somax_gauss_newton,
            *(("trust_region", 1.0), ("trust_region", 1e-3), ("const", 1e-3)),
        ),
        "DeepXDE, adam": _library("deepxde", _libraries.deepxde, 1e-2, 3e-3, 1e-3),
        "jinns, adam": _library("jinns", partial(_libraries.jinns, optimizer=ADAM.name), 1e-2, 3e-3, 1e-3),
        "jinns, natural gradient": _library(
            "jinns", partial(_libraries.jinns, optimizer="vanilla_ngd"), 1.0, 1e-1, **wide
        ),
    }


def _tried(text: str, make: Callable[..., Any], *settings: tuple[Any, ...]) -> dict[str, Callable[..., Any]]:
    """``make(*setting, loss)`` by the text of each setting."""
    return {text.format(*setting): partial(make, *setting) for setting in settings}


def _rates(make: Callable[[float], Any], *rates: float) -> Peer:
    """An optimiser of optax, with several learning rates."""
    return Peer(_tried("η = {:g}", lambda rate, loss: make(rate), *((rate,) for rate in rates)), 200)


def _solver(
    package: str, text: str, make: Callable[..., Any], *settings: Any, steps: int = 1, **limit: Any
) -> Peer:
    """A least-squares solver of another library, see :func:`_tried`."""
    return Peer(_tried(text, make, *settings), steps, package, counts_gradients=False, **limit)


def _library(package: str, train: Callable[..., Any], *rates: float, **limit: Any) -> Peer:
    """A whole library, with several learning rates."""
    settings = {f"η = {rate:g}": partial(train, learning_rate=rate) for rate in rates}
    return Peer(settings, None, package, **limit)


def _decaying_adamw(rate: float) -> optax.GradientTransformation:
    """AdamW with the schedule that PINN codes use, × 0.9 every 2,000 steps."""
    return optax.adamw(optax.exponential_decay(rate, 2000, 0.9))


def _adam_then_lbfgs(num_steps: int, rate: float, loss: LeastSquares) -> optax.GradientTransformation:
    del loss
    return switch_after(num_steps, optax.adam(rate), optax.lbfgs(memory_size=50))


def _algorithm_1(alpha: float, rate: float, loss: LeastSquares) -> optax.GradientTransformation:
    del loss
    return isgd_adam(
        alpha,
        num_implicit_steps=20,
        num_inner_steps=100,
        inner_learning_rate=rate,
        outer_learning_rate=rate,
        safeguard=False,
    )
