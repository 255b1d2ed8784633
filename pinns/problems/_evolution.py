"""Periodic evolution equations whose solutions are kept as tables."""

import abc
import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from pinns._regions import Box
from pinns._taylor import derivatives
from pinns.problems._condition import Condition
from pinns.problems._tables import load_table
from pinns.problems._tabulated import Tabulated, periodic


class PeriodicEvolution(Tabulated, abc.ABC):
    """An equation with a period along axis 0, given initial values and time along axis 1.

    Attributes:
      spatial_order: How many derivatives, the value first, the periodic conditions compare.
    """

    domain: Box
    spatial_order: ClassVar[int] = 1
    axis_names: ClassVar[tuple[str, ...]] = ("x", "t")
    num_points: int
    num_boundary_points: int
    num_initial_points: int
    boundary_weight: float
    initial_weight: float
    periodic_network: bool

    def conditions(self) -> dict[str, Condition]:
        """The equation, the initial values and, unless the network has it, the period."""
        side, start = self.domain.face(0, "lower"), self.domain.face(1, "lower")
        found = {"pde": Condition(self.pde, self.domain, self.num_points)}
        if not self.periodic_network:
            found["boundary"] = Condition(self.boundary, side, self.num_boundary_points, self.boundary_weight)
        found["initial"] = Condition(self.start, start, self.num_initial_points, self.initial_weight)
        return found

    @abc.abstractmethod
    def pde(self, u, x: jax.Array) -> jax.Array:
        """The equation's residual at one point."""

    @abc.abstractmethod
    def initial_value(self, x: jax.Array) -> jax.Array:
        """The initial value at the first coordinate, a scalar."""

    def boundary(self, u, x: jax.Array) -> jax.Array:
        """The value and its derivatives on the left minus those on the right."""
        period = self.domain.upper[0] - self.domain.lower[0]
        return periodic(u, x, period=period, order=self.spatial_order)

    def start(self, u, x: jax.Array) -> jax.Array:
        """The value minus the initial one."""
        return u(x) - self.initial_value(x[0])


@dataclasses.dataclass(frozen=True)
class AllenCahn(PeriodicEvolution):
    r"""u_t = 10⁻⁴ u_xx + 5u − 5u³ with period 2 on [−1, 1] × [0, 1].

    .. math::
      u_0 = x^2 \cos 3 \pi x + x^2, \qquad u_0 = x^2 \cos \pi x, \qquad
      u_0 = -\cos \pi x + \tfrac12 \cos 2 \pi x

    for ``"smooth"`` (twice differentiable over the period), ``"jaxpi"``, which has a kink at x = ±1, where
    the floor of the table and of the published ones is 1e-6 to 2e-5, and ``"cosines"``, an entire function.

    Args:
      initial: The initial value u₀, ``"smooth"``, ``"jaxpi"`` or ``"cosines"``.
      num_points: The points inside.
      num_boundary_points: The pairs of points on the two sides.
      num_initial_points: The points at t = 0.
      boundary_weight: The weight of the period.
      initial_weight: The weight of the initial values.
      periodic_network: Whether the network has the period itself, so that it is no condition.

    Raises:
      ValueError: Another ``initial``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import AllenCahn
      >>> print(AllenCahn().exact(jnp.array([0.0, 1.0])).round(4))
      [0.0585]

    References:
      Raissi, Perdikaris and Karniadakis, Physics-informed neural networks, 2019 (``"jaxpi"``).
      Kassam and Trefethen, Fourth-order time-stepping for stiff PDEs, 2005 (the tables).
    """

    initial: str = "smooth"
    num_points: int = 4000
    num_boundary_points: int = 100
    num_initial_points: int = 400
    boundary_weight: float = 1.0
    initial_weight: float = 1.0
    periodic_network: bool = False
    domain = Box((-1.0, 0.0), (1.0, 1.0))
    spatial_order: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.initial not in ("smooth", "jaxpi", "cosines"):
            raise ValueError(f"initial must be 'smooth', 'jaxpi' or 'cosines', got {self.initial!r}.")

    @property
    def table(self) -> str:
        """The name of the table of :meth:`exact`."""
        return f"allen_cahn_{self.initial}"

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t − 10⁻⁴ u_xx − 5u + 5u³ at one point."""
        value, _, (u_xx,) = derivatives(u, x, order=2, directions=(0,))
        _, (u_t,) = derivatives(u, x, order=1, directions=(1,))
        return u_t - 1e-4 * u_xx - 5 * value + 5 * value**3

    def initial_value(self, x: jax.Array) -> jax.Array:
        """u₀ in [−1, 1]."""
        if self.initial == "cosines":
            return -jnp.cos(jnp.pi * x) + jnp.cos(2 * jnp.pi * x) / 2
        if self.initial == "smooth":
            return x**2 * jnp.cos(3 * jnp.pi * x) + x**2
        return x**2 * jnp.cos(jnp.pi * x)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,), from the table."""
        return load_table(self.table)(x)


