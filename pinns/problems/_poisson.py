"""Poisson's equation with smooth and multi-scale solutions, paper Sections 2.2 and 4.2."""

import dataclasses

import jax
import jax.numpy as jnp

from pinns._operators import laplacian
from pinns._regions import Box
from pinns.problems._base import Problem
from pinns.problems._condition import Condition


@dataclasses.dataclass(frozen=True)
class Poisson1D(Problem):
    r"""−u'' = f on (0, 1), u(0) = u(1) = 0 (paper Eq. 9).

    .. math::
      u_L(x) = \sin 2\pi x, \qquad u_H(x) = \sin 2\pi x + 0.1 \sin 50\pi x

    Args:
      solution: ``"multiscale"`` for u_H or ``"smooth"`` for u_L.
      num_points: points inside, 1,000 in the paper.
      boundary_weight: ω_d of paper Eq. 6.

    Raises:
      ValueError: another ``solution``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Poisson1D
      >>> print(Poisson1D("smooth").exact(jnp.array([0.25])))
      [1.]
    """

    solution: str = "multiscale"
    num_points: int = 1000
    boundary_weight: float = 1.0
    domain = Box((0.0,), (1.0,))

    def __post_init__(self) -> None:
        if self.solution not in ("multiscale", "smooth"):
            raise ValueError(f"solution must be 'multiscale' or 'smooth', got {self.solution!r}.")

    @property
    def _modes(self) -> tuple[tuple[float, float], ...]:
        """Amplitude and frequency of each sine of the solution."""
        smooth = (1.0, 2 * jnp.pi)
        return (smooth,) if self.solution == "smooth" else (smooth, (0.1, 50 * jnp.pi))

    def conditions(self) -> dict[str, Condition]:
        """The equation inside and the values at both ends."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.boundary, self.domain.boundary(), 2, self.boundary_weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """−u'' − f at one point."""
        _, _, second = laplacian(u, x)
        return -second - self.forcing(x)

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value, which should be 0."""
        return u(x)

    def forcing(self, x: jax.Array) -> jax.Array:
        """The right-hand side f at one point."""
        return sum((a * w**2 * jnp.sin(w * x) for a, w in self._modes), start=jnp.zeros_like(x))

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, shape (1,)."""
        return sum((a * jnp.sin(w * x) for a, w in self._modes), start=jnp.zeros_like(x))


@dataclasses.dataclass(frozen=True)
class Poisson2D(Problem):
    r"""−u_xx − u_yy = f on the unit square, u = 0 on its boundary (paper Eq. 20).

    .. math:: u = \sin \pi x \sin \pi y + 0.1 \sin 10\pi x \sin 10\pi y

    The loss is the paper's, with the residual's sign as in Eq. 20: the paper prints u_xx + u_yy − f.

    Args:
      num_points: N_f points inside, 4,000 in the paper.
      num_boundary_points: N_b points on the boundary, 400 in the paper.
      boundary_weight: ω_d of paper Eq. 6.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Poisson2D
      >>> print(Poisson2D().exact(jnp.array([0.5, 0.5])).round(3))
      1.0
    """

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

    def pde(self, u, x: jax.Array) -> jax.Array:
        """−Δu − f at one point."""
        _, _, lap = laplacian(u, x)
        return -lap - self.forcing(x)

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value, which should be 0."""
        return u(x)

    def forcing(self, x: jax.Array) -> jax.Array:
        """The right-hand side f at one point, a scalar."""
        return 2 * jnp.pi**2 * self._mode(x, 1) + 0.1 * 200 * jnp.pi**2 * self._mode(x, 10)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, a scalar."""
        return self._mode(x, 1) + 0.1 * self._mode(x, 10)

    def _mode(self, x: jax.Array, k: int) -> jax.Array:
        return jnp.prod(jnp.sin(k * jnp.pi * x))
