"""The paper's and the field's problems, one short class each, and the base class of your own."""

from pinns.problems._approximation import FunctionApproximation
from pinns.problems._base import NetworkResidual, Points, Problem
from pinns.problems._beams import Beam, Biharmonic
from pinns.problems._burgers import Burgers, BurgersInverse
from pinns.problems._condition import Condition
from pinns.problems._evolution import AllenCahn, KdV, KuramotoSivashinsky
from pinns.problems._flow import Kovasznay, LidDrivenCavity
from pinns.problems._helmholtz import Helmholtz2D, PeriodicHelmholtz2D
from pinns.problems._lorenz import LorenzInverse
from pinns.problems._ode import SingularlyPerturbedODE
from pinns.problems._poisson import Poisson1D, Poisson2D
from pinns.problems._poisson_field import PoissonMultiscale2D, PoissonND
from pinns.problems._schroedinger import Schroedinger
from pinns.problems._stiff import Robertson, VanDerPol
from pinns.problems._transport import Convection, Reaction, Wave
from pinns.problems._unknown_coefficients import HelmholtzInverse, KdVInverse, OscillatorInverse

__all__ = [
    "AllenCahn",
    "Beam",
    "Biharmonic",
    "Burgers",
    "BurgersInverse",
    "Condition",
    "Convection",
    "FunctionApproximation",
    "Helmholtz2D",
    "HelmholtzInverse",
    "KdV",
    "KdVInverse",
    "Kovasznay",
    "KuramotoSivashinsky",
    "LidDrivenCavity",
    "LorenzInverse",
    "NetworkResidual",
    "OscillatorInverse",
    "PeriodicHelmholtz2D",
    "Points",
    "Poisson1D",
    "Poisson2D",
    "PoissonMultiscale2D",
    "PoissonND",
    "Problem",
    "Reaction",
    "Robertson",
    "Schroedinger",
    "SingularlyPerturbedODE",
    "VanDerPol",
    "Wave",
]
