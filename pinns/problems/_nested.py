"""Directional derivatives of any function by nested forward differentiation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Directions = tuple[int, ...] | jax.Array | None


def derivatives(
    u: Callable[[Any], Any], x: jax.Array, *, order: int, directions: Directions = None
) -> tuple[jax.Array, ...]:
    """Value and pure directional derivatives of ``u`` up to ``order`` at one point.

    Args:
      u: A function of one point.
      x: The point, shape (d,).
      order: The highest order.
      directions: None for all axes, a tuple of axes, or vectors of shape (D, d).

    Returns:
      u(x) of shape (m,), then the derivatives of order 1, …, ``order``, each of shape (D, m).
    """
    axes = jnp.eye(x.shape[0], dtype=x.dtype)
    if directions is None:
        vectors = axes
    elif isinstance(directions, tuple):
        vectors = axes[jnp.asarray(directions)]
    else:
        vectors = jnp.asarray(directions, x.dtype)

    def along(vector: jax.Array) -> list[jax.Array]:
        functions = [u]
        for _ in range(order):
            functions.append(lambda z, f=functions[-1]: jax.jvp(f, (z,), (vector,))[1])
        return [function(x) for function in functions[1:]]

    return (jnp.asarray(u(x)), *jax.vmap(along)(vectors))
