"""Partial differential equations with unknown coefficients."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pinns._taylor import derivatives, laplacian
from pinns._unknowns import Unknown
from pinns.problems._base import Condition
from pinns.problems._burgers import cole_hopf
from pinns.problems._inverse import InverseProblem
from pinns.sampling import Box


@dataclasses.dataclass(frozen=True)
class BurgersInverse(InverseProblem):
    """u_t + λ₁ u u_x = λ₂ u_xx on [−1, 1] × [0, 1] with λ₁ = 1 and λ₂ = 0.01/π to be found from values of u.

    Args:
      num_points: The points of the equation.
      num_data: The number of observations at random places.
      noise: The standard deviation of their noise, relative to that of u.
      seed: What places and noise are drawn from.
      data_weight: The weight of the data.

    Raises:
      ValueError: No data, or negative noise.

    Examples:
      >>> from pinns.problems import BurgersInverse
      >>> BurgersInverse().true_unknowns["convection"]
      1.0

    References:
      Raissi, Perdikaris and Karniadakis, Physics-informed neural networks, 2019, Section 4.2.
    """

    num_points: int = 2000
    num_data: int = 2000
    noise: float = 0.0
    seed: int = 0
    data_weight: float = 1.0
    domain = Box((-1.0, 0.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        self._check()

    def unknowns(self) -> dict[str, float | Unknown]:
        """``convection`` λ₁ and ``viscosity`` λ₂ > 0, from the values of Raissi et al."""
        return {"convection": 0.0, "viscosity": Unknown(float(np.exp(-6)), positive=True)}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """The coefficients with which the data were made."""
        return {"convection": 1.0, "viscosity": 0.01 / float(np.pi)}

    def conditions(self) -> dict[str, Condition]:
        """The equation and the data."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "data": self.observed(self.data_weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t + λ₁ u u_x − λ₂ u_xx at one point."""
        value, (u_x,), (u_xx,) = derivatives(u, x, order=2, directions=(0,))
        _, (u_t,) = derivatives(u, x, order=1, directions=(1,))
        return u_t + u.unknowns["convection"] * value * u_x - u.unknowns["viscosity"] * u_xx

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, shape (1,)."""
        return cole_hopf(x, self.true_unknowns["viscosity"])


@dataclasses.dataclass(frozen=True)
class HelmholtzInverse(InverseProblem):
    r"""Δu + k² u = f on [0, 1]² with k² = 16 to be found from values of u; f is known.

    .. math:: u = \sin \pi x \sin 4 \pi y, \qquad f = (16 - 17 \pi^2) u

    Args:
      num_points: The points of the equation.
      num_data: The number of observations at random places.
      noise: The standard deviation of their noise, relative to that of u.
      seed: What places and noise are drawn from.
      data_weight: The weight of the data.

    Raises:
      ValueError: No data, or negative noise.

    Examples:
      >>> from pinns.problems import HelmholtzInverse
      >>> HelmholtzInverse().true_unknowns
      {'k_squared': 16.0}
    """

    num_points: int = 1000
    num_data: int = 200
    noise: float = 0.0
    seed: int = 0
    data_weight: float = 1.0
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        self._check()

    def unknowns(self) -> dict[str, float | Unknown]:
        """``k_squared``, from 1."""
        return {"k_squared": 1.0}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """The coefficients with which the data were made."""
        return {"k_squared": 16.0}

    def conditions(self) -> dict[str, Condition]:
        """The equation and the data."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "data": self.observed(self.data_weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """Δu + k² u − f at one point."""
        value, _, lap = laplacian(u, x)
        return lap + u.unknowns["k_squared"] * value - (16 - 17 * jnp.pi**2) * self.exact(x)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, shape (1,)."""
        return jnp.sin(jnp.pi * x[:1]) * jnp.sin(4 * jnp.pi * x[1])


@dataclasses.dataclass(frozen=True)
class KdVInverse(InverseProblem):
    r"""u_t + A u u_x + B u_xxx + C g = 0 on [0, 1]² with three coefficients to be found from values of u.

    .. math::
      u = \sin x \sin t, \qquad
      g = -\tfrac12 \sin 2x \sin^2 t + 0.0025 \cos x \sin t - \sin x \cos t, \qquad (A, B, C) = (1, 0.0025, 1)

    Args:
      num_points: The points of the equation.
      num_data: The number of observations, a square: they lie on a grid.
      noise: The standard deviation of their noise, relative to that of u.
      seed: What the noise is drawn from.
      data_weight: The weight of the data.

    Raises:
      ValueError: A number of data that is no square, or negative noise.

    Examples:
      >>> from pinns.problems import KdVInverse
      >>> KdVInverse().true_unknowns["dispersion"]
      0.0025
    """

    num_points: int = 400
    num_data: int = 100
    noise: float = 0.0
    seed: int = 0
    data_weight: float = 1.0
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        self._check()
        if round(self.num_data**0.5) ** 2 != self.num_data:
            raise ValueError(f"num_data must be a square, for a grid, got {self.num_data}.")

    def unknowns(self) -> dict[str, float | Unknown]:
        """``convection`` A, ``dispersion`` B and ``source`` C."""
        return {"convection": 0.6, "dispersion": 0.2, "source": 0.8}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """The coefficients with which the data were made."""
        return {"convection": 1.0, "dispersion": 0.0025, "source": 1.0}

    def conditions(self) -> dict[str, Condition]:
        """The equation and the data."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "data": self.observed(self.data_weight),
        }

    def data_points(self, generator: np.random.Generator) -> np.ndarray:
        """A grid of the domain with its boundary."""
        axis = np.linspace(0, 1, round(self.num_data**0.5))
        return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t + A u u_x + B u_xxx + C g at one point."""
        value, (u_x,), _, (u_xxx,) = derivatives(u, x, order=3, directions=(0,))
        _, (u_t,) = derivatives(u, x, order=1, directions=(1,))
        sin_t = jnp.sin(x[1])
        source = -jnp.sin(2 * x[0]) * sin_t**2 / 2 + 0.0025 * jnp.cos(x[0]) * sin_t
        source = source - jnp.sin(x[0]) * jnp.cos(x[1])
        c = u.unknowns
        return u_t + c["convection"] * value * u_x + c["dispersion"] * u_xxx + c["source"] * source

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, shape (1,)."""
        return jnp.sin(x[:1]) * jnp.sin(x[1])
