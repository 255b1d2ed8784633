"""The paper's problems, one short class each, and the base class of your own."""

from pinns.problems._approximation import FunctionApproximation
from pinns.problems._base import Condition, NetworkResidual, Points, Problem
from pinns.problems._helmholtz import Helmholtz2D, PeriodicHelmholtz2D
from pinns.problems._ode import SingularlyPerturbedODE
from pinns.problems._poisson import Poisson1D, Poisson2D

__all__ = [
    "Condition",
    "FunctionApproximation",
    "Helmholtz2D",
    "NetworkResidual",
    "PeriodicHelmholtz2D",
    "Points",
    "Poisson1D",
    "Poisson2D",
    "Problem",
    "SingularlyPerturbedODE",
]
