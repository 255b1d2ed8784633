"""Ordinary differential equations with unknown coefficients."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pinns._taylor import derivatives
from pinns._unknowns import Unknown
from pinns.problems._base import Condition
from pinns.problems._inverse import InverseProblem
from pinns.problems._tables import load_table
from pinns.sampling import Box


class _TimeSeries(InverseProblem):
    """Observations at equal distances of time."""

    def data_points(self, generator: np.random.Generator) -> np.ndarray:
        """Equidistant times with both ends."""
        return np.linspace(self.domain.lower[0], self.domain.upper[0], self.num_data)[:, None]


@dataclasses.dataclass(frozen=True)
class LorenzInverse(_TimeSeries):
    r"""Lorenz's equations for t ≤ 3 with σ, ρ, β = 10, 15, 8/3 to be found from (x, y, z) at 25 times.

    .. math:: \dot x = \sigma (y - x), \quad \dot y = x (\rho - z) - y, \quad \dot z = x y - \beta z

    The motion begins at (−8, 7, 27), which is among the data.

    Args:
      num_points: The points of the equations, for each of the three.
      num_data: The number of observed times.
      noise: The standard deviation of the noise, relative to that of each output.
      seed: What the noise is drawn from.
      data_weight: The weight of the data.

    Raises:
      ValueError: No data, or negative noise.

    Examples:
      >>> from pinns.problems import LorenzInverse
      >>> LorenzInverse().true_unknowns["rho"]
      15.0

    References:
      Lorenz, Deterministic nonperiodic flow, 1963.
      Lu et al., DeepXDE: a deep learning library for solving differential equations, 2021 (the problem).
    """

    num_points: int = 400
    num_data: int = 25
    noise: float = 0.0
    seed: int = 0
    data_weight: float = 1.0
    domain = Box((0.0,), (3.0,))
    output_names = ("x", "y", "z")

    def __post_init__(self) -> None:
        self._check()

    @property
    def table(self) -> str:
        """The name of the table of :meth:`exact`."""
        return "lorenz"

    def unknowns(self) -> dict[str, float | Unknown]:
        """``sigma``, ``rho`` and ``beta``, from 1."""
        return {"sigma": 1.0, "rho": 1.0, "beta": 1.0}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """The coefficients with which the data were made."""
        return {"sigma": 10.0, "rho": 15.0, "beta": 8 / 3}

    def conditions(self) -> dict[str, Condition]:
        """The equations, all three at each point, and the data."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "data": self.observed(self.data_weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """The three equations at one point, shape (3,)."""
        (a, b, c), (slope,) = derivatives(u, x, order=1)
        k = u.unknowns
        rates = [k["sigma"] * (b - a), a * (k["rho"] - c) - b, a * b - k["beta"] * c]
        return slope - jnp.stack(rates)

    def exact(self, x: jax.Array) -> jax.Array:
        """The motion at one time, shape (3,), from the table."""
        return load_table(self.table)(x)


@dataclasses.dataclass(frozen=True)
class OscillatorInverse(_TimeSeries):
    r"""y'' + μ y' + k y = 0 on [0, 1] with μ = 4 and k = 400 to be found; y(0) = 1 and y'(0) = 0.

    .. math:: y = e^{-2t} \left(\cos \omega t + \frac2\omega \sin \omega t\right), \qquad \omega = \sqrt{396}

    The residual is divided by 400. The unknowns start at 1 and 100, two orders of magnitude apart.

    Args:
      num_points: The points of the equation.
      num_data: The number of observed times.
      noise: The standard deviation of the noise, relative to that of y.
      seed: What the noise is drawn from.
      data_weight: The weight of the data.

    Raises:
      ValueError: No data, or negative noise.

    Examples:
      >>> from pinns.problems import OscillatorInverse
      >>> OscillatorInverse().true_unknowns
      {'mu': 4.0, 'k': 400.0}
    """

    num_points: int = 100
    num_data: int = 40
    noise: float = 0.0
    seed: int = 0
    data_weight: float = 1.0
    domain = Box((0.0,), (1.0,))
    output_names = ("y",)

    def __post_init__(self) -> None:
        self._check()

    def unknowns(self) -> dict[str, float | Unknown]:
        """``mu`` > 0 from 1, and ``k`` > 0 from 100."""
        return {"mu": Unknown(1.0, positive=True), "k": Unknown(100.0, positive=True)}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """The coefficients with which the data were made."""
        return {"mu": 4.0, "k": 400.0}

    def conditions(self) -> dict[str, Condition]:
        """The equation, the initial value and slope, and the data."""
        start = self.domain.face(0, "lower")
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "initial": Condition(self.initial, start, 1),
            "initial_slope": Condition(self.initial_slope, start, 1),
            "data": self.observed(self.data_weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """(y'' + μ y' + k y)/400 at one time."""
        y, (slope,), (second,) = derivatives(u, x, order=2)
        return (second + u.unknowns["mu"] * slope + u.unknowns["k"] * y) / 400

    def initial(self, u, x: jax.Array) -> jax.Array:
        """The value minus 1."""
        return u(x) - 1

    def initial_slope(self, u, x: jax.Array) -> jax.Array:
        """The slope, which should be 0."""
        return derivatives(u, x, order=1)[1][0]

    def exact(self, x: jax.Array) -> jax.Array:
        """The motion at one time, shape (1,)."""
        omega = float(np.sqrt(396))
        return jnp.exp(-2 * x) * (jnp.cos(omega * x) + 2 / omega * jnp.sin(omega * x))
