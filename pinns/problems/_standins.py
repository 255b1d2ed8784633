"""Points with data and unknown coefficients, as the inverse problems declare them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Unknown:
    """A coefficient that is trained with the network.

    Args:
      value: Where it starts.
      positive: Whether it stays positive.
    """

    value: float
    positive: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class FixedPoints:
    """Given points with values; a residual there gets {"x": shape (d,), "value": shape (m,)}.

    Args:
      x: The points, shape (N, d).
      values: The values there, shape (N, m).
    """

    x: Any
    values: Any

    def sample(self, key: jax.Array, num_points: int, method: str, dtype: Any) -> dict[str, jax.Array]:
        """All points, whatever is asked for."""
        del key, num_points, method
        return {"x": jnp.asarray(self.x, dtype), "value": jnp.asarray(self.values, dtype)}
