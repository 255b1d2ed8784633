"""Errors of a network against the exact solution."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pinns.problems import Problem


class Errors(NamedTuple):
    """Errors over a set of points, in the units of the solution.

    Attributes:
      rel_l2: ‖u_θ − u‖₂ / ‖u‖₂, dimensionless.
      max_error: max |u_θ − u|.
    """

    rel_l2: jax.Array
    max_error: jax.Array


def errors(prediction: jax.Array, exact: jax.Array) -> Errors:
    """Relative L2 and largest absolute error.

    Args:
      prediction: u_θ at N points, any shape.
      exact: u there, the same shape.

    Raises:
      ValueError: the shapes differ.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import errors
      >>> print(*errors(jnp.array([3.0, 5.0]), jnp.array([3.0, 4.0])))
      0.2 1.0
    """
    if prediction.shape != exact.shape:
        raise ValueError(
            f"prediction and exact must have one shape, got {prediction.shape} and {exact.shape}."
        )
    difference = jnp.ravel(prediction - exact)
    return Errors(
        jnp.linalg.norm(difference) / jnp.linalg.norm(jnp.ravel(exact)), jnp.max(jnp.abs(difference))
    )


def test_points(problem: Problem, dtype: Any) -> jax.Array:
    """The grid on which errors are measured: 1,001 points in 1-D, 101² in 2-D, about 10,000 beyond."""
    dim = problem.domain.dim
    per_axis = {1: 1001, 2: 101}.get(dim, max(5, round(10_000 ** (1 / dim))))
    return problem.domain.grid(per_axis, dtype)


def predict(u: Callable[..., Any], points: jax.Array) -> jax.Array:
    """``u`` at every point: shape (N, m) for a network of m outputs and points of shape (N, d)."""
    return jax.vmap(u)(points)


def exact_values(problem: Problem, points: jax.Array) -> jax.Array | None:
    """The exact solution at every point, shape (N, m), or None if the problem does not know it."""
    if problem.exact(points[0]) is None:
        return None
    values = predict(problem.exact, points)
    return values.reshape(points.shape[0], -1)
