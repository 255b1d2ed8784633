"""Several boundaries as one."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from pinns._regions._region import numbers_by_size
from pinns._samplers import Sampler


@dataclasses.dataclass(frozen=True)
class Parts:
    """Several boundaries together. Points are spread over them by area, in fixed numbers.

    Args:
      parts: The boundaries.
    """

    parts: tuple[Any, ...]

    @property
    def measure(self) -> float:
        """The sum of their areas."""
        return sum(part.measure for part in self.parts)

    def normal(self, x: jax.Array) -> jax.Array:
        """The unit normal at one point of them, out of the difference, shape (d,)."""
        *others, normal = (part.normal(x) for part in self.parts)
        for part, other in zip(self.parts, others, strict=False):
            normal = jnp.where(part.separates(x), other, normal)
        return normal

    def sample(self, key: jax.Array, num_points: int, method: str | Sampler, dtype: DTypeLike) -> jax.Array:
        """Points of all of them, shape (num_points, d).

        Raises:
          ValueError: Fewer points than boundaries.
        """
        if num_points < len(self.parts):
            raise ValueError(
                f"{len(self.parts)} boundaries need num_points ≥ {len(self.parts)}, got {num_points}."
            )
        numbers = numbers_by_size([part.measure for part in self.parts], num_points, least=1)
        keys = jax.random.split(key, len(self.parts))
        drawn = [
            part.sample(k, number, method, dtype)
            for k, part, number in zip(keys, self.parts, numbers, strict=True)
        ]
        return jnp.concatenate(drawn)
