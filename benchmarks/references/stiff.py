"""Ordinary differential equations by SciPy's Runge–Kutta methods of high order."""

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

from benchmarks.references._table import Table

_SHIFT = 1e-5  # of Robertson's time, so that its logarithm begins at −5


def robertson(points: np.ndarray | None = None, *, rtol: float = 1e-12) -> Table:
    r"""Robertson's reactions for 0 ≤ t ≤ 1e5 over s = log₁₀(t + 1e-5), by Radau IIA of order 5.

    .. math::
      \dot y_1 = -0.04 y_1 + 10^4 y_2 y_3, \quad
      \dot y_2 = 0.04 y_1 - 10^4 y_2 y_3 - 3 \cdot 10^7 y_2^2, \quad
      \dot y_3 = 3 \cdot 10^7 y_2^2

    The variables are y₁, 10⁴ y₂ and y₃, all of order one, and the integration is over s.

    Args:
      points: Increasing values of s, by default 201 from −5 to log₁₀(1e5 + 1e-5).
      rtol: The relative tolerance of a step.

    References:
      Robertson, The solution of a set of reaction rate equations, 1966.
      Hairer and Wanner, Solving ordinary differential equations II, 1996, Section IV.1.
    """
    end = np.log10(1e5 + _SHIFT)
    points = np.linspace(-5.0, end, 201) if points is None else points
    scale = np.array([1.0, 1e4, 1.0])
    mix = np.array([[-1.0, 1.0, 0.0], [1.0, -1.0, -1.0], [0.0, 0.0, 1.0]])

    def rates(s: float, y: np.ndarray) -> np.ndarray:
        terms = np.array([0.04 * y[0], y[1] * y[2], 0.3 * y[1] ** 2])
        return np.log(10) * 10**s * scale * (mix @ terms)

    def jacobian(s: float, y: np.ndarray) -> np.ndarray:
        terms = np.array([[0.04, 0.0, 0.0], [0.0, y[2], y[1]], [0.0, 0.6 * y[1], 0.0]])
        return np.log(10) * 10**s * scale[:, None] * (mix @ terms)

    return _solve(rates, "s", points, (1.0, 0.0, 0.0), ("y1", "y2", "y3"), rtol, jacobian)


def van_der_pol(
    points: np.ndarray | None = None, *, mu: float = 10.0, end: float = 20.0, rtol: float = 1e-13
) -> Table:
    """Van der Pol's oscillator y'' − μ(1 − y²)y' + y = 0 from (2, 0), by Dormand and Prince's order 8.

    Args:
      points: Increasing times from 0, by default 401 up to ``end``.
      mu: The damping μ; above 30 Radau's method with its Jacobian takes its place.
      end: The last time.
      rtol: The relative tolerance of a step.

    References:
      Hairer and Wanner, Solving ordinary differential equations II, 1996, Section IV.1.
    """
    points = np.linspace(0.0, end, 401) if points is None else points
    rates = lambda t, y: np.array([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])
    jacobian = lambda t, y: np.array([[0.0, 1.0], [-2 * mu * y[0] * y[1] - 1, mu * (1 - y[0] ** 2)]])
    return _solve(rates, "t", points, (2.0, 0.0), ("y", "slope"), rtol, jacobian if mu > 30 else None)


def lorenz(points: np.ndarray | None = None, *, rtol: float = 1e-13) -> Table:
    """Lorenz's equations with σ, ρ, β = 10, 15, 8/3 from (−8, 7, 27) for 0 ≤ t ≤ 3, by order 8.

    Args:
      points: Increasing times from 0, by default 301 up to 3.
      rtol: The relative tolerance of a step.

    References:
      Lorenz, Deterministic nonperiodic flow, 1963.
    """
    points = np.linspace(0.0, 3.0, 301) if points is None else points

    def rates(t: float, y: np.ndarray) -> np.ndarray:
        return np.array([10 * (y[1] - y[0]), y[0] * (15 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]])

    return _solve(rates, "t", points, (-8.0, 7.0, 27.0), ("x", "y", "z"), rtol)


def _solve(
    rates: Callable[[float, np.ndarray], np.ndarray],
    axis: str,
    points: np.ndarray,
    initial: tuple[float, ...],
    outputs: tuple[str, ...],
    rtol: float,
    jacobian: Callable[[float, np.ndarray], np.ndarray] | None = None,
) -> Table:
    """The solution at ``points``, of which the first is where ``initial`` holds."""
    method = "DOP853" if jacobian is None else "Radau"
    options = {"rtol": rtol, "atol": 1e-3 * rtol} | ({} if jacobian is None else {"jac": jacobian})
    solution = solve_ivp(rates, (points[0], points[-1]), initial, method, points, **options)  # pyright: ignore[reportArgumentType]
    if not solution.success:
        raise RuntimeError(f"the integration failed: {solution.message}")
    return Table({axis: points}, outputs, solution.y.T)
