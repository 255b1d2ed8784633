"""Equations of fourth order: beams and plates."""

import dataclasses

import jax
import jax.numpy as jnp

from pinns._operators import biharmonic
from pinns._regions import Box
from pinns._taylor import derivatives, gradient
from pinns.problems._condition import Condition
from pinns.problems._known import Known, one


@dataclasses.dataclass(frozen=True)
class Beam(Known):
    r"""u'''' = −1 on [0, 1]: a beam under its own weight.

    .. math::
      u = -\frac{x^2 (1 - x)^2}{24} \ \text{(clamped)}, \qquad
      u = -\frac{x^4}{24} + \frac{x^3}{6} - \frac{x^2}{4} \ \text{(cantilever)}

    Args:
      support: ``"clamped"``: u = u' = 0 at both ends; ``"cantilever"``: that at x = 0 and u'' = u''' = 0 at
        x = 1.
      num_points: Points inside.

    Raises:
      ValueError: Another support.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Beam
      >>> print(Beam("cantilever").exact(jnp.array([1.0])))
      [-0.125]

    References:
      Timoshenko, Strength of Materials, 1955.
    """

    support: str = "clamped"
    num_points: int = 100
    domain = Box((0.0,), (1.0,))

    def __post_init__(self) -> None:
        if self.support not in ("clamped", "cantilever"):
            raise ValueError(f"support must be 'clamped' or 'cantilever', got {self.support!r}.")

    def conditions(self) -> dict[str, Condition]:
        """The equation and both ends."""
        left, right = self.domain.face(0, "lower"), self.domain.face(0, "upper")
        end = self.clamped if self.support == "clamped" else self.free
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "left": Condition(self.clamped, left, 1),
            "right": Condition(end, right, 1),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """U'''' + 1 at one point."""
        return derivatives(u, x, order=4)[4][0] + 1

    def clamped(self, u, x: jax.Array) -> jax.Array:
        """Value and slope, which should be 0."""
        value, first = gradient(u, x)
        return jnp.concatenate([jnp.ravel(value), jnp.ravel(first[0])])

    def free(self, u, x: jax.Array) -> jax.Array:
        """Bending moment and shear force, which should be 0."""
        _, _, second, third = derivatives(u, x, order=3)
        return jnp.concatenate([jnp.ravel(second[0]), jnp.ravel(third[0])])

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        if self.support == "clamped":
            return -(x**2) * (1 - x) ** 2 / 24
        return -(x**4) / 24 + x**3 / 6 - x**2 / 4


@dataclasses.dataclass(frozen=True)
class Biharmonic(Known):
    r"""Δ²u = f on the unit square, u = ∂u/∂n = 0 on its boundary: a clamped plate.

    .. math:: u = \sin^2 \pi x \, \sin^2 \pi y

    Args:
      num_points: Points inside.
      num_boundary_points: Points on the boundary.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Biharmonic
      >>> print(Biharmonic().exact(jnp.array([0.5, 0.5])))
      [1.]

    References:
      Bialecki, A fourth order finite difference method for the Dirichlet biharmonic problem, 2012.
    """

    num_points: int = 1500
    num_boundary_points: int = 400
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self) -> dict[str, Condition]:
        """The equation inside, values and slopes on the boundary."""
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.clamped, self.domain.boundary(), self.num_boundary_points),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """Δ²u − f at one point, over the size of f."""
        c = jnp.cos(2 * jnp.pi * x)
        forcing = 4 * jnp.pi**4 * (4 * c[0] * c[1] - c[0] - c[1])
        return (biharmonic(u, x) - forcing) / (24 * jnp.pi**4)

    def clamped(self, u, x: jax.Array) -> jax.Array:
        """Value and gradient, which should be 0."""
        value, first = gradient(u, x)
        return jnp.concatenate([jnp.ravel(value), jnp.ravel(first)])

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,)."""
        return one(jnp.prod(jnp.sin(jnp.pi * x) ** 2))
