"""Implicit stochastic gradient descent for JAX, as optax transformations."""

from isgd_optax._implicit_step import ImplicitStepInfo, ImplicitStepState, implicit_step
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
    "LearningRateController",
    "LeastSquares",
    "ProximalObjective",
    "Residual",
    "StepOutcome",
    "SwitchState",
    "implicit_step",
    "isgd_adam",
    "isgd_lbfgs",
    "switch_after",
]
