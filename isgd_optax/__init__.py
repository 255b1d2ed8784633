"""Implicit stochastic gradient descent for JAX, as optax transformations."""

from isgd_optax import diagnostics
from isgd_optax._controllers import gain_ratio, largest_trusted, switched_evolution_relaxation
from isgd_optax._gauss_newton import gauss_newton
from isgd_optax._implicit_step import ImplicitStepInfo, ImplicitStepState, implicit_step
from isgd_optax._layers import LayerFactors
from isgd_optax._learning_rate import LearningRateController, StepOutcome
from isgd_optax._least_squares import LeastSquares, Residual
from isgd_optax._proximal import ProximalObjective
from isgd_optax._pytree import FieldsAsLeaves
from isgd_optax._switch import SwitchState, isgd_adam, isgd_lbfgs, switch_after

__version__ = "0.1.0"

__all__ = [
    "FieldsAsLeaves",
    "ImplicitStepInfo",
    "ImplicitStepState",
    "LayerFactors",
    "LearningRateController",
    "LeastSquares",
    "ProximalObjective",
    "Residual",
    "StepOutcome",
    "SwitchState",
    "diagnostics",
    "gain_ratio",
    "gauss_newton",
    "implicit_step",
    "isgd_adam",
    "isgd_lbfgs",
    "largest_trusted",
    "switch_after",
    "switched_evolution_relaxation",
]
