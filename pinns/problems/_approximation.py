"""Approximation of a function by a network, paper Appendix C.1."""

import dataclasses

import jax
import jax.numpy as jnp

from pinns._regions import Box
from pinns.problems._base import Problem
from pinns.problems._condition import Condition


@dataclasses.dataclass(frozen=True)
class FunctionApproximation(Problem):
    r"""u_θ = u on [−3, 3] for a multi-scale (paper Eq. 45) or a discontinuous function (Eq. 46).

    .. math::
      u(x) = (x^3 - x) \frac{\sin 4x}{4} + \frac{\sin 12x}{x^2 + 1}, \qquad
      u(x) = \begin{cases} \sin 4x & x \le 0 \\ 2 + x \sin x & x > 0 \end{cases}

    Args:
      function: ``"multiscale"`` or ``"discontinuous"``.
      num_points: points; the paper does not say how many it takes.

    Raises:
      ValueError: another ``function``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import FunctionApproximation
      >>> print(FunctionApproximation("discontinuous").exact(jnp.array([0.0])))
      [0.]
    """

    function: str = "multiscale"
    num_points: int = 400
    domain = Box((-3.0,), (3.0,))

    def __post_init__(self) -> None:
        if self.function not in ("multiscale", "discontinuous"):
            raise ValueError(f"function must be 'multiscale' or 'discontinuous', got {self.function!r}.")

    def conditions(self) -> dict[str, Condition]:
        """The values of the function."""
        return {"data": Condition(self.data, self.domain, self.num_points)}

    def data(self, u, x: jax.Array) -> jax.Array:
        """u_θ − u at one point."""
        return u(x) - self.exact(x)

    def exact(self, x: jax.Array) -> jax.Array:
        """The function at one point, shape (1,)."""
        if self.function == "multiscale":
            return (x**3 - x) * jnp.sin(4 * x) / 4 + jnp.sin(12 * x) / (x**2 + 1)
        return jnp.where(x <= 0, jnp.sin(4 * x), 2 + x * jnp.sin(x))