@dataclasses.dataclass(frozen=True)
class KdV(PeriodicEvolution):
    """Korteweg and de Vries's u_t + u u_x + 0.022² u_xxx = 0 with period 2, u = cos πx at t = 0, t ≤ 1.

    Args:
      num_points: The points inside.
      num_boundary_points: The pairs of points on the two sides.
      num_initial_points: The points at t = 0.
      boundary_weight: The weight of the period.
      initial_weight: The weight of the initial values.
      periodic_network: Whether the network has the period itself, so that it is no condition.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import KdV
      >>> print(KdV().exact(jnp.array([1.0, 0.0])).round(4))
      [-1.]

    References:
      Zabusky and Kruskal, Interaction of "solitons" in a collisionless plasma, 1965.
      Kassam and Trefethen, Fourth-order time-stepping for stiff PDEs, 2005 (the table).
    """

    num_points: int = 4000
    num_boundary_points: int = 100
    num_initial_points: int = 200
    boundary_weight: float = 1.0
    initial_weight: float = 1.0
    periodic_network: bool = False
    domain = Box((-1.0, 0.0), (1.0, 1.0))
    spatial_order: ClassVar[int] = 3

    @property
    def table(self) -> str:
        """The name of the table of :meth:`exact`."""
        return "kdv"

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t + u u_x + 0.022² u_xxx at one point."""
        value, (u_x,), _, (u_xxx,) = derivatives(u, x, order=3, directions=(0,))
        _, (u_t,) = derivatives(u, x, order=1, directions=(1,))
        return u_t + value * u_x + 0.022**2 * u_xxx

    def initial_value(self, x: jax.Array) -> jax.Array:
        """Cos πx."""
        return jnp.cos(jnp.pi * x)

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,), from the table."""
        return load_table(self.table)(x)


@dataclasses.dataclass(frozen=True)
class KuramotoSivashinsky(PeriodicEvolution):
    """u_t + (100/16) u u_x + (100/16²) u_xx + (100/16⁴) u_xxxx = 0 with period 2π, chaotic towards t = 1.

    The initial value is cos x (1 + sin x).

    Args:
      end: The last time, at most 1; 0.1 is the easy beginning.
      num_points: The points inside.
      num_boundary_points: The pairs of points on the two sides.
      num_initial_points: The points at t = 0.
      boundary_weight: The weight of the period.
      initial_weight: The weight of the initial values.
      periodic_network: Whether the network has the period itself, so that it is no condition.

    Raises:
      ValueError: An ``end`` outside (0, 1].

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import KuramotoSivashinsky
      >>> print(KuramotoSivashinsky().exact(jnp.array([0.0, 0.0])).round(4))
      [1.]

    References:
      Wang, Sankaran and Perdikaris, Respecting causality for training physics-informed neural networks, 2024.
      Kassam and Trefethen, Fourth-order time-stepping for stiff PDEs, 2005 (the table).
    """

    end: float = 1.0
    num_points: int = 4000
    num_boundary_points: int = 100
    num_initial_points: int = 200
    boundary_weight: float = 1.0
    initial_weight: float = 1.0
    periodic_network: bool = False
    domain: Box = dataclasses.field(init=False, repr=False, compare=False)
    spatial_order: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if not 0 < self.end <= 1:
            raise ValueError(f"end must be in (0, 1], where the table is, got {self.end}.")
        object.__setattr__(self, "domain", Box((0.0, 0.0), (2 * float(jnp.pi), self.end)))

    @property
    def table(self) -> str:
        """The name of the table of :meth:`exact`."""
        return "kuramoto_sivashinsky"

    def pde(self, u, x: jax.Array) -> jax.Array:
        """u_t + (100/16) u u_x + (100/16²) u_xx + (100/16⁴) u_xxxx at one point."""
        value, (u_x,), (u_xx,), _, (u_xxxx,) = derivatives(u, x, order=4, directions=(0,))
        _, (u_t,) = derivatives(u, x, order=1, directions=(1,))
        return u_t + 100 / 16 * value * u_x + 100 / 16**2 * u_xx + 100 / 16**4 * u_xxxx

    def initial_value(self, x: jax.Array) -> jax.Array:
        """Cos x (1 + sin x)."""
        return jnp.cos(x) * (1 + jnp.sin(x))

    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (1,), from the table."""
        return load_table(self.table)(x)
