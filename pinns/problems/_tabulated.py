"""What problems share whose solution is a table of the package: its floor, and the condition of a period."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from pinns._taylor import derivatives
from pinns.problems._base import Problem
from pinns.problems._tables import load_table


class Tabulated(Problem):
    """A problem whose solution is known from a table.

    Attributes:
      output_names: The names of the outputs.
    """

    output_names: ClassVar[tuple[str, ...]] = ("u",)

    @property
    def table(self) -> str | None:
        """The name of the table from which :meth:`exact` comes, or None."""
        return None

    @property
    def reference_floors(self) -> dict[str, float]:
        """The relative L2 error of :meth:`exact` by output, as far as known; nothing without a table."""
        if self.table is None:
            return {}
        floors = load_table(self.table).floor
        return {name: float(floor) for name, floor in zip(self.output_names, floors, strict=False)}

    @property
    def reference_floor(self) -> float | None:
        """The largest of :attr:`reference_floors`, the end of what can be told; None without a solution."""
        return max(self.reference_floors.values(), default=None)


def periodic(u, x: jax.Array, *, period: float, order: int) -> jax.Array:
    """U and its derivatives along axis 0 below ``order`` at x minus those one period further.

    Args:
      u: The network.
      x: A point of the lower face, shape (d,).
      period: The period along axis 0.
      order: How many conditions there are: the order of the equation in space.

    Returns:
      Shape (order · m,).
    """
    shifted = x.at[0].add(period)
    if order == 1:
        return u(x) - u(shifted)
    here, there = (derivatives(u, z, order=order - 1, directions=(0,)) for z in (x, shifted))
    return jnp.concatenate([jnp.ravel(a - b) for a, b in zip(here, there, strict=True)])
