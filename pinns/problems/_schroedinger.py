"""The nonlinear Schrödinger equation."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from pinns._regions import Box, Faces
from pinns._taylor import derivatives
from pinns.problems._condition import Condition
from pinns.problems._known import Known


@dataclasses.dataclass(frozen=True)
class Schroedinger(Known):
    r"""i h_t + ½ h_xx + ‖h‖² h = 0 with h(x, 0) = 2 sech x on [−10, 10] × [0, π/2]: the breather.

    .. math::
      h = \frac{4 e^{it/2} (\cosh 3x + 3 e^{4it} \cosh x)}{\cosh 4x + 4 \cosh 2x + 3 \cos 4t}

    Outputs are real and imaginary part. On the periodic box [−5, 5] of Raissi et al. the closed form is off
    by 1 %: that is another problem.

    Args:
      num_points: Points inside.
      num_boundary_points: Points at both ends.
      num_initial_points: Points at t = 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Schroedinger
      >>> print(Schroedinger().exact(jnp.array([0.0, 0.0])))
      [2. 0.]

    References:
      Satsuma and Yajima, Initial value problems of one-dimensional self-modulation of nonlinear waves in
      dispersive media, 1974.
    """

    num_points: int = 3000
    num_boundary_points: int = 100
    num_initial_points: int = 300
    domain = Box((-10.0, 0.0), (10.0, math.pi / 2))
    axis_names = ("x", "t")
    output_names = ("real", "imaginary")

    def conditions(self) -> dict[str, Condition]:
        """The equation, the values at both ends and at the start."""
        ends = Faces(self.domain, ((0, "lower"), (0, "upper")))
        start = self.domain.face(1, "lower")
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.values, ends, self.num_boundary_points),
            "initial": Condition(self.values, start, self.num_initial_points),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """Real and imaginary part of the equation at one point, shape (2,)."""
        value, first, second = derivatives(u, x, order=2)
        curvature = second[0] / 2 + jnp.sum(value**2) * value
        return jnp.stack([-first[1, 1] + curvature[0], first[1, 0] + curvature[1]])

    def exact(self, x: jax.Array) -> jax.Array:
        """Real and imaginary part at one point, shape (2,)."""
        place, t = x[0], x[1]
        # Everything over cosh 4x, which overflows in float32 beyond |x| = 22.
        below = jnp.cosh(4 * place) + 4 * jnp.cosh(2 * place) + 3 * jnp.cos(4 * t)
        wide, narrow = 4 * jnp.cosh(3 * place) / below, 12 * jnp.cosh(place) / below
        real = wide * jnp.cos(t / 2) + narrow * jnp.cos(4.5 * t)
        imaginary = wide * jnp.sin(t / 2) + narrow * jnp.sin(4.5 * t)
        return jnp.stack([real, imaginary])
