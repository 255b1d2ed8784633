"""Physics-informed neural networks on Flax NNX, trained by any optax optimiser."""

from pinns._threads import limited_blas_threads
from pinns.checkpoint import Checkpoints
from pinns.derivatives import Jet, gradient, laplacian, second_derivatives
from pinns.metric import Errors, errors
from pinns.networks import MLP, FourierFeatures, FourierMLP, Linear, ModifiedMLP, PeriodicMLP, num_parameters
from pinns.plotting import plot_history, plot_solution
from pinns.problems import (
    Condition,
    FunctionApproximation,
    Helmholtz2D,
    PeriodicHelmholtz2D,
    Poisson1D,
    Poisson2D,
    Problem,
    SingularlyPerturbedODE,
)
from pinns.sampling import Box, Faces, unit_points
from pinns.training import FitResult, fit

__all__ = [
    "MLP",
    "Box",
    "Checkpoints",
    "Condition",
    "Errors",
    "Faces",
    "FitResult",
    "FourierFeatures",
    "FourierMLP",
    "FunctionApproximation",
    "Helmholtz2D",
    "Jet",
    "Linear",
    "ModifiedMLP",
    "PeriodicHelmholtz2D",
    "PeriodicMLP",
    "Poisson1D",
    "Poisson2D",
    "Problem",
    "SingularlyPerturbedODE",
    "errors",
    "fit",
    "gradient",
    "laplacian",
    "limited_blas_threads",
    "num_parameters",
    "plot_history",
    "plot_solution",
    "second_derivatives",
    "unit_points",
]
