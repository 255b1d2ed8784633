"""Steady incompressible flow."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from pinns._regions import Box, Faces, FixedPoints
from pinns._taylor import second_derivatives
from pinns.problems._condition import Condition
from pinns.problems._known import Known
from pinns.problems._tables import load_table
from pinns.problems._tabulated import Tabulated


def momentum(u, x: jax.Array, reynolds: float) -> jax.Array:
    """(w·∇)w + ∇p − Δw/Re and ∇·w of outputs (w₁, w₂, p) at one point, shape (3,)."""
    value, first, second = second_derivatives(u, x)
    velocity = value[:2]
    convection = velocity[0] * first[0, :2] + velocity[1] * first[1, :2]
    forces = convection + first[:, 2] - (second[0, :2] + second[1, :2]) / reynolds
    return jnp.concatenate([forces, jnp.reshape(first[0, 0] + first[1, 1], (1,))])


@dataclasses.dataclass(frozen=True)
class Kovasznay(Known):
    r"""Kovasznay's flow behind a grid: steady Navier–Stokes on [−½, 1] × [−½, 1½].

    .. math::
      u = 1 - e^{\lambda x} \cos 2\pi y, \quad v = \frac{\lambda}{2\pi} e^{\lambda x} \sin 2\pi y, \quad
      p = \tfrac12 (1 - e^{2 \lambda x}), \quad \lambda = \tfrac{Re}{2} - \sqrt{\tfrac{Re^2}{4} + 4\pi^2}

    Args:
      reynolds: Reynolds number Re > 0.
      num_points: Points inside.
      num_boundary_points: Points on the boundary, for the velocity; a quarter of them at x = 1 for p.

    Raises:
      ValueError: Re ≤ 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Kovasznay
      >>> print(abs(Kovasznay().exact(jnp.zeros(2))))
      [0. 0. 0.]

    References:
      Kovasznay, Laminar flow behind a two-dimensional grid, 1948.
    """

    reynolds: float = 20.0
    num_points: int = 1500
    num_boundary_points: int = 320
    domain = Box((-0.5, -0.5), (1.0, 1.5))
    output_names = ("u", "v", "p")

    def __post_init__(self) -> None:
        if not self.reynolds > 0:
            raise ValueError(f"reynolds must be positive, got {self.reynolds}.")

    def conditions(self) -> dict[str, Condition]:
        """The equations, the velocity on the boundary, and the pressure at the outlet."""
        outlet = self.domain.face(0, "upper")
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.velocity, self.domain.boundary(), self.num_boundary_points),
            "outlet": Condition(self.pressure, outlet, max(1, self.num_boundary_points // 4)),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """Momentum and continuity at one point, shape (3,)."""
        return momentum(u, x, self.reynolds)

    def velocity(self, u, x: jax.Array) -> jax.Array:
        """The difference of the velocity from its values."""
        return self.values(u, x)[:2]

    def pressure(self, u, x: jax.Array) -> jax.Array:
        """The difference of the pressure from its values."""
        return self.values(u, x)[2:]

    def exact(self, x: jax.Array) -> jax.Array:
        """Velocity and pressure at one point, shape (3,)."""
        rate = self.reynolds / 2 - math.sqrt(self.reynolds**2 / 4 + 4 * math.pi**2)
        grown, phase = jnp.exp(rate * x[0]), 2 * jnp.pi * x[1]
        return jnp.stack(
            [
                1 - grown * jnp.cos(phase),
                rate / (2 * jnp.pi) * grown * jnp.sin(phase),
                (1 - grown**2) / 2,
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
    total = jnp.zeros(3, jnp.result_type(x, float))
    for sign, a in ((1.0, x[0]), (-1.0, 1 - x[0])):
        b = 1 - x[1]
        angle = jnp.arctan2(a, b)
        pressure = sign * 4 / reynolds * jnp.log(jnp.maximum(a**2 + b**2, 1e-6))
        total += jnp.stack([4 * a - 4 * angle * b, sign * 2 * a * (jnp.pi - 2 * angle), pressure])
    return total


@dataclasses.dataclass(frozen=True)
class LidDrivenCavity(Tabulated):
    r"""Steady Navier–Stokes in the unit square, driven by a lid that moves at speed g(x).

    .. math::
      g = 16 x^2 (1 - x)^2 \ \text{("regularised")} \quad\text{or}\quad
      g = 4 x (1 - x) \ \text{("parabolic")}

    The parabolic lid makes the pressure infinite at its corners. Tables exist for Re = 100, 400 and 1000 with
    the regularised lid and for Re = 100 with the parabolic one; for others ``exact`` is None. What is
    compared is the velocity.

    Args:
      reynolds: Reynolds number Re > 0.
      lid: ``"regularised"`` or ``"parabolic"``.
      num_points: Points inside.
      num_boundary_points: Points on the walls.

    Raises:
      ValueError: Another lid, or Re ≤ 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import LidDrivenCavity
      >>> print(LidDrivenCavity().speed(jnp.array([0.5, 1.0])))
      1.0

    References:
      Shen, Hopf bifurcation of the unsteady regularized driven cavity flow, 1991.
    """

    reynolds: float = 100.0
    lid: str = "regularised"
    num_points: int = 2500
    num_boundary_points: int = 400
    domain = Box((0.0, 0.0), (1.0, 1.0))
    output_names = ("u", "v")

    def __post_init__(self) -> None:
        if self.lid not in ("regularised", "parabolic") or not self.reynolds > 0:
            raise ValueError(
                f"lid must be 'regularised' or 'parabolic' and reynolds positive, got {self.lid!r}, "
                f"{self.reynolds}."
            )

    def conditions(self) -> dict[str, Condition]:
        """The equations, no slip, the lid, and the pressure of one corner."""
        walls = Faces(self.domain, ((0, "lower"), (0, "upper"), (1, "lower"), (1, "upper")))
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.no_slip, walls, self.num_boundary_points),
            "pressure": Condition(self.corner, FixedPoints([[0.0, 0.0]]), 1),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """Momentum and continuity at one point, shape (3,)."""
        return momentum(u, x, self.reynolds)

    def no_slip(self, u, x: jax.Array) -> jax.Array:
        """The difference of the velocity from that of the wall."""
        wall = jnp.stack([jnp.where(x[1] >= 1, self.speed(x), 0.0), jnp.zeros((), x.dtype)])
        return u(x)[:2] - wall

    def corner(self, u, x: jax.Array) -> jax.Array:
        """The pressure, which is free up to a constant: 0 in the corner at the origin."""
        return u(x)[2:]

    def speed(self, x: jax.Array) -> jax.Array:
        """The speed g of the lid above one point."""
        parabola = 4 * x[0] * (1 - x[0])
        return parabola if self.lid == "parabolic" else parabola**2

    def predict(self, u, x: jax.Array) -> jax.Array:
        """The velocity."""
        return u(x)[:2]

    @property
    def table(self) -> str | None:
        """The name of the table of :meth:`flow`, or None where there is none."""
        known = {"regularised": (100, 400, 1000), "parabolic": (100,)}[self.lid]
        return f"cavity_{self.lid}_{self.reynolds:.0f}" if self.reynolds in known else None

    def flow(self, x: jax.Array) -> jax.Array | None:
        """Velocity and pressure at one point, shape (3,), or None without a table."""
        if self.table is None:
            return None
        table = load_table(self.table)
        corner = lambda z: (
            corner_flow(z, self.reynolds) if self.lid == "parabolic" else jnp.zeros_like(table(z))
        )
        whole = lambda z: table(z) + corner(z)
        # The table's pressure is 0 in the middle.
        return whole(x).at[2].add(-whole(jnp.zeros_like(x))[2])

    def exact(self, x: jax.Array) -> jax.Array | None:
        """The velocity at one point, shape (2,), or None without a table."""
        flow = self.flow(x)
        return None if flow is None else flow[:2]
