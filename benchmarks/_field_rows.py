"""The table of the field's problems: problem, network, points and seconds of each."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import pinns
from benchmarks._experiment import Slabs

_ADAPTIVE = pinns.AdaptiveSampling(every=10, pool=10)
_OFTEN = dataclasses.replace(_ADAPTIVE, every=3)


@dataclasses.dataclass(frozen=True)
class Row:
    """A problem, a network and how it is sampled.

    Args:
      title: One line for the list of experiments.
      problem: Gives the problem.
      hidden: Widths of the hidden layers.
      outputs: The number of outputs.
      seconds: Seconds of training.
      sampling: How points are drawn.
      embedding: Gives the embedding of coordinates of a dtype, or None.
      goal: The relative error that is to be reached within the seconds, of every output, or None.
      scaled: Whether inputs, outputs and residuals are brought to size one.
      slabs: Slabs of time, or None; they then end the training.
      evaluate_every: Gauss–Newton steps between two evaluations.
      momentum: The shift of Gauss–Newton's centre, of use with fresh points.
      network: The class of the network.
      dtype: The dtype of the parameters; matrices are factored in float64 in any case.
      weights: Weights of conditions that follow the training.
      max_corrections: The most corrections of a step for the curvature of the residuals.
    """

    title: str
    problem: Callable[[], pinns.Problem]
    hidden: tuple[int, ...]
    outputs: int = 1
    seconds: float = 120.0
    sampling: Any = _ADAPTIVE
    embedding: Callable[[Any], Any] | None = None
    goal: float | None = None
    scaled: bool = False
    slabs: Slabs | None = None
    evaluate_every: int = 10
    momentum: float | None = None
    network: Callable[..., nnx.Module] = pinns.MLP
    dtype: str = "float64"
    weights: pinns.AdaptiveWeights | None = None
    max_corrections: int = 10

    def model(self, seed: int) -> nnx.Module:
        """The network, initialised from the seed."""
        dtype = jnp.dtype(self.dtype)
        options = {"embedding": self.embedding and self.embedding(dtype), "dtype": dtype}
        return self.network(
            self.problem().domain.dim, self.hidden, self.outputs, rngs=nnx.Rngs(seed), **options
        )

    def fit(self, optimizer: Any, seed: int, *, seconds: float, **options: Any) -> pinns.FitResult:
        """The network of a seed, trained on points of that seed for so many seconds by any optimiser."""
        problem, model, key = self.problem(), self.model(seed), jax.random.key(seed)
        return pinns.fit(
            pinns.scaled(problem, model, key) if self.scaled else problem,
            model,
            optimizer,
            num_steps=10_000_000,
            key=key,
            sampling=self.sampling,
            weights=self.weights,
            stop=pinns.Stop(seconds=seconds),
            **options,
        )


_fresh = partial(Row, sampling=_OFTEN, momentum=0.5)
_SOBOL = "sobol"
_FRESH_SOBOL = pinns.Sampling(method=_SOBOL, resample_every=10)
ROWS = {
    "burgers": _fresh(
        "Burgers' equation, ν = 0.01/π",
        partial(pinns.Burgers, num_points=3600, num_initial_points=250),
        (20,) * 4,
        goal=1e-06,
    ),
    "kovasznay": Row(
        "Kovasznay's flow, Re = 20",
        partial(pinns.Kovasznay, num_points=1900),
        (28,) * 3,
        outputs=3,
        sampling=_SOBOL,
        goal=1e-07,
        momentum=0.5,
    ),
    "schroedinger": Row(
        "breather of the Schrödinger equation", pinns.Schroedinger, (24,) * 4, 2, 300.0, goal=1e-05
    ),
    "wave": Row(
        "wave equation with two modes",
        partial(pinns.Wave, num_points=1200, num_boundary_points=300, num_initial_points=150),
        (20,) * 3,
        seconds=300.0,
        goal=1e-04,
        momentum=0.5,
    ),
    "convection": _fresh(
        "convection at β = 40",
        partial(pinns.Convection, num_points=1200, num_boundary_points=300, num_initial_points=200),
        (16,) * 4,
        goal=1e-05,
    ),
    "reaction": Row("reaction at ρ = 5", pinns.Reaction, (20,) * 3),
    "allen_cahn": _fresh(
        "Allen–Cahn equation, smooth",
        partial(pinns.AllenCahn, num_points=2800, num_initial_points=250),
        (20,) * 4,
        seconds=600.0,
        goal=1e-04,
    ),
    "kdv": _fresh(
        "Korteweg–de Vries equation",
        partial(pinns.KdV, num_points=2500),
        (20,) * 3,
        seconds=600.0,
        goal=1e-03,
    ),
    "cavity": _fresh(
        "lid-driven cavity, Re = 100, regularised",
        partial(pinns.LidDrivenCavity, num_points=1000, num_boundary_points=300),
        (16,) * 4,
        3,
        600.0,
        goal=1e-04,
    ),
    "poisson_nd": Row(
        "Poisson's equation in 5-D",
        pinns.PoissonND,
        (20,) * 2,
        seconds=600.0,
        sampling=_FRESH_SOBOL,
        goal=1e-06,
        momentum=0.5,
    ),
    # A grid's sums are integrals of periodic functions: fast oscillations do not pass for slow ones.
    "helmholtz_periodic": Row(
        "Helmholtz' equation, periodic",
        partial(pinns.PeriodicHelmholtz2D, 1.0, num_points=45**2),
        (30,) * 4,
        seconds=250.0,
        sampling="grid",
        embedding=lambda dtype: pinns.PeriodicEmbedding((2.0, 2.0), dtype=dtype),
        goal=2e-09,
        evaluate_every=4,
    ),
    "poisson_multiscale": Row(
        "Poisson's equation, four scales", pinns.PoissonMultiscale2D, (32,) * 3, seconds=300.0
    ),
    "beam": Row("clamped beam, fourth derivatives", pinns.Beam, (30,) * 3, 1, 20.0, _SOBOL, goal=1e-08),
    "biharmonic": Row("clamped plate", pinns.Biharmonic, (20,) * 3, 1, 120.0),
    "robertson": Row(
        "Robertson's kinetics to t = 1e5", pinns.Robertson, (30,) * 2, 3, 120.0, _SOBOL, goal=1e-05
    ),
    "van_der_pol": Row(
        "Van der Pol's oscillator, μ = 10",
        partial(pinns.VanDerPol, num_points=150),
        (20,) * 2,
        2,
        120.0,
        dataclasses.replace(_FRESH_SOBOL, resample_every=5),
        scaled=True,
        slabs=Slabs(number=40, fresh_loss=1e-15, seconds=5.0),
        goal=1e-06,
    ),
    "burgers_inverse": Row("Burgers' two coefficients", pinns.BurgersInverse, (20,) * 4, 1, 60.0),
    "kdv_inverse": Row("KdV's three coefficients", pinns.KdVInverse, (16,) * 2, 1, 60.0, _SOBOL, goal=1e-06),
    "oscillator_inverse": Row(
        "the oscillator's two",
        pinns.OscillatorInverse,
        (30,) * 2,
        1,
        60.0,
        _SOBOL,
        goal=1e-06,
        evaluate_every=50,
    ),
    "lorenz_inverse": Row(
        "Lorenz' three coefficients", pinns.LorenzInverse, (24,) * 2, 3, 60.0, _SOBOL, goal=1e-06
    ),
    "helmholtz_inverse": Row("Helmholtz' coefficient", pinns.HelmholtzInverse, (24,) * 3, 1, 60.0, _SOBOL),
}


def _large(name: str, hidden: tuple[int, ...], seconds: float, points: tuple[int, ...]) -> Row:
    """The row ``name`` with the network, the seconds and the points (inside, boundary, initial) of a GPU."""
    row = ROWS[name]
    kinds = ("num_points", "num_boundary_points", "num_initial_points")
    problem = partial(getattr(row.problem, "func", row.problem), **dict(zip(kinds, points, strict=False)))
    return dataclasses.replace(row, problem=problem, hidden=hidden, seconds=seconds, goal=None, momentum=0.5)


GPU_ROWS = {
    "burgers": _large("burgers", (30,) * 4, 150.0, (8000, 300, 500)),
    "kovasznay": _large("kovasznay", (40,) * 3, 110.0, (3500, 700)),
    "schroedinger": _large("schroedinger", (30,) * 4, 150.0, (4000, 300, 500)),
    "wave": _large("wave", (30,) * 4, 80.0, (8000, 1200, 600)),
    "convection": _large("convection", (30,) * 4, 100.0, (8000, 1200, 600)),
    "allen_cahn": _large("allen_cahn", (40,) * 4, 270.0, (12000, 300, 600)),
    "kdv": _large("kdv", (40,) * 4, 290.0, (12000, 300, 600)),
    "cavity": _large("cavity", (30,) * 4, 170.0, (3000, 600)),
    "poisson_nd": _large("poisson_nd", (50,) * 2, 80.0, (5000, 3000)),
    "poisson_multiscale": _large("poisson_multiscale", (50,) * 4, 150.0, (16000, 2000)),
}
