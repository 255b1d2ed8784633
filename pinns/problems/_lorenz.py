"""Lorenz's equations with unknown coefficients."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pinns._regions import Box, FixedPoints
from pinns._taylor import derivatives
from pinns._unknowns import Unknown
from pinns.problems._condition import Condition
from pinns.problems._tables import load_table
from pinns.problems._tabulated import Tabulated


@dataclasses.dataclass(frozen=True)
class LorenzInverse(Tabulated):
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
      ValueError: Less than two observed times, or negative noise.

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
    axis_names = ("t",)
    output_names = ("x", "y", "z")

    def __post_init__(self) -> None:
        if self.num_data < 2 or self.noise < 0:
            raise ValueError(
                f"num_data must be at least 2 and noise at least 0, got {self.num_data} and {self.noise}."
            )

    @property
    def table(self) -> str:
        """The name of the table of :meth:`exact`."""
        return "lorenz"

    def unknowns(self) -> dict[str, Unknown]:
        """``sigma``, ``rho`` and ``beta``, from 1."""
        return {name: Unknown(1.0) for name in self.true_unknowns}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """The coefficients with which the data were made."""
        return {"sigma": 10.0, "rho": 15.0, "beta": 8 / 3}

    def conditions(self) -> dict[str, Condition]:
        """The equations, all three at each point, and the data."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "data": Condition(self.data, self.observed(), self.num_data, self.data_weight, noisy=True),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """The three equations at one point, shape (3,)."""
        (a, b, c), (slope,) = derivatives(u, x, order=1)
        k = u.unknowns
        rates = [k["sigma"] * (b - a), a * (k["rho"] - c) - b, a * b - k["beta"] * c]
        return slope - jnp.stack(rates)

    def observed(self) -> FixedPoints:
        """Equidistant times with both ends, and what was measured then."""
        whole = type(self).domain  # a slab of time has its share of the same data
        times = np.linspace(whole.lower[0], whole.upper[0], self.num_data)[:, None]
        values = load_table(self.table).on_host(times[:, 0])
        noise = np.random.default_rng(self.seed).standard_normal(values.shape)
        return FixedPoints(times, values + self.noise * values.std(axis=0) * noise)

    def data(self, u, x: dict[str, jax.Array]) -> jax.Array:
        """The motion at one observed time minus the observed one."""
        return u(x["x"]) - x["value"]

    def exact(self, x: jax.Array) -> jax.Array:
        """The motion at one time, shape (3,), from the table."""
        return load_table(self.table)(x)
