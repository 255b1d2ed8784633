"""Physics-informed neural networks on Flax NNX, trained by any optax optimiser."""

from pinns import samplers
from pinns._chain import Chain
from pinns._checkpoints import Checkpoints
from pinns._embeddings import FourierFeatures, Normalize, PeriodicEmbedding
from pinns._evaluation import (
    Errors,
    axis_names,
    errors,
    errors_by_output,
    evaluation_points,
    exact_values,
    output_names,
    predict,
)
from pinns._fit import fit
from pinns._functional import Functional, functional, num_parameters
from pinns._interpolated import Interpolated
from pinns._jet import Jet
from pinns._layers import Linear
from pinns._live import LivePlot
from pinns._networks import MLP, FourierMLP, PeriodicMLP
from pinns._operators import biharmonic, hessian, laplacian, mixed_derivative
from pinns._options import Stop
from pinns._plots import plot_history, plot_solution
from pinns._points import data_key
from pinns._regions import (
    Ball,
    Boundary,
    Box,
    Difference,
    Domain,
    Edges,
    Faces,
    FixedPoints,
    Polygon,
    Region,
    SpaceTime,
    Sphere,
)
from pinns._result import FitResult
from pinns._samplers import Sampler, unit_points
from pinns._sampling import AdaptiveSampling, Sampling
from pinns._scaling import Scaled, scaled
from pinns._slabs import fit_in_slabs
from pinns._slabs_result import SlabsResult
from pinns._special_networks import SIREN, ModifiedMLP
from pinns._taylor import derivatives, gradient, second_derivatives
from pinns._threads import limited_blas_threads
from pinns._unknowns import Unknown
from pinns._warnings import FitWarning
from pinns._weights import AdaptiveWeights
from pinns.problems import (
    AllenCahn,
    Beam,
    Biharmonic,
    Burgers,
    BurgersInverse,
    Condition,
    Convection,
    FunctionApproximation,
    Helmholtz2D,
    HelmholtzInverse,
    KdV,
    KdVInverse,
    Kovasznay,
    KuramotoSivashinsky,
    LidDrivenCavity,
    LorenzInverse,
    OscillatorInverse,
    PeriodicHelmholtz2D,
    Poisson1D,
    Poisson2D,
    PoissonMultiscale2D,
    PoissonND,
    Problem,
    Reaction,
    Robertson,
    Schroedinger,
    SingularlyPerturbedODE,
    VanDerPol,
    Wave,
)

__all__ = [
    "MLP",
    "SIREN",
    "AdaptiveSampling",
    "AdaptiveWeights",
    "AllenCahn",
    "Ball",
    "Beam",
    "Biharmonic",
    "Boundary",
    "Box",
    "Burgers",
    "BurgersInverse",
    "Chain",
    "Checkpoints",
    "Condition",
    "Convection",
    "Difference",
    "Domain",
    "Edges",
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
    "Interpolated",
    "Jet",
    "KdV",
    "KdVInverse",
    "Kovasznay",
    "KuramotoSivashinsky",
    "LidDrivenCavity",
    "Linear",
    "LivePlot",
    "LorenzInverse",
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
    "Polygon",
    "Problem",
    "Reaction",
    "Region",
    "Robertson",
    "Sampler",
    "Sampling",
    "Scaled",
    "Schroedinger",
    "SingularlyPerturbedODE",
    "SlabsResult",
    "SpaceTime",
    "Sphere",
    "Stop",
    "Unknown",
    "VanDerPol",
    "Wave",
    "axis_names",
    "biharmonic",
    "data_key",
    "derivatives",
    "errors",
    "errors_by_output",
    "evaluation_points",
    "exact_values",
    "fit",
    "fit_in_slabs",
    "functional",
    "gradient",
    "hessian",
    "laplacian",
    "limited_blas_threads",
    "mixed_derivative",
    "num_parameters",
    "output_names",
    "plot_history",
    "plot_solution",
    "predict",
    "samplers",
    "scaled",
    "second_derivatives",
    "unit_points",
]
