"""Steady incompressible flow in the plane: three outputs u, v, p."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pinns._taylor import derivatives
from pinns.problems._base import Condition
from pinns.problems._conditions import At, FieldProblem
from pinns.problems._tables import load_table
from pinns.sampling import Box


class _NavierStokes(FieldProblem):
    """The equations (u·∇)u + ∇p = Δu / Re and ∇·u = 0."""

    reynolds: float
    output_names = ("u", "v", "p")

    def momentum_x(self, u, x: jax.Array) -> jax.Array:
        """The residual u u_x + v u_y + p_x − Δu / Re at one point, a scalar."""
        return self._momentum(u, x, 0)

    def momentum_y(self, u, x: jax.Array) -> jax.Array:
        """The residual u v_x + v v_y + p_y − Δv / Re at one point, a scalar."""
        return self._momentum(u, x, 1)

    def continuity(self, u, x: jax.Array) -> jax.Array:
        """u_x + v_y at one point, a scalar."""
        _, first = derivatives(u, x, order=1)
        return first[0, 0] + first[1, 1]

    def velocity(self, u, x: jax.Array) -> jax.Array:
        """The velocity minus the exact one, shape (2,)."""
        return self.dirichlet(u, x)[:2]

    def pressure(self, u, x: jax.Array) -> jax.Array:
        """The pressure minus the exact one, a scalar."""
        return self.dirichlet(u, x)[2]

    def _momentum(self, u, x: jax.Array, axis: int) -> jax.Array:
        value, first, second = derivatives(u, x, order=2)
        convection = value[0] * first[0, axis] + value[1] * first[1, axis]
        return convection + first[axis, 2] - (second[0, axis] + second[1, axis]) / self.reynolds


@dataclasses.dataclass(frozen=True)
class Kovasznay(_NavierStokes):
    r"""Flow behind a grid on [−½, 1] × [−½, 3/2], (u·∇)u + ∇p = Δu / Re, ∇·u = 0.

    .. math::
      u = 1 - e^{\lambda x} \cos 2 \pi y, \quad v = \frac{\lambda}{2 \pi} e^{\lambda x} \sin 2 \pi y, \quad
      p = \tfrac12 (1 - e^{2 \lambda x}), \qquad \lambda = \frac{Re}{2} - \sqrt{\frac{Re^2}{4} + 4 \pi^2}

    The velocity is given on the boundary, the pressure on the side x = 1.

    Args:
      reynolds: The Reynolds number, 20 or 40 in the literature.
      num_points: The points inside, for each of the three equations.
      num_boundary_points: The points on the boundary, and a quarter of them for the pressure.
      boundary_weight: The weight of the velocity and of the pressure each.

    Raises:
      ValueError: A Reynolds number that is not positive.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import Kovasznay
      >>> print(Kovasznay().exact(jnp.array([0.0, 0.5])).round(3))
      [2. 0. 0.]

    References:
      Kovasznay, Laminar flow behind a two-dimensional grid, 1948.
    """

    reynolds: float = 20.0
    num_points: int = 1000
    num_boundary_points: int = 400
    boundary_weight: float = 1.0
    domain = Box((-0.5, -0.5), (1.0, 1.5))

    def __post_init__(self) -> None:
        if not self.reynolds > 0:
            raise ValueError(f"reynolds must be positive, got {self.reynolds}.")

    def conditions(self) -> dict[str, Condition]:
        """The three equations, the velocity on the boundary and the pressure on one side."""
        number, weight = self.num_boundary_points, self.boundary_weight
        outflow = self.domain.face(0, "upper")
        return {
            "momentum_x": Condition(self.momentum_x, self.domain, self.num_points),
            "momentum_y": Condition(self.momentum_y, self.domain, self.num_points),
            "continuity": Condition(self.continuity, self.domain, self.num_points),
            "boundary": Condition(self.velocity, self.domain.boundary(), number, weight),
            "pressure": Condition(self.pressure, outflow, max(1, number // 4), weight),
        }

    def exact(self, x: jax.Array) -> jax.Array:
        """Velocity and pressure at one point, shape (3,)."""
        rate = self.reynolds / 2 - float(np.hypot(self.reynolds / 2, 2 * np.pi))
        growth, angle = jnp.exp(rate * x[0]), 2 * jnp.pi * x[1]
        return jnp.stack(
            [
                1 - growth * jnp.cos(angle),
                rate / (2 * jnp.pi) * growth * jnp.sin(angle),
                (1 - growth**2) / 2,
            ]
        )


def corner_flow(x: jax.Array, reynolds: float) -> jax.Array:
    r"""Velocity and pressure of Stokes' flow at the upper corners below a lid of speed 4r, shape (3,).

    .. math::
      \psi = r^2 \left(2 \theta - \tfrac{\pi}{2} + \tfrac{\pi}{2} \cos 2\theta - \sin 2\theta\right), \quad
      p = \pm \frac{8}{Re} \ln r

    at each corner, θ being the angle from the wall to the lid. What the table holds is the rest of the flow.
    The pressure is held at its value for r = 1/1000 nearer to the corners, where it is infinite.
    """
    total = jnp.zeros(3, x.dtype)
    for sign, a in ((1.0, x[0]), (-1.0, 1 - x[0])):
        b = 1 - x[1]
        angle = jnp.arctan2(a, b)
        pressure = sign * 4 / reynolds * jnp.log(jnp.maximum(a**2 + b**2, 1e-6))
        total += jnp.stack([4 * a - 4 * angle * b, sign * 2 * a * (jnp.pi - 2 * angle), pressure])
    return total


@dataclasses.dataclass(frozen=True)
class LidDrivenCavity(_NavierStokes):
    """Flow in [0, 1]² that its lid at y = 1 drives, (u·∇)u + ∇p = Δu / Re, ∇·u = 0, p(½, ½) = 0.

    The lid's speed is 16x²(1 − x)² (``"regularised"``) or 4x(1 − x) (``"parabolic"``), at whose corners the
    pressure is infinite. Tables exist for Re = 100, 400 and 1000 with the first lid and for Re = 100 with the
    second; for others ``exact`` is None.

    Args:
      reynolds: The Reynolds number.
      lid: ``"regularised"`` or ``"parabolic"``.
      num_points: The points inside, for each of the three equations.
      num_boundary_points: The points on the boundary.
      boundary_weight: The weight of the boundary.
      continuity_weight: The weight of ∇·u = 0.

    Raises:
      ValueError: Another lid, or a Reynolds number that is not positive.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import LidDrivenCavity
      >>> print(LidDrivenCavity().exact(jnp.array([0.5, 0.5]))[:2].round(2))
      [-0.16  0.05]

    References:
      Shen, Hopf bifurcation of the unsteady regularized driven cavity flow, 1991.
    """

    reynolds: float = 100.0
    lid: str = "regularised"
    num_points: int = 1500
    num_boundary_points: int = 400
    boundary_weight: float = 1.0
    continuity_weight: float = 1.0
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        if self.lid not in ("regularised", "parabolic"):
            raise ValueError(f"lid must be 'regularised' or 'parabolic', got {self.lid!r}.")
        if not self.reynolds > 0:
            raise ValueError(f"reynolds must be positive, got {self.reynolds}.")

    @property
    def table(self) -> str | None:
        """The name of the table of :meth:`exact`, or None where there is none."""
        known = {"regularised": (100, 400, 1000), "parabolic": (100,)}[self.lid]
        return f"cavity_{self.lid}_{self.reynolds:.0f}" if self.reynolds in known else None

    @property
    def reference_floors(self) -> dict[str, float]:
        """The relative L2 error of the table by output, that of p the largest; nothing without a table."""
        return {} if self.table is None else super().reference_floors

    def conditions(self) -> dict[str, Condition]:
        """The three equations, the velocity on the boundary and the pressure in the middle."""
        boundary = self.domain.boundary()
        return {
            "momentum_x": Condition(self.momentum_x, self.domain, self.num_points),
            "momentum_y": Condition(self.momentum_y, self.domain, self.num_points),
            "continuity": Condition(self.continuity, self.domain, self.num_points, self.continuity_weight),
            "boundary": Condition(self.walls, boundary, self.num_boundary_points, self.boundary_weight),
            "pressure": Condition(self.zero_pressure, At((0.5, 0.5)), 1),
        }

    def walls(self, u, x: jax.Array) -> jax.Array:
        """The velocity minus that of the wall, shape (2,)."""
        along = x[0] * (1 - x[0])
        speed = 4 * along if self.lid == "parabolic" else 16 * along**2
        # Zero on the walls beside by its factor x(1 − x).
        lid = jnp.where(x[1] > 0.5, speed, jnp.zeros_like(speed))
        return u(x)[:2] - jnp.stack([lid, jnp.zeros_like(lid)])

    def zero_pressure(self, u, x: jax.Array) -> jax.Array:
        """The pressure, which should be 0 there; a scalar."""
        return u(x)[2]

    def exact(self, x: jax.Array) -> jax.Array | None:
        """Velocity and pressure at one point, shape (3,), or None without a table."""
        if self.table is None:
            return None
        smooth = load_table(self.table)(x)
        return smooth + corner_flow(x, self.reynolds) if self.lid == "parabolic" else smooth
