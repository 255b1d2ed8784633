"""Stiff ordinary differential equations as boundary value problems of a network."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from pinns._regions import Box
from pinns._taylor import derivatives
from pinns.problems._condition import Condition
from pinns.problems._tables import load_table
from pinns.problems._tabulated import Tabulated


@dataclasses.dataclass(frozen=True)
class Robertson(Tabulated):
    r"""Robertson's chemical reactions for 0 ≤ t ≤ 10⁵ in logarithmic time.

    .. math::
      \dot y_1 = -0.04 y_1 + 10^4 y_2 y_3, \quad
      \dot y_2 = 0.04 y_1 - 10^4 y_2 y_3 - 3 \cdot 10^7 y_2^2, \quad
      \dot y_3 = 3 \cdot 10^7 y_2^2, \qquad y(0) = (1, 0, 0)

    The coordinate is s = log₁₀(t + 10⁻⁵) and the outputs are y₁, z = 10⁴ y₂ and y₃, all of order one. With
    c = ln 10 · (t + 10⁻⁵) the residuals are those of an equivalent system, scaled so that they are of order
    one and determine the slow motion:

    .. math::
      y_1 + 10^{-4} z + y_3 = 1, \qquad
      \frac{z' - 10^4 c \, (0.04 y_1 - z y_3 - 0.3 z^2)}{1 + 10^4 c} = 0, \qquad
      y_3' - 0.3 \, c z^2 = 0

    Args:
      num_points: The points, for each of the three equations.
      initial_weight: The weight of the initial values.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import Robertson
      >>> print(Robertson().exact(jnp.array([-5.0]))[:1].round(3))
      [1.]

    References:
      Robertson, The solution of a set of reaction rate equations, 1966.
      Hairer and Wanner, Solving ordinary differential equations II, 1996.
    """

    num_points: int = 400
    initial_weight: float = 1.0
    domain = Box((-5.0,), (float(np.log10(1e5 + 1e-5)),))
    axis_names = ("log10 t",)
    output_names = ("y1", "1e4 y2", "y3")

    @property
    def table(self) -> str:
        """The name of the table of :meth:`exact`."""
        return "robertson"

    def conditions(self) -> dict[str, Condition]:
        """The three equations and the initial values."""
        start = self.domain.face(0, "lower")
        return {
            "mass": Condition(self.mass, self.domain, self.num_points),
            "y2": Condition(self.intermediate, self.domain, self.num_points),
            "y3": Condition(self.product, self.domain, self.num_points),
            "initial": Condition(self.initial, start, 1, self.initial_weight),
        }

    def mass(self, u, x: jax.Array) -> jax.Array:
        """y₁ + y₂ + y₃ − 1 at one point, a scalar."""
        y = u(x)
        return y[0] + 1e-4 * y[1] + y[2] - 1

    def intermediate(self, u, x: jax.Array) -> jax.Array:
        """The scaled equation of y₂ at one point, a scalar."""
        y, (slope,) = derivatives(u, x, order=1)
        rate = 1e4 * self._clock(x)
        return (slope[1] - rate * (0.04 * y[0] - y[1] * y[2] - 0.3 * y[1] ** 2)) / (1 + rate)

    def product(self, u, x: jax.Array) -> jax.Array:
        """The equation of y₃ at one point, a scalar."""
        y, (slope,) = derivatives(u, x, order=1)
        return slope[2] - 0.3 * self._clock(x) * y[1] ** 2

    def initial(self, u, x: jax.Array) -> jax.Array:
        """The outputs minus (1, 0, 0)."""
        return u(x) - jnp.asarray([1.0, 0.0, 0.0], x.dtype)

    def exact(self, x: jax.Array) -> jax.Array:
        """The outputs at one point, shape (3,), from the table."""
        return load_table(self.table)(x)

    def _clock(self, x: jax.Array) -> jax.Array:
        """dt/ds."""
        return math.log(10.0) * 10.0 ** x[0]


@dataclasses.dataclass(frozen=True)
class VanDerPol(Tabulated):
    r"""Van der Pol's oscillator y'' − μ(1 − y²)y' + y = 0 from y = 2 at rest, for t ≤ 20.

    The outputs are y and Liénard's z = y'/μ + y³/3 − y, with which the equation is a system of first order;
    both residuals are of order one:

    .. math:: \frac{y'}{\mu} + \frac{y^3}{3} - y - z = 0, \qquad \mu z' + y = 0

    Beware of false valleys: a thin layer between the points costs nothing, and y = −1 has the same z as
    y = 2. Trained on all times at once a network ends in one; see :func:`pinns.fit_in_slabs`.

    Args:
      mu: The damping μ > 0; the table, hence ``exact``, is for 10 alone.
      num_points: The points, for each of the two equations.
      initial_weight: The weight of the initial values.

    Raises:
      ValueError: A damping that is not positive.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns.problems import VanDerPol
      >>> print(VanDerPol().exact(jnp.zeros(1))[:1].round(3))
      [2.]

    References:
      Van der Pol, On "relaxation-oscillations", 1926.
      Liénard, Étude des oscillations entretenues, 1928.
    """

    mu: float = 10.0
    num_points: int = 1000
    initial_weight: float = 1.0
    domain = Box((0.0,), (20.0,))
    axis_names = ("t",)
    output_names = ("y", "z")

    def __post_init__(self) -> None:
        if not self.mu > 0:
            raise ValueError(f"mu must be positive, got {self.mu}.")

    @property
    def table(self) -> str | None:
        """The name of the table of :meth:`exact`, or None where there is none."""
        return "van_der_pol" if self.mu == 10 else None

    def conditions(self) -> dict[str, Condition]:
        """The two equations and the initial values."""
        return {
            "y": Condition(self.fast, self.domain, self.num_points),
            "z": Condition(self.slow, self.domain, self.num_points),
            "initial": Condition(self.initial, self.domain.face(0, "lower"), 1, self.initial_weight),
        }

    def fast(self, u, x: jax.Array) -> jax.Array:
        """y'/μ + y³/3 − y − z at one point, a scalar."""
        (y, z), (slope,) = derivatives(u, x, order=1)
        return slope[0] / self.mu + y**3 / 3 - y - z

    def slow(self, u, x: jax.Array) -> jax.Array:
        """μz' + y at one point, a scalar."""
        value, (slope,) = derivatives(u, x, order=1)
        return self.mu * slope[1] + value[0]

    def initial(self, u, x: jax.Array) -> jax.Array:
        """The outputs minus (2, 2/3)."""
        return u(x) - jnp.asarray([2.0, 2.0 / 3.0], x.dtype)

    def exact(self, x: jax.Array) -> jax.Array | None:
        """The outputs at one point, shape (2,), or None where there is no table."""
        if self.table is None:
            return None
        y, slope = load_table(self.table)(x)
        return jnp.stack([y, slope / self.mu + y**3 / 3 - y])
