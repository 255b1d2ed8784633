"""Burgers' equation with a layer in the middle."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pinns._taylor import derivatives
from pinns.problems._base import Condition
from pinns.problems._conditions import FieldProblem
from pinns.sampling import Box, Faces


def cole_hopf(x: jax.Array, viscosity: float) -> jax.Array:
    """U at one point (x, t), shape (1,), by the trapezoidal rule in a variable that scales with √(νt)."""
    step = 0.1
    half = int(np.ceil(np.sqrt(1 / (np.pi * viscosity) + 40) / step))
    z = step * jnp.arange(-half, half + 1, dtype=x.dtype)
    y = x[0] - jnp.sqrt(4 * viscosity * x[1]) * z
    exponent = -jnp.cos(jnp.pi * y) / (2 * jnp.pi * viscosity) - jnp.square(z)
    weights = jax.nn.softmax(exponent)
    return -jnp.sum(jnp.sin(jnp.pi * y) * weights, keepdims=True)


@dataclasses.dataclass(frozen=True)
class Burgers(FieldProblem):
    r"""u_t + u u_x = ν u_xx on [−1, 1] × [0, 1] with u = −sin πx at t = 0 and u(±1) = 0.

    A layer of width about 2ν/π stands at x = 0 from t ≈ 0.4 on. The solution is Cole and Hopf's,

    .. math::
      u(x, t) = -\frac{\int \sin \pi y \, w \, dz}{\int w \, dz}, \qquad
      w = \exp\left(-\frac{\cos \pi y}{2 \pi \nu} - z^2\right), \quad y = x - \sqrt{4 \nu t} \, z

    Args:
      nu: The viscosity ν > 0; 0.01/π by Raissi et al., others take 0.01.
      num_points: The points inside.
      num_boundary_points: The points on the sides x = ±1.
      num_initial_points: The points at t = 0.
      boundary_weight: The weight of the sides.
      initial_weight: The weight of the initial values.

    Raises:
      ValueError: A ν that is not positive.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import Burgers
      >>> print(Burgers(0.01).exact(jnp.array([0.5, 0.5])).round(4))
      [-0.5887]

    References:
      Raissi, Perdikaris and Karniadakis, Physics-informed neural networks, 2019.
      Basdevant et al., Spectral and finite difference solutions of the Burgers equation, 1986.
    """

    nu: float = 0.01 / float(np.pi)
    num_points: int = 4000
    num_boundary_points: int = 200
    num_initial_points: int = 200
    boundary_weight: float = 1.0
    initial_weight: float = 1.0
    domain = Box((-1.0, 0.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        if not self.nu > 0:
            raise ValueError(f"nu must be positive, got {self.nu}.")

    def conditions(self) -> dict[str, Condition]:
        """The equation, the zero sides and the initial values."""
        sides = Faces(self.domain, ((0, "lower"), (0, "upper")))
        start = self.domain.face(1, "lower")
        return {
            "pde": Condition(self.pde, self.domain, self.num_points),
            "boundary": Condition(self.boundary, sides, self.num_boundary_points, self.boundary_weight),
            "initial": Condition(self.dirichlet, start, self.num_initial_points, self.initial_weight),
        }

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t + u u_x − ν u_xx at one point."""
        value, (u_x,), (u_xx,) = derivatives(u, x, order=2, directions=(0,))
        _, (u_t,) = derivatives(u, x, order=1, directions=(1,))
        return u_t + value * u_x - self.nu * u_xx

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value, which should be 0."""
        return u(x)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution u at one point, shape (1,), right to 1e-12 in float64 at all times in [0, 1]."""
        return cole_hopf(x, self.nu)
