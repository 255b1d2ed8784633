"""Equations at which plain networks fail by the optimiser alone: convection, reaction, waves."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pinns._taylor import derivatives
from pinns.problems._base import Condition
from pinns.problems._conditions import FieldProblem
from pinns.problems._evolution import PeriodicEvolution
from pinns.sampling import Box, Faces


@dataclasses.dataclass(frozen=True)
class Convection(PeriodicEvolution):
    """u_t + β u_x = 0 on [0, 2π] × [0, 1] with period 2π; u = sin(x − βt).

    Args:
      beta: The speed β; 30 to 50 is called hard.
      num_points: The points inside.
      num_boundary_points: The pairs of points on the two sides.
      num_initial_points: The points at t = 0.
      boundary_weight: The weight of the period.
      initial_weight: The weight of the initial values.
      periodic_network: Whether the network has the period itself, so that it is no condition.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import Convection
      >>> print(Convection(40.0).exact(jnp.array([1.0, 0.025])))
      [0.]

    References:
      Krishnapriyan et al., Characterizing possible failure modes in physics-informed neural networks, 2021.
      Rathore et al., Challenges in training PINNs: a loss landscape perspective, 2024 (β = 40).
    """

    beta: float = 40.0
    num_points: int = 4000
    num_boundary_points: int = 100
    num_initial_points: int = 200
    boundary_weight: float = 1.0
    initial_weight: float = 1.0
    periodic_network: bool = False
    domain = Box((0.0, 0.0), (2 * float(np.pi), 1.0))

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t + β u_x at one point."""
        _, (u_x, u_t) = derivatives(u, x, order=1)
        return u_t + self.beta * u_x

    def initial_value(self, x: jax.Array) -> jax.Array:
        """Sin x."""
        return jnp.sin(x)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        return jnp.sin(x[:1] - self.beta * x[1])


@dataclasses.dataclass(frozen=True)
class Reaction(PeriodicEvolution):
    r"""u_t = ρ u (1 − u) on [0, 2π] × [0, 1] with equal values on the two sides.

    .. math:: u = \frac{h}{h + (1 - h) e^{-\rho t}}, \qquad h = \exp\left(-\frac{8 (x - \pi)^2}{\pi^2}\right)

    Args:
      rho: The rate ρ.
      num_points: The points inside.
      num_boundary_points: The pairs of points on the two sides.
      num_initial_points: The points at t = 0.
      boundary_weight: The weight of the period.
      initial_weight: The weight of the initial values.
      periodic_network: Whether the network has the period itself, so that it is no condition; the slopes of
        the solution differ on the two sides.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import Reaction
      >>> print(Reaction().exact(jnp.array([0.0, 1.0])).round(4))
      [0.0474]

    References:
      Krishnapriyan et al., Characterizing possible failure modes in physics-informed neural networks, 2021.
    """

    rho: float = 5.0
    num_points: int = 4000
    num_boundary_points: int = 100
    num_initial_points: int = 200
    boundary_weight: float = 1.0
    initial_weight: float = 1.0
    periodic_network: bool = False
    domain = Box((0.0, 0.0), (2 * float(np.pi), 1.0))

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t − ρ u (1 − u) at one point."""
        value, (u_t,) = derivatives(u, x, order=1, directions=(1,))
        return u_t - self.rho * value * (1 - value)

    def initial_value(self, x: jax.Array) -> jax.Array:
        """H, a normal density without its factor."""
        return jnp.exp(-8 * (x - jnp.pi) ** 2 / jnp.pi**2)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        h = self.initial_value(x[:1])
        return h / (h + (1 - h) * jnp.exp(-self.rho * x[1]))


@dataclasses.dataclass(frozen=True)
class Wave(FieldProblem):
    r"""u_tt = 4 u_xx on [0, 1]², zero at both ends, at rest at t = 0.

    .. math:: u = \sin \pi x \cos 2 \pi t + \tfrac12 \sin \beta \pi x \cos 2 \beta \pi t

    Args:
      beta: The second mode β, an integer.
      num_points: The points inside.
      num_boundary_points: The points on the sides x = 0 and x = 1.
      num_initial_points: The points at t = 0, for values and for velocities each.
      boundary_weight: The weight of the sides.
      initial_weight: The weight of the initial values and of the initial velocities each.

    Raises:
      ValueError: A β that is no integer: the ends would not be zero.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import Wave
      >>> print(Wave(5).exact(jnp.array([0.5, 0.0])))
      [1.5]

    References:
      Wang, Yu and Perdikaris, When and why PINNs fail to train: a neural tangent kernel perspective, 2022.
    """

    beta: float = 4.0
    num_points: int = 4000
    num_boundary_points: int = 200
    num_initial_points: int = 200
    boundary_weight: float = 1.0
    initial_weight: float = 1.0
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        if self.beta != round(self.beta):
            raise ValueError(f"beta must be an integer for u = 0 at x = 1, got {self.beta}.")

    def conditions(self) -> dict[str, Condition]:
        """The equation, the ends, the initial values and velocities."""
        sides = Faces(self.domain, ((0, "lower"), (0, "upper")))
        start, number, weight = self.domain.face(1, "lower"), self.num_initial_points, self.initial_weight
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.boundary, sides, self.num_boundary_points, self.boundary_weight),
            "initial": Condition(self.dirichlet, start, number, weight),
            "initial_slope": Condition(self.initial_slope, start, number, weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_tt − 4 u_xx at one point."""
        _, _, (u_xx, u_tt) = derivatives(u, x, order=2)
        return u_tt - 4 * u_xx

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value, which should be 0."""
        return u(x)

    def initial_slope(self, u, x: jax.Array) -> jax.Array:
        """The velocity u_t, which should be 0."""
        _, (u_t,) = derivatives(u, x, order=1, directions=(1,))
        return u_t

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        mode = lambda k: jnp.sin(k * jnp.pi * x[:1]) * jnp.cos(2 * k * jnp.pi * x[1])
        return mode(1) + mode(self.beta) / 2
