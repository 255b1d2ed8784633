"""Given points with what was measured there, as a region."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class FixedPoints:
    """Given points with values; a residual there gets {"x": shape (d,), "value": shape (m,)}.

    Args:
      points: The points, shape (N, d).
      values: The values there, shape (N, m).

    Raises:
      ValueError: Different numbers of points and of values, or no points.
    """

    points: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.points) or len(self.points) != len(self.values):
            raise ValueError(
                f"each point needs its value, got {len(self.points)} points and {len(self.values)} values."
            )

    def sample(self, key: jax.Array, num_points: int, method: str, dtype: Any) -> dict[str, jax.Array]:
        """All points, whatever is asked for."""
        del key, num_points, method
        return {"x": jnp.asarray(self.points, dtype), "value": jnp.asarray(self.values, dtype)}
