"""What inverse problems share: observed data, and partial equations with unknown coefficients."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinns._unknowns import Unknown
from pinns.problems._base import Condition
from pinns.problems._conditions import FieldProblem
from pinns.problems._fixed import FixedPoints
from pinns.sampling import Box


class InverseProblem(FieldProblem):
    """A problem whose coefficients are unknown and are trained with the network on data.

    The residuals read the coefficients of the network, ``u.unknowns["name"]``.

    Attributes:
      num_data: The number of observations.
      noise: The standard deviation of their noise, relative to that of the exact values.
      seed: What the places of the observations and their noise are drawn from.
    """

    domain: Box
    num_data: int
    noise: float
    seed: int

    def unknowns(self) -> Mapping[str, float | Unknown]:
        """The unknown coefficients and where they start, by name."""
        raise NotImplementedError

    @property
    def true_unknowns(self) -> dict[str, float]:
        """The coefficients with which the data were made."""
        raise NotImplementedError

    def data_points(self, generator: np.random.Generator) -> np.ndarray:
        """The places of the observations, shape (num_data, d): by default random ones of the domain."""
        lower, upper = np.array(self.domain.lower), np.array(self.domain.upper)
        return lower + (upper - lower) * generator.random((self.num_data, self.domain.dim))

    def data(self, u, x: dict[str, jax.Array]) -> jax.Array:
        """The values at one observed point minus the observed ones."""
        return u(x["x"]) - x["value"]

    def observed(self, weight: float = 1.0) -> Condition:
        """The condition of the data."""
        points, values = _observe(self, bool(jax.config.read("jax_enable_x64")))
        residual: Any = self.data
        region: Any = FixedPoints(points, values)
        return Condition(residual, region, len(points), weight, noisy=True)

    def _check(self) -> None:
        if self.num_data < 1 or self.noise < 0:
            raise ValueError(
                f"num_data must be at least 1 and noise at least 0, got {self.num_data} and {self.noise}."
            )


@functools.lru_cache(maxsize=16)
def _observe(problem: InverseProblem, x64: bool) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of the observations; by precision, since the values are computed in it."""
    del x64
    generator = np.random.default_rng(problem.seed)
    points = problem.data_points(generator)
    # Conditions are also asked for while a training is traced.
    with jax.ensure_compile_time_eval():
        values = np.asarray(jax.vmap(problem.exact)(jnp.asarray(points)))
    deviation = problem.noise * np.std(values, axis=0)
    return points, values + deviation * generator.standard_normal(values.shape)
