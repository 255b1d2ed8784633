"""Poisson's equation in many dimensions, and with several scales at once."""

import dataclasses

import jax
import jax.numpy as jnp

from pinns._operators import laplacian
from pinns._regions import Box
from pinns.problems._condition import Condition
from pinns.problems._known import Known, one


@dataclasses.dataclass(frozen=True)
class PoissonND(Known):
    r"""−Δu = f on [0, 1]ᵈ with the values of u on the boundary.

    .. math:: u = \sum_i \cos \pi x_i \ \text{("cosines")} \quad\text{or}\quad
      u = \sum_i x_{2i-1} x_{2i} \ \text{("harmonic", f = 0)}

    Args:
      dim: Dimension d; even for ``"harmonic"``.
      solution: ``"cosines"`` or ``"harmonic"``.
      num_points: Points inside.
      num_boundary_points: Points on the boundary.

    Raises:
      ValueError: Another solution, d < 1, or an odd d for ``"harmonic"``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import PoissonND
      >>> print(PoissonND(5).exact(jnp.zeros(5)))
      [5.]

    References:
      Dangel, Müller and Zeinhofer, Kronecker-factored approximate curvature for physics-informed neural
      networks, 2024.
    """

    dim: int = 5
    solution: str = "cosines"
    num_points: int = 3000
    num_boundary_points: int = 500

    def __post_init__(self) -> None:
        odd = self.solution == "harmonic" and self.dim % 2
        if self.solution not in ("cosines", "harmonic") or self.dim < 1 or odd:
            raise ValueError(
                "solution must be 'cosines', or 'harmonic' in an even dimension, got "
                f"{self.solution!r} in {self.dim}."
            )

    @property
    def domain(self) -> Box:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The unit cube."""
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def conditions(self) -> dict[str, Condition]:
        """The equation inside and the values on the boundary."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.values, self.domain.boundary(), self.num_boundary_points),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """−Δu − f at one point."""
        _, _, lap = laplacian(u, x)
        forcing = jnp.pi**2 * self.exact(x) if self.solution == "cosines" else jnp.zeros((1,), x.dtype)
        return -lap - forcing

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        if self.solution == "cosines":
            return one(jnp.sum(jnp.cos(jnp.pi * x)))
        return one(jnp.sum(x[::2] * x[1::2]))


@dataclasses.dataclass(frozen=True)
class PoissonMultiscale2D(Known):
    r"""−Δu = f on the unit square, u = 0 on its boundary, with four scales.

    .. math:: u = \tfrac14 \sum_{w \in \{4, 8, 12, 16\}} \sin w \pi x \sin w \pi y

    Args:
      num_points: Points inside.
      num_boundary_points: Points on the boundary.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import PoissonMultiscale2D
      >>> print(PoissonMultiscale2D().exact(jnp.array([0.0, 0.3])))
      [0.]

    References:
      Dolean, Heinlein, Mishra and Moseley, Multilevel domain decomposition-based architectures for
      physics-informed neural networks, 2024.
    """

    num_points: int = 4000
    num_boundary_points: int = 400
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self) -> dict[str, Condition]:
        """The equation inside and the values on the boundary."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.boundary, self.domain.boundary(), self.num_boundary_points),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """−Δu − f at one point, over the size of f."""
        _, _, lap = laplacian(u, x)
        forcing = sum(2 * (w * jnp.pi) ** 2 * self._mode(x, w) for w in (4, 8, 12, 16)) / 4
        return (-lap - forcing) / (2 * (16 * jnp.pi) ** 2)

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value, which should be 0."""
        return u(x)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        return one(jnp.sum(jnp.stack([self._mode(x, w) for w in (4, 8, 12, 16)])) / 4)

    def _mode(self, x: jax.Array, w: int) -> jax.Array:
        return jnp.prod(jnp.sin(w * jnp.pi * x))
