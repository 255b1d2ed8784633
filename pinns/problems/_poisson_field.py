"""Poisson's equation in many dimensions, and with several scales."""

import dataclasses

import jax
import jax.numpy as jnp

from pinns._taylor import laplacian
from pinns.problems._base import Condition
from pinns.problems._conditions import FieldProblem
from pinns.sampling import Box


class _Poisson(FieldProblem):
    """−Δu = f with u given on the boundary."""

    domain: Box
    num_points: int
    num_boundary_points: int
    boundary_weight: float

    def conditions(self) -> dict[str, Condition]:
        """The equation inside and the values on the boundary."""
        boundary = self.domain.boundary()
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.dirichlet, boundary, self.num_boundary_points, self.boundary_weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """−Δu − f at one point."""
        _, _, lap = laplacian(u, x)
        return -lap - self.forcing(x)

    def forcing(self, x: jax.Array) -> jax.Array:
        """The right-hand side f at one point, shape (1,)."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class PoissonND(_Poisson):
    r"""−Δu = f on [0, 1]ᵈ with u given on the boundary.

    .. math::
      u = \sum_i \cos \pi x_i, \quad f = \pi^2 u \qquad \text{or} \qquad
      u = \sum_i x_{2i-1} x_{2i}, \quad f = 0

    Args:
      dim: The dimension d; in the literature 5 with the cosines, 10 with the harmonic polynomial.
      solution: ``"cosine"`` or ``"harmonic"``.
      num_points: The points inside.
      num_boundary_points: The points on the boundary.
      boundary_weight: The weight of the boundary.

    Raises:
      ValueError: Another solution, a dimension below 1, or an odd one with the harmonic solution.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import PoissonND
      >>> print(PoissonND(10, "harmonic").exact(jnp.ones(10)))
      [5.]

    References:
      Müller and Zeinhofer, Achieving high accuracy with PINNs via energy natural gradients, 2023 (d = 5).
      Yu and E, The deep Ritz method, 2018 (d = 10).
    """

    dim: int = 5
    solution: str = "cosine"
    num_points: int = 3000
    num_boundary_points: int = 1000
    boundary_weight: float = 1.0
    domain: Box = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.solution not in ("cosine", "harmonic"):
            raise ValueError(f"solution must be 'cosine' or 'harmonic', got {self.solution!r}.")
        if self.dim < 1 or (self.solution == "harmonic" and self.dim % 2):
            raise ValueError(f"dim must be at least 1, and even for 'harmonic', got {self.dim}.")
        object.__setattr__(self, "domain", Box((0.0,) * self.dim, (1.0,) * self.dim))

    def forcing(self, x: jax.Array) -> jax.Array:
        """The right-hand side f at one point, shape (1,)."""
        return jnp.pi**2 * self.exact(x) if self.solution == "cosine" else jnp.zeros_like(x[:1])

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, shape (1,)."""
        terms = jnp.cos(jnp.pi * x) if self.solution == "cosine" else x[::2] * x[1::2]
        return jnp.sum(terms, keepdims=True)


@dataclasses.dataclass(frozen=True)
class PoissonMultiscale2D(_Poisson):
    r"""−Δu = f on the unit square with u = 0 on its boundary and four scales.

    .. math:: u = \tfrac14 \sum_{\omega = 4, 8, 12, 16} \sin \omega \pi x \sin \omega \pi y

    Args:
      num_points: The points inside.
      num_boundary_points: The points on the boundary.
      boundary_weight: The weight of the boundary.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import PoissonMultiscale2D
      >>> print(PoissonMultiscale2D().exact(jnp.array([0.125, 0.125])).round(3))
      [0.5]

    References:
      Moseley, Markham and Nissen-Meyer, Finite basis physics-informed neural networks, 2023 (such scales).
    """

    num_points: int = 4000
    num_boundary_points: int = 400
    boundary_weight: float = 1.0
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def forcing(self, x: jax.Array) -> jax.Array:
        """The right-hand side f at one point, shape (1,)."""
        return sum((w**2 * jnp.pi**2 / 2 * self._mode(x, w) for w in (4, 8, 12, 16)), jnp.zeros_like(x[:1]))

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, shape (1,)."""
        return sum((self._mode(x, w) / 4 for w in (4, 8, 12, 16)), jnp.zeros_like(x[:1]))

    def _mode(self, x: jax.Array, w: int) -> jax.Array:
        return jnp.sin(w * jnp.pi * x[:1]) * jnp.sin(w * jnp.pi * x[1])
