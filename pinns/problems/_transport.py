"""Equations of first order in time, and the wave equation, with closed solutions."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from pinns._regions import Box, Faces
from pinns._taylor import derivatives, gradient
from pinns.problems._condition import Condition
from pinns.problems._known import Known, one

_CIRCLE = Box((0.0, 0.0), (2 * math.pi, 1.0))


@dataclasses.dataclass(frozen=True)
class Convection(Known):
    r"""u_t + β u_x = 0 on [0, 2π] × [0, 1], periodic in x, u(x, 0) = sin x: u = sin(x − βt).

    Args:
      beta: Velocity β.
      num_points: Points inside.
      num_boundary_points: Pairs of points at x = 0 and 2π.
      num_initial_points: Points at t = 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Convection
      >>> print(Convection(40.0).exact(jnp.array([jnp.pi / 2, 0.0])))
      [1.]

    References:
      Krishnapriyan et al., Characterizing possible failure modes in physics-informed neural networks, 2021.
    """

    beta: float = 40.0
    num_points: int = 3000
    num_boundary_points: int = 150
    num_initial_points: int = 200
    domain = _CIRCLE
    axis_names = ("x", "t")

    def conditions(self) -> dict[str, Condition]:
        """The equation, the pairs of points and the start."""
        start = self.domain.face(1, "lower")
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.pair, self.domain.face(0, "lower"), self.num_boundary_points),
            "initial": Condition(self.values, start, self.num_initial_points),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t + β u_x at one point, over the size of β."""
        _, first = gradient(u, x)
        return (first[1] + self.beta * first[0]) / max(1.0, abs(self.beta))

    def pair(self, u, x: jax.Array) -> jax.Array:
        """The difference of u at x = 0 and x = 2π."""
        return u(x) - u(x.at[0].add(2 * jnp.pi))

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        return one(jnp.sin(x[0] - self.beta * x[1]))


@dataclasses.dataclass(frozen=True)
class Reaction(Known):
    r"""u_t = ρ u (1 − u) on [0, 2π] × [0, 1], u(x, 0) a Gaussian bump.

    .. math::
      h = \exp\Big(-\frac{(x - \pi)^2}{2 (\pi/4)^2}\Big), \qquad
      u = \frac{h e^{\rho t}}{h e^{\rho t} + 1 - h}

    Args:
      rho: Rate ρ.
      num_points: Points inside.
      num_initial_points: Points at t = 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Reaction
      >>> print(Reaction().exact(jnp.array([jnp.pi, 0.3])))
      [1.]

    References:
      Krishnapriyan et al., Characterizing possible failure modes in physics-informed neural networks, 2021.
    """

    rho: float = 5.0
    num_points: int = 3000
    num_initial_points: int = 200
    domain = _CIRCLE
    axis_names = ("x", "t")

    def conditions(self) -> dict[str, Condition]:
        """The equation and the start; no condition in x is needed."""
        start = self.domain.face(1, "lower")
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "initial": Condition(self.values, start, self.num_initial_points),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t − ρ u (1 − u) at one point."""
        value, first = gradient(u, x, axes=(1,))
        return first[0] - self.rho * value * (1 - value)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        h = jnp.exp(-((x[0] - jnp.pi) ** 2) / (2 * (jnp.pi / 4) ** 2))
        grown = h * jnp.exp(self.rho * x[1])
        return one(grown / (grown + 1 - h))


@dataclasses.dataclass(frozen=True)
class Wave(Known):
    r"""u_tt = 4 u_xx on [0, 1]², u = 0 at both ends, with two modes.

    .. math:: u = \sin \pi x \cos 2 \pi t + \tfrac12 \sin \beta \pi x \cos 2 \beta \pi t

    Args:
      beta: Wave number β of the second mode, a whole number.
      num_points: Points inside.
      num_boundary_points: Points at both ends.
      num_initial_points: Points at t = 0, for the values and for the slopes.

    Raises:
      ValueError: ``beta`` is no whole number.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Wave
      >>> print(Wave().exact(jnp.array([0.5, 0.0])).round(5))
      [1.]

    References:
      Wang, Yu and Perdikaris, When and why PINNs fail to train: a neural tangent kernel perspective, 2022.
    """

    beta: float = 4.0
    num_points: int = 3000
    num_boundary_points: int = 150
    num_initial_points: int = 150
    domain = Box((0.0, 0.0), (1.0, 1.0))
    axis_names = ("x", "t")

    def __post_init__(self) -> None:
        if self.beta != round(self.beta):
            raise ValueError(f"beta must be a whole number, for u = 0 at both ends, got {self.beta}.")

    def conditions(self) -> dict[str, Condition]:
        """The equation, the ends, values and slopes at the start."""
        ends = Faces(self.domain, ((0, "lower"), (0, "upper")))
        start = self.domain.face(1, "lower")
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.boundary, ends, self.num_boundary_points),
            "initial": Condition(self.values, start, self.num_initial_points),
            "initial_slope": Condition(self.slope, start, self.num_initial_points),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_tt − 4 u_xx at one point."""
        _, _, second = derivatives(u, x, order=2)
        return second[1] - 4 * second[0]

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value, which should be 0."""
        return u(x)

    def slope(self, u, x: jax.Array) -> jax.Array:
        """u_t, which should be 0."""
        return gradient(u, x, axes=(1,))[1][0]

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        mode = lambda k: jnp.sin(k * jnp.pi * x[0]) * jnp.cos(2 * k * jnp.pi * x[1])
        return one(mode(1.0) + mode(self.beta) / 2)
