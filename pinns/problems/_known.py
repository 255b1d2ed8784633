"""What problems with a known solution have in common."""

import abc
from typing import Any

import jax
import jax.numpy as jnp

from pinns.problems._base import Problem


class Known(Problem, abc.ABC):
    """A problem whose solution is known everywhere: boundary and initial values are taken from it."""

    @abc.abstractmethod
    def exact(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (m,)."""

    def values(self, u: Any, x: jax.Array) -> jax.Array:
        """The difference of u from the solution at one point."""
        return u(x) - jax.lax.stop_gradient(self.exact(x))

    def measured(self, u: Any, point: dict[str, jax.Array]) -> jax.Array:
        """The difference of u from a measured value."""
        return u(point["x"]) - point["value"]


def one(value: jax.Array) -> jax.Array:
    """A number as an array of shape (1,)."""
    return jnp.reshape(value, (1,))
