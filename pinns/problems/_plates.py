"""Bending of beams and plates: equations of order four."""

import dataclasses

import jax
import jax.numpy as jnp

from pinns._taylor import biharmonic, derivatives
from pinns.problems._base import Condition
from pinns.problems._conditions import FieldProblem
from pinns.sampling import Box, Faces


@dataclasses.dataclass(frozen=True)
class Beam(FieldProblem):
    r"""A beam under its weight, u'''' + 1 = 0 on [0, 1].

    .. math:: u = -\frac{x^2 (1 - x)^2}{24}, \qquad u = -\frac{x^4}{24} + \frac{x^3}{6} - \frac{x^2}{4}

    clamped at both ends, u = u' = 0, or as a cantilever, u(0) = u'(0) = u''(1) = u'''(1) = 0.

    Args:
      support: ``"clamped"`` or ``"cantilever"``.
      num_points: The points inside.
      boundary_weight: The weight of each condition at the ends.

    Raises:
      ValueError: Another support.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import Beam
      >>> print(Beam("cantilever").exact(jnp.ones(1)))
      [-0.125]

    References:
      Timoshenko, Strength of materials I, 1940.
    """

    support: str = "clamped"
    num_points: int = 100
    boundary_weight: float = 1.0
    domain = Box((0.0,), (1.0,))

    def __post_init__(self) -> None:
        if self.support not in ("clamped", "cantilever"):
            raise ValueError(f"support must be 'clamped' or 'cantilever', got {self.support!r}.")

    def conditions(self) -> dict[str, Condition]:
        """The equation, and two conditions at each end."""
        found = {"pde": Condition(self.pde, self.domain, self.num_points)}
        if self.support == "clamped":
            ends, weight = self.domain.boundary(), self.boundary_weight
            found["boundary"] = Condition(self.boundary, ends, 2, weight)
            found["boundary_slope"] = Condition(self.slope, ends, 2, weight)
            return found
        wall, free = self.domain.face(0, "lower"), self.domain.face(0, "upper")
        for name, residual, end in (
            ("boundary", self.boundary, wall),
            ("boundary_slope", self.slope, wall),
            ("moment", self.moment, free),
            ("shear", self.shear, free),
        ):
            found[name] = Condition(residual, end, 1, self.boundary_weight)
        return found

    def pde(self, u, x: jax.Array) -> jax.Array:
        """The residual u'''' + 1 at one point."""
        return derivatives(u, x, order=4)[4][0] + 1

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The deflection, which should be 0."""
        return u(x)

    def slope(self, u, x: jax.Array) -> jax.Array:
        """The slope u', which should be 0."""
        return derivatives(u, x, order=1)[1][0]

    def moment(self, u, x: jax.Array) -> jax.Array:
        """The bending moment u'', which should be 0."""
        return derivatives(u, x, order=2)[2][0]

    def shear(self, u, x: jax.Array) -> jax.Array:
        """The shear force u''', which should be 0."""
        return derivatives(u, x, order=3)[3][0]

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, shape (1,)."""
        if self.support == "clamped":
            return -jnp.square(x * (1 - x)) / 24
        return -(x**4) / 24 + x**3 / 6 - x**2 / 4


@dataclasses.dataclass(frozen=True)
class Biharmonic(FieldProblem):
    r"""Δ²u = f on the unit square, clamped: u = 0 and ∂u/∂n = 0 on the boundary.

    .. math:: u = \sin^2 \pi x \sin^2 \pi y

    Args:
      num_points: The points inside.
      num_boundary_points: The points on the boundary, for values and slopes each.
      boundary_weight: The weight of the values and of the slopes each.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import Biharmonic
      >>> print(Biharmonic().exact(jnp.array([0.5, 0.5])))
      [1.]

    References:
      Timoshenko and Woinowsky-Krieger, Theory of plates and shells, 1959.
    """

    num_points: int = 2000
    num_boundary_points: int = 400
    boundary_weight: float = 1.0
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self) -> dict[str, Condition]:
        """The equation, the values on the boundary and the slopes across it."""
        boundary, number, weight = self.domain.boundary(), self.num_boundary_points, self.boundary_weight
        sides = {axis: Faces(self.domain, ((axis, "lower"), (axis, "upper"))) for axis in (0, 1)}
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.boundary, boundary, number, weight),
            "boundary_slope_x": Condition(self.slope_x, sides[0], max(1, number // 2), weight),
            "boundary_slope_y": Condition(self.slope_y, sides[1], max(1, number // 2), weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """Δ²u − f at one point."""
        return biharmonic(u, x) - self.forcing(x)

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value, which should be 0."""
        return u(x)

    def slope_x(self, u, x: jax.Array) -> jax.Array:
        """u_x, which should be 0 on the sides across x."""
        return derivatives(u, x, order=1, directions=(0,))[1][0]

    def slope_y(self, u, x: jax.Array) -> jax.Array:
        """u_y, which should be 0 on the sides across y."""
        return derivatives(u, x, order=1, directions=(1,))[1][0]

    def forcing(self, x: jax.Array) -> jax.Array:
        """The right-hand side f at one point, shape (1,)."""
        c, d = jnp.cos(2 * jnp.pi * x[:1]), jnp.cos(2 * jnp.pi * x[1])
        return 4 * jnp.pi**4 * (4 * c * d - c - d)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, shape (1,)."""
        return jnp.prod(jnp.square(jnp.sin(jnp.pi * x)), keepdims=True)
