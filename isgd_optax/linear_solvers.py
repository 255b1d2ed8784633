"""Linear solvers of :func:`isgd_optax.gauss_newton`, and what one of your own is made of."""

from isgd_optax._gauss_newton._auto import as_linear_solver, auto, check_memory
from isgd_optax._gauss_newton._cg import Preconditioner, cg, nystrom
from isgd_optax._gauss_newton._exact import dual, primal, qr
from isgd_optax._gauss_newton._linear_solver import Jacobian, LinearSolver, Sizes, Solve

__all__ = [
    "Jacobian",
    "LinearSolver",
    "Preconditioner",
    "Sizes",
    "Solve",
    "as_linear_solver",
    "auto",
    "cg",
    "check_memory",
    "dual",
    "nystrom",
    "primal",
    "qr",
]
