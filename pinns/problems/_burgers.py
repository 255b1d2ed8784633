"""Burgers' equation, forward and inverse."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from pinns._numbers import floating
from pinns._regions import Box, Faces, FixedPoints
from pinns._taylor import derivatives
from pinns._unknowns import Unknown
from pinns.problems._base import Problem
from pinns.problems._condition import Condition
from pinns.problems._known import Known, one

_NODES, _WEIGHTS = np.polynomial.hermite.hermgauss(200)
_SMALLEST = 5e-4  # viscosity at which the nodes reach the integrand's peak, about 1/(2√ν) wide


def cole_hopf(x: jax.Array, t: jax.Array, nu: float) -> jax.Array:
    r"""The solution of Burgers' equation with u(x, 0) = −sin πx, by Gauss–Hermite quadrature.

    .. math::
      u = -\frac{\int \sin \pi(x - \eta) \, w \, d\eta}{\int w \, d\eta}, \qquad
      w = \exp\Big(-\frac{\cos \pi(x - \eta)}{2 \pi \nu} - \frac{\eta^2}{4 \nu t}\Big)

    Args:
      x: Place, a number.
      t: Time ≥ 0, a number.
      nu: Viscosity ν.

    References:
      Basdevant et al., Spectral and finite difference solutions of the Burgers equation, 1986.
    """
    x, t = floating(x), floating(t)
    nodes = jnp.asarray(_NODES, x.dtype)
    y = x - 2 * jnp.sqrt(nu * jnp.maximum(t, 0)) * nodes
    # With the weights in the exponent: by themselves most are too small for float32.
    exponent = jnp.asarray(np.log(_WEIGHTS), x.dtype) - jnp.cos(jnp.pi * y) / (2 * jnp.pi * nu)
    w = jnp.exp(exponent - jax.lax.stop_gradient(jnp.max(exponent)))
    return -jnp.sum(w * jnp.sin(jnp.pi * y)) / jnp.sum(w)


@dataclasses.dataclass(frozen=True)
class Burgers(Problem):
    r"""u_t + u u_x = ν u_xx on [−1, 1] × [0, 1], u(x, 0) = −sin πx, u(±1, t) = 0.

    With ν = 0.01/π a layer forms at x = 0, about 0.01 wide. Gauss–Hermite quadrature of the exact solution is
    good to 1e-10 there, and down to ν = 5e-4; below, where its nodes do not reach, the exact solution is
    None.

    Args:
      nu: Viscosity ν > 0.
      num_points: Points inside.
      num_boundary_points: Points at x = ±1.
      num_initial_points: Points at t = 0.

    Raises:
      ValueError: ν ≤ 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Burgers
      >>> print(Burgers().exact(jnp.array([0.5, 0.0])))
      [-1.]

    References:
      Raissi, Perdikaris and Karniadakis, Physics-informed neural networks, 2019, section 3.1.1.
    """

    nu: float = 0.01 / math.pi
    num_points: int = 3000
    num_boundary_points: int = 100
    num_initial_points: int = 200
    domain = Box((-1.0, 0.0), (1.0, 1.0))
    axis_names = ("x", "t")

    def __post_init__(self) -> None:
        if not self.nu > 0:
            raise ValueError(f"nu must be positive, got {self.nu}.")

    def conditions(self) -> dict[str, Condition]:
        """The equation, the values at both ends and at the start."""
        ends = Faces(self.domain, ((0, "lower"), (0, "upper")))
        start = self.domain.face(1, "lower")
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.boundary, ends, self.num_boundary_points),
            "initial": Condition(self.initial, start, self.num_initial_points),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t + u u_x − ν u_xx at one point."""
        value, first, second = derivatives(u, x, order=2)
        return first[1] + value * first[0] - self.nu * second[0]

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value, which should be 0."""
        return u(x)

    def initial(self, u, x: jax.Array) -> jax.Array:
        """The difference from −sin πx."""
        return u(x) + jnp.sin(jnp.pi * x[0])

    def exact(self, x: jax.Array) -> jax.Array | None:
        """The solution at one point, shape (1,); None for ν below 5e-4."""
        return one(cole_hopf(x[0], x[1], self.nu)) if self.nu >= _SMALLEST else None


@dataclasses.dataclass(frozen=True)
class BurgersInverse(Known):
    r"""u_t + λ₁ u u_x = λ₂ u_xx with λ₁ and λ₂ unknown, from values of u at scattered points.

    The truth is λ₁ = 1, λ₂ = 0.01/π; λ₂ is kept positive.

    Args:
      num_points: Points of the equation.
      num_data: Measured values.
      noise: Standard deviation of their noise, as a share of that of the values.
      seed: Seed of the measured points and of the noise.

    Examples:
      >>> from pinns import BurgersInverse
      >>> sorted(BurgersInverse(num_data=10).conditions())
      ['data', 'pde']

    References:
      Raissi, Perdikaris and Karniadakis, Physics-informed neural networks, 2019, section 4.1.1.
    """

    num_points: int = 3000
    num_data: int = 2000
    noise: float = 0.0
    seed: int = 0
    domain = Box((-1.0, 0.0), (1.0, 1.0))
    axis_names = ("x", "t")

    def unknowns(self) -> dict[str, Unknown]:
        """λ₁ and λ₂."""
        return {"lambda1": Unknown(0.5), "lambda2": Unknown(0.02, positive=True)}

    @property
    def true_unknowns(self) -> dict[str, float]:
        """What should be found."""
        return {"lambda1": 1.0, "lambda2": 0.01 / math.pi}

    def conditions(self) -> dict[str, Condition]:
        """The equation and the data."""
        data = measurements(self, self.num_data, self.noise, self.seed)
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "data": Condition(self.measured, data, self.num_data, noisy=True),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t + λ₁ u u_x − λ₂ u_xx at one point."""
        value, first, second = derivatives(u, x, order=2)
        return first[1] + u.unknowns["lambda1"] * value * first[0] - u.unknowns["lambda2"] * second[0]

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        return one(cole_hopf(x[0], x[1], 0.01 / math.pi))


def measurements(
    problem: Known, num_data: int, noise: float, seed: int, *, grid: bool = False
) -> FixedPoints:
    """Values of the solution at random points of the domain, or of a 1-D grid, with Gaussian noise.

    Args:
      problem: The problem, on a box.
      num_data: Number of values.
      noise: Standard deviation of the noise, as a share of that of the values.
      seed: Seed of points and noise.
      grid: Whether the points are even, in one dimension.
    """
    random = np.random.default_rng(seed)
    whole = type(problem).domain  # a part of it, a slab of time, has its share of the same data
    lower, upper = np.array(whole.lower), np.array(whole.upper)
    unit = np.linspace(0, 1, num_data)[:, None] if grid else random.uniform(size=(num_data, len(lower)))
    points = lower + (upper - lower) * unit
    values = np.asarray(jax.vmap(problem.exact)(jnp.asarray(points)))
    return FixedPoints(points, values + noise * values.std(axis=0) * random.normal(size=values.shape))
