"""The nonlinear Schrödinger equation, two real outputs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pinns._taylor import derivatives
from pinns.problems._base import Condition
from pinns.problems._conditions import FieldProblem
from pinns.sampling import Box, Faces


@dataclasses.dataclass(frozen=True)
class Schroedinger(FieldProblem):
    r"""i ψ_t + ½ ψ_xx + |ψ|² ψ = 0 on [−10, 10] × [0, π/2] with ψ = 2 sech x at t = 0.

    .. math::
      \psi = u + i v = 4 e^{it/2} \frac{\cosh 3x + 3 e^{4it} \cosh x}{\cosh 4x + 4 \cosh 2x + 3 \cos 4t}

    Its values are given on the sides: with a period on [−5, 5], as it is often posed, the solution is another
    one, 1 % away at t = π/2.

    Args:
      num_points: The points inside.
      num_boundary_points: The points on the sides x = ±10.
      num_initial_points: The points at t = 0.
      boundary_weight: The weight of the sides.
      initial_weight: The weight of the initial values.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import Schroedinger
      >>> print(Schroedinger().exact(jnp.array([0.0, 0.0])))
      [2. 0.]

    References:
      Satsuma and Yajima, Initial value problems of one-dimensional self-modulation of nonlinear waves in
      dispersive media, 1974 (the solution).
      Raissi, Perdikaris and Karniadakis, Physics-informed neural networks, 2019 (the periodic problem).
    """

    num_points: int = 4000
    num_boundary_points: int = 100
    num_initial_points: int = 200
    boundary_weight: float = 1.0
    initial_weight: float = 1.0
    domain = Box((-10.0, 0.0), (10.0, float(np.pi) / 2))
    output_names = ("u", "v")

    def conditions(self) -> dict[str, Condition]:
        """The equation, the sides and the initial values."""
        sides = Faces(self.domain, ((0, "lower"), (0, "upper")))
        start = self.domain.face(1, "lower")
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.dirichlet, sides, self.num_boundary_points, self.boundary_weight),
            "initial": Condition(self.dirichlet, start, self.num_initial_points, self.initial_weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """Real and imaginary part of the equation at one point, shape (2,)."""
        value, _, (second,) = derivatives(u, x, order=2, directions=(0,))
        _, (u_t,) = derivatives(u, x, order=1, directions=(1,))
        rotated = jnp.stack([-u_t[1], u_t[0]])  # i ψ_t
        return rotated + second / 2 + jnp.sum(jnp.square(value)) * value

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u, v at one point, shape (2,)."""
        space, t = jnp.abs(x[0]), x[1]
        # Numerator and denominator times e^{-4|x|}, so that nothing overflows in float32 either.
        decay = jnp.exp(-space)
        cosh3, cosh1 = (decay + decay**7) / 2, (decay**3 + decay**5) / 2
        denominator = (1 + decay**8) / 2 + 2 * (decay**2 + decay**6) + 3 * jnp.cos(4 * t) * decay**4
        real, imaginary = cosh3 + 3 * jnp.cos(4 * t) * cosh1, 3 * jnp.sin(4 * t) * cosh1
        c, s = jnp.cos(t / 2), jnp.sin(t / 2)
        return 4 * jnp.stack([c * real - s * imaginary, s * real + c * imaginary]) / denominator
