"""Inverse problems: coefficients of ordinary and partial differential equations from data."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from pinns._operators import laplacian
from pinns._regions import Box
from pinns._taylor import derivatives, gradient, second_derivatives
from pinns._unknowns import Unknown
from pinns.problems._burgers import measurements
from pinns.problems._condition import Condition
from pinns.problems._known import Known, one


@dataclasses.dataclass(frozen=True)
class KdVInverse(Known):
    r"""u_t + A u u_x + B u_xxx + C g = 0 on [0, 1]² with A, B, C unknown and u = sin x sin t given.

    .. math:: g = -\tfrac12 \sin 2x \sin^2 t + 0.0025 \cos x \sin t - \sin x \cos t

    The truth is (1, 0.0025, 1).

    Args:
      num_points: Points of the equation.
      num_data: Measured values.
      noise: Standard deviation of their noise, as a share of that of the values.
      seed: Seed of the measured points and of the noise.

    Examples:
      >>> from pinns import KdVInverse
      >>> KdVInverse().true_unknowns["B"]
      0.0025
    """

    num_points: int = 400
    num_data: int = 100
    noise: float = 0.0
    seed: int = 0
    domain = Box((0.0, 0.0), (1.0, 1.0))
    axis_names = ("x", "t")

    def unknowns(self) -> dict[str, Unknown]:
        """A, B and C."""
        return {"A": Unknown(0.6), "B": Unknown(0.2), "C": Unknown(0.8)}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """What should be found."""
        return {"A": 1.0, "B": 0.0025, "C": 1.0}

    def conditions(self) -> dict[str, Condition]:
        """The equation and the data."""
        data = measurements(self, self.num_data, self.noise, self.seed)
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "data": Condition(self.measured, data, self.num_data, noisy=True),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """The equation at one point."""
        value, first, _, third = derivatives(u, x, order=3, directions=(0,))
        slope = gradient(u, x, axes=(1,))[1][0]
        sine, cosine = jnp.sin(x), jnp.cos(x)
        g = -sine[0] * cosine[0] * sine[1] ** 2 + 0.0025 * cosine[0] * sine[1] - sine[0] * cosine[1]
        a, b, c = (u.unknowns[name] for name in "ABC")
        return slope + a * value * first[0] + b * third[0] + c * g

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        return one(jnp.sin(x[0]) * jnp.sin(x[1]))


@dataclasses.dataclass(frozen=True)
class OscillatorInverse(Known):
    r"""y'' + μ y' + k y = 0 on [0, 1], y(0) = 1, y'(0) = 0, with μ and k unknown.

    .. math:: y = e^{-2t} \Big(\cos \omega t + \frac{2}{\omega} \sin \omega t\Big), \quad \omega = \sqrt{396}

    The truth is μ = 4, k = 400. Both are kept positive, which also brings them to one size.

    Args:
      num_points: Points of the equation.
      num_data: Measured values, at even times.
      noise: Standard deviation of their noise, as a share of that of the values.
      seed: Seed of the noise.

    Examples:
      >>> from pinns import OscillatorInverse
      >>> OscillatorInverse().true_unknowns
      {'mu': 4.0, 'k': 400.0}
    """

    num_points: int = 100
    num_data: int = 40
    noise: float = 0.0
    seed: int = 0
    domain = Box((0.0,), (1.0,))
    axis_names = ("t",)

    def unknowns(self) -> dict[str, Unknown]:
        """μ and k."""
        return {"mu": Unknown(1.0, positive=True), "k": Unknown(100.0, positive=True)}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """What should be found."""
        return {"mu": 4.0, "k": 400.0}

    def conditions(self) -> dict[str, Condition]:
        """The equation, the start and the data."""
        data = measurements(self, self.num_data, self.noise, self.seed, grid=True)
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "initial": Condition(self.start, self.domain.face(0, "lower"), 1),
            "data": Condition(self.measured, data, self.num_data, noisy=True),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """The equation at one point, over the size of k."""
        value, first, second = laplacian(u, x)
        return (second + u.unknowns["mu"] * first[0] + u.unknowns["k"] * value) / 400

    def start(self, u, x: jax.Array) -> jax.Array:
        """Value and slope at t = 0, less 1 and 0."""
        value, first = gradient(u, x)
        return jnp.concatenate([jnp.ravel(value - 1), jnp.ravel(first[0])])

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        omega = math.sqrt(396.0)
        return jnp.exp(-2 * x) * (jnp.cos(omega * x) + 2 / omega * jnp.sin(omega * x))


@dataclasses.dataclass(frozen=True)
class HelmholtzInverse(Known):
    r"""Δu + κ u = q on [−1, 1]² with κ unknown, from values of u = sin πx sin 4πy.

    .. math:: q = (1 - 17 \pi^2) \sin \pi x \sin 4 \pi y

    The truth is κ = 1; with the boundary's values alone the equation has a solution for almost every κ.

    Args:
      num_points: Points of the equation.
      num_data: Measured values.
      noise: Standard deviation of their noise, as a share of that of the values.
      seed: Seed of the measured points and of the noise.

    Examples:
      >>> from pinns import HelmholtzInverse
      >>> HelmholtzInverse().true_unknowns
      {'kappa': 1.0}
    """

    num_points: int = 1500
    num_data: int = 200
    noise: float = 0.0
    seed: int = 0
    domain = Box((-1.0, -1.0), (1.0, 1.0))

    def unknowns(self) -> dict[str, Unknown]:
        """The coefficient κ."""
        return {"kappa": Unknown(5.0)}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """What should be found."""
        return {"kappa": 1.0}

    def conditions(self) -> dict[str, Condition]:
        """The equation, the boundary and the data."""
        data = measurements(self, self.num_data, self.noise, self.seed)
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.values, self.domain.boundary(), 200),
            "data": Condition(self.measured, data, self.num_data, noisy=True),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """The equation at one point, over the size of q."""
        value, _, second = second_derivatives(u, x)
        forcing = (1 - 17 * jnp.pi**2) * self.exact(x)
        return (second[0] + second[1] + u.unknowns["kappa"] * value - forcing) / (17 * jnp.pi**2)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        return one(jnp.sin(jnp.pi * x[0]) * jnp.sin(4 * jnp.pi * x[1]))
