"""Implicit stochastic gradient descent for JAX, as optax transformations."""

from isgd_optax import diagnostics, linear_solvers
from isgd_optax._algorithm1 import isgd_adam, isgd_lbfgs
from isgd_optax._controllers import gain_ratio, switched_evolution_relaxation
from isgd_optax._from_optax import as_inner_solver, from_optax
from isgd_optax._gauss_newton._linear_solver import LinearSolver
from isgd_optax._gauss_newton._losses import LeastSquares, Residual
from isgd_optax._gauss_newton._solver import gauss_newton
from isgd_optax._implicit_step import implicit_step
from isgd_optax._inner_solver import (
    Evaluation,
    InnerSolver,
    Proposal,
    ProximalProblem,
)
from isgd_optax._largest_trusted import largest_trusted
from isgd_optax._learning_rate import LearningRateController, StepOutcome
from isgd_optax._proximal import ProximalObjective
from isgd_optax._state import ImplicitStepInfo, ImplicitStepState, step_info
from isgd_optax._switch import SwitchState, switch_after
from isgd_optax._tree import FieldsAsLeaves

__version__ = "0.2.0"

__all__ = [
    "Evaluation",
    "FieldsAsLeaves",
    "ImplicitStepInfo",
    "ImplicitStepState",
    "InnerSolver",
    "LearningRateController",
    "LeastSquares",
    "LinearSolver",
    "Proposal",
    "ProximalObjective",
    "ProximalProblem",
    "Residual",
    "StepOutcome",
    "SwitchState",
    "as_inner_solver",
    "diagnostics",
    "from_optax",
    "gain_ratio",
    "gauss_newton",
    "implicit_step",
    "isgd_adam",
    "isgd_lbfgs",
    "largest_trusted",
    "linear_solvers",
    "step_info",
    "switch_after",
    "switched_evolution_relaxation",
]
