"""The singularly perturbed boundary value problem of paper Section 4.1."""

import dataclasses

import jax
import jax.numpy as jnp

from pinns._operators import laplacian
from pinns._regions import Box
from pinns.problems._base import Problem
from pinns.problems._condition import Condition


@dataclasses.dataclass(frozen=True)
class SingularlyPerturbedODE(Problem):
    r"""−ε y'' + y' = f on (0, 1), y(0) = y(1) = 0, with a layer of width ε at x = 1 (paper Eq. 19).

    .. math::
      y(x) = \frac{1 - e^{x/\epsilon}}{e^{1/\epsilon} - 1} + \sin\frac{\pi x}{2}, \qquad
      L = \tfrac12 \left[ y_\theta(0)^2 + y_\theta(1)^2 \right]
        + \frac1N \sum_i \left| -\epsilon y_\theta'' + y_\theta' - f \right|^2

    Args:
      epsilon: ε > 0, any size: e^{1/ε} is not formed.
      num_points: N, 400 in the paper.
      boundary_weight: ω_d of paper Eq. 6.

    Raises:
      ValueError: ε ≤ 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import SingularlyPerturbedODE
      >>> print(SingularlyPerturbedODE(1e-4).exact(jnp.array([0.5])).round(4))
      [0.7071]
    """

    epsilon: float = 2.0
    num_points: int = 400
    boundary_weight: float = 1.0
    domain = Box((0.0,), (1.0,))

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be positive, got {self.epsilon}.")

    def conditions(self) -> dict[str, Condition]:
        """The equation inside and the values at both ends."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.boundary, self.domain.boundary(), 2, self.boundary_weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """−ε y'' + y' − f at one point."""
        _, first, second = laplacian(u, x)
        return -self.epsilon * second + first[0] - self.forcing(x)

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value, which should be 0."""
        return u(x)

    def forcing(self, x: jax.Array) -> jax.Array:
        """The right-hand side f at one point; the layer term solves the homogeneous equation."""
        a = jnp.pi / 2
        return self.epsilon * a**2 * jnp.sin(a * x) + a * jnp.cos(a * x)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution y at one point, shape (1,)."""
        e = self.epsilon
        layer = jnp.exp((x - 1) / e) * jnp.expm1(-x / e) / -jnp.expm1(-1 / e)
        return layer + jnp.sin(jnp.pi / 2 * x)
