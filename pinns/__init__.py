"""Physics-informed neural networks on Flax NNX, trained by any optax optimiser."""

from pinns._checkpoints import Checkpoints
from pinns._embeddings import Chain, FourierFeatures, Normalize, PeriodicEmbedding
from pinns._fit import fit
from pinns._regions import FixedPoints
from pinns._functional import Functional, functional, num_parameters
from pinns._jet import Jet
from pinns._layers import Linear
from pinns._networks import MLP, FourierMLP, PeriodicMLP
from pinns._options import AdaptiveSampling, AdaptiveWeights, Sampling, Stop
from pinns._points import data_key
from pinns._result import FitResult
from pinns._scaling import Scaled, scaled
from pinns._slabs import SlabsResult, fit_in_slabs
from pinns._special_networks import SIREN, ModifiedMLP
from pinns._taylor import biharmonic, derivatives, gradient, hessian, laplacian, second_derivatives
from pinns._threads import limited_blas_threads
from pinns._unknowns import Unknown
from pinns._verdicts import FitWarning
from pinns._evaluation import Errors, errors
from pinns.plotting import plot_history, plot_solution
from pinns.problems import (
    Beam,
    Biharmonic,
    Burgers,
    BurgersInverse,
    Condition,
    Convection,
    FunctionApproximation,
    Helmholtz2D,
    HelmholtzInverse,
    KdVInverse,
    Kovasznay,
    LidDrivenCavity,
    OscillatorInverse,
    PeriodicHelmholtz2D,
    Poisson1D,
    Poisson2D,
    PoissonMultiscale2D,
    PoissonND,
    Problem,
    Reaction,
    Schroedinger,
    SingularlyPerturbedODE,
    Wave,
)
from pinns._regions import Box, Faces, unit_points

__all__ = [
    "MLP",
    "SIREN",
    "AdaptiveSampling",
    "AdaptiveWeights",
    "Beam",
    "Biharmonic",
    "Box",
    "Burgers",
    "BurgersInverse",
    "Chain",
    "Checkpoints",
    "Condition",
    "Convection",
    "Errors",
    "Faces",
    "FitResult",
    "FitWarning",
    "FixedPoints",
    "FourierFeatures",
    "FourierMLP",
    "FunctionApproximation",
    "Functional",
    "Helmholtz2D",
    "HelmholtzInverse",
    "Jet",
    "KdVInverse",
    "Kovasznay",
    "LidDrivenCavity",
    "Linear",
    "ModifiedMLP",
    "Normalize",
    "OscillatorInverse",
    "PeriodicEmbedding",
    "PeriodicHelmholtz2D",
    "PeriodicMLP",
    "Poisson1D",
    "Poisson2D",
    "PoissonMultiscale2D",
    "PoissonND",
    "Problem",
    "Reaction",
    "Sampling",
    "Scaled",
    "Schroedinger",
    "SingularlyPerturbedODE",
    "SlabsResult",
    "Stop",
    "Unknown",
    "Wave",
    "biharmonic",
    "data_key",
    "derivatives",
    "errors",
    "fit",
    "fit_in_slabs",
    "functional",
    "gradient",
    "hessian",
    "laplacian",
    "limited_blas_threads",
    "num_parameters",
    "plot_history",
    "plot_solution",
    "scaled",
    "second_derivatives",
    "unit_points",
]
