"""The Helmholtz equation: paper Section 4.3, and with periodic boundaries."""

import dataclasses

import jax
import jax.numpy as jnp

from pinns._operators import laplacian
from pinns._regions import Box
from pinns.problems._base import Problem
from pinns.problems._condition import Condition


class _Helmholtz(Problem):
    """The equation u_xx + u_yy + k² u = f and its solution sin(a₁πx) sin(a₂πy)."""

    k: float
    a1: float
    a2: float

    def pde(self, u, x: jax.Array) -> jax.Array:
        """Δu + k²u − f at one point."""
        value, _, lap = laplacian(u, x)
        return lap + self.k**2 * value - self.forcing(x)

    def forcing(self, x: jax.Array) -> jax.Array:
        """The right-hand side f at one point, a scalar."""
        return (self.k**2 - jnp.pi**2 * (self.a1**2 + self.a2**2)) * self.exact(x)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, a scalar."""
        return jnp.sin(self.a1 * jnp.pi * x[0]) * jnp.sin(self.a2 * jnp.pi * x[1])


@dataclasses.dataclass(frozen=True)
class Helmholtz2D(_Helmholtz):
    r"""u_xx + u_yy + k² u = f on the unit square with u given on its boundary (paper Eq. 21).

    .. math:: u = \sin(a_1 \pi x) \sin(a_2 \pi y), \qquad f = (k^2 - \pi^2 (a_1^2 + a_2^2)) u

    With the paper's k = 4, a₁ = 1 and a₂ = 4; u = 0 on the boundary where a₁ and a₂ are integers.

    Args:
      k: the wave number, any real number.
      a1: half-waves along x.
      a2: half-waves along y.
      num_points: N_f points inside, 4,000 in the paper.
      num_boundary_points: N_b points on the boundary, 400 in the paper.
      boundary_weight: ω_d of paper Eq. 6.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Helmholtz2D
      >>> print(Helmholtz2D(4).exact(jnp.array([0.5, 0.125])).round(3))
      1.0
    """

    k: float = 4.0
    a1: float = 1.0
    a2: float = 4.0
    num_points: int = 4000
    num_boundary_points: int = 400
    boundary_weight: float = 1.0
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self) -> dict[str, Condition]:
        """The equation inside and the values on the boundary."""
        boundary = self.domain.boundary()
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.boundary, boundary, self.num_boundary_points, self.boundary_weight),
        }

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """U minus its given value."""
        return u(x) - self.exact(x)


@dataclasses.dataclass(frozen=True)
class PeriodicHelmholtz2D(_Helmholtz):
    r"""u_xx + u_yy + k² u = f on [−1, 1]² with period 2 along both axes.

    .. math:: u = \sin(a_1 \pi x) \sin(a_2 \pi y), \qquad f = (k^2 - \pi^2 (a_1^2 + a_2^2)) u

    There is no boundary condition: the network has to be periodic, see :class:`pinns.PeriodicMLP`.

    Args:
      k: the wave number; k/π should be no root of a sum of two squares of integers, where u is not unique.
      a1: half-waves along x per unit length, an integer.
      a2: half-waves along y per unit length, an integer.
      num_points: points inside.

    Raises:
      ValueError: a1 or a2 is no integer.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import PeriodicHelmholtz2D
      >>> print(PeriodicHelmholtz2D().exact(jnp.array([0.5, 0.125])).round(3))
      1.0

    References:
      The setting in which second-order methods are compared: Jnini et al., arXiv 2604.05230, 2026, Table 3.
    """

    k: float = 1.0
    a1: float = 1.0
    a2: float = 4.0
    num_points: int = 1500
    domain = Box((-1.0, -1.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        for name in ("a1", "a2"):
            if getattr(self, name) != round(getattr(self, name)):
                raise ValueError(
                    f"{name} must be an integer for a solution of period 2, got {getattr(self, name)}."
                )

    def conditions(self) -> dict[str, Condition]:
        """The equation inside."""
        return {"pde": Condition(self.pde, self.domain, self.num_points)}
