"""Errors of a network against the exact solution."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.errors import JAXTypeError
from jax.typing import DTypeLike

from pinns._numbers import floating, power_below
from pinns._programs import Program
from pinns._regions._region import NoPointInside
from pinns.problems import Problem

_PER_AXIS = {1: 1001, 2: 101}
_BEYOND = 10_000
_FEWEST = 10


class Errors(NamedTuple):
    """Errors over a set of points, in the units of the solution.

    Attributes:
      rel_l2: ‖u_θ − u‖₂ / ‖u‖₂, dimensionless.
      max_error: The largest absolute difference of u_θ and u.
    """

    rel_l2: jax.Array
    max_error: jax.Array


def errors(prediction: jax.Array, exact: jax.Array) -> Errors:
    """Relative L2 and largest absolute error.

    Where the solution is zero everywhere, the relative error is 0 if the prediction is too, else infinite.

    Args:
      prediction: The values u_θ at N points, any shape.
      exact: The values u there, the same shape.

    Raises:
      ValueError: The shapes differ.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import errors
      >>> print(*errors(jnp.array([3.0, 5.0]), jnp.array([3.0, 4.0])))
      0.2 1.0
    """
    _check_shapes(prediction, exact)
    difference = jnp.ravel(prediction - exact)
    return Errors(_relative(difference, jnp.ravel(exact)), jnp.max(jnp.abs(difference)))


def errors_by_output(prediction: jax.Array, exact: jax.Array, names: Sequence[str]) -> dict[str, jax.Array]:
    """Relative L2 error of every output: one error of all hides those of small outputs.

    Args:
      prediction: The values u_θ at N points, shape (N, m).
      exact: The values u there, shape (N, m).
      names: The m names, see :func:`output_names`.

    Returns:
      The errors by name; of an output that is zero everywhere 0 if its prediction is too, else infinite.

    Raises:
      ValueError: The shapes differ, or are not those of m outputs.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import errors_by_output
      >>> by_name = errors_by_output(jnp.array([[9.0, 1.0]]), jnp.array([[10.0, 2.0]]), ("u", "v"))
      >>> {name: round(float(error), 3) for name, error in by_name.items()}
      {'u': 0.1, 'v': 0.5}
    """
    _check_shapes(prediction, exact)
    if exact.ndim != 2 or exact.shape[1] != len(names):
        raise ValueError(
            f"values of the outputs {tuple(names)} must have as many columns, got {exact.shape}."
        )
    return dict(zip(names, _relative(prediction - exact, exact), strict=True))


def _relative(difference: jax.Array, exact: jax.Array) -> jax.Array:
    """Norms of the differences over those of the exact values, along the first axis."""
    dtype = jnp.promote_types(difference.dtype, jnp.float32)
    difference, exact = difference.astype(dtype), exact.astype(dtype)
    # In units of the largest: squares of numbers that the type holds may leave its range.
    largest = [jnp.max(jnp.abs(values), axis=0, keepdims=True) for values in (exact, difference)]
    unit = power_below(jnp.where(largest[0] > 0, *largest))
    error, size = (jnp.linalg.norm(values / unit, axis=0) for values in (difference, exact))
    # A division by zero would be a false alarm of jax_debug_nans and jax_debug_infs.
    quotient = error / jnp.where(size > 0, size, 1)
    return jnp.where((size > 0) | (error == 0), quotient, jnp.inf)


def output_names(problem: Problem, num_outputs: int) -> tuple[str, ...]:
    """Names of a problem's outputs: its ``output_names``, if it has them, else "0", "1", ....

    Raises:
      ValueError: The problem names another number of outputs.
    """
    names = declared_outputs(problem) or tuple(map(str, range(num_outputs)))
    if len(names) != num_outputs:
        raise ValueError(f"output_names are {names}, but there are {num_outputs} outputs.")
    return names


def declared_outputs(problem: Problem) -> tuple[str, ...]:
    """The names that a problem, or the one inside of it, gives its outputs; none if it does not."""
    return tuple(_declared(problem, "output_names") or ())


def axis_names(problem: Problem) -> tuple[str, ...]:
    """Names of a problem's coordinates: its ``axis_names``, if it has them, else x, y, z or x[0], x[1], ....

    Raises:
      ValueError: The problem names another number of coordinates.

    Examples:
      >>> from pinns import Burgers, Poisson2D, axis_names
      >>> axis_names(Burgers()), axis_names(Poisson2D())
      (('x', 't'), ('x', 'y'))
    """
    dim = problem.domain.dim
    usual = ("x", "y", "z")[:dim] if dim <= 3 else tuple(f"x[{i}]" for i in range(dim))
    names = tuple(_declared(problem, "axis_names") or usual)
    if len(names) != dim:
        raise ValueError(f"axis_names are {names}, but there are {dim} coordinates.")
    return names


def _declared(problem: Problem, attribute: str) -> Any:
    """What a problem, or the one that it scales or is a slab of, declares; None if it does not."""
    inner: Any = problem
    while not hasattr(inner, attribute) and isinstance(getattr(inner, "problem", None), Problem):
        inner = inner.problem
    return getattr(inner, attribute, None)


def evaluation_points(problem: Problem, dtype: DTypeLike) -> jax.Array:
    """The points at which errors are measured, all of them in the domain.

    They are always the same: those of a regular grid that lie inside or on the boundary, of 1,001 points in
    1-D and 101² in 2-D; beyond, and in a domain so thin that fewer than ten of these lie in it, 10,000 Sobol
    points, of which none need lie on the boundary.

    Args:
      problem: The problem.
      dtype: The type of the points.

    Returns:
      The points, shape (N, d).

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import Helmholtz2D, evaluation_points
      >>> evaluation_points(Helmholtz2D(), jnp.float32).shape
      (10201, 2)
    """
    domain = problem.domain
    if domain.dim in _PER_AXIS:
        with contextlib.suppress(NoPointInside):
            points = domain.grid(_PER_AXIS[domain.dim], dtype)
            if len(points) >= _FEWEST:
                return points
    return domain.sample(jax.random.key(0), _BEYOND, "sobol", dtype)


def as_points(points: Any, dim: int) -> jax.Array:
    """``points`` as an array of floating numbers of shape (N, d); ValueError for another shape."""
    points = floating(points)
    if points.ndim != 2 or points.shape[1] != dim:
        hint = " (points[:, None])" if points.ndim == dim == 1 else ""
        raise ValueError(f"points have shape (N, {dim}){hint}, got {points.shape}.")
    return points


def as_point(x: Any, dim: int) -> jax.Array:
    """``x`` as an array of floating numbers of shape (d,); ValueError for another shape."""
    x = floating(x)
    if x.shape != (dim,):
        hint = ": of many points take at(points)" if x.ndim == 2 and x.shape[1] == dim else ""
        raise ValueError(f"one point has shape ({dim},), got {x.shape}{hint}.")
    return x


def predict(u: Callable[..., Any], points: jax.Array) -> jax.Array:
    """``u`` at every point: shape (N, m) for m outputs, (N, 1) for a scalar, and points of shape (N, d)."""
    return jax.vmap(lambda x: _joined(u(x)))(points)


def _joined(outputs: Any) -> jax.Array:
    """The outputs in one array, shape (m,); they may come as a list, of scalars or of arrays."""
    if isinstance(outputs, list | tuple):
        return jnp.concatenate([_joined(output) for output in outputs])
    return jnp.ravel(jnp.asarray(outputs))


def exact_values(problem: Problem, points: jax.Array) -> jax.Array | None:
    """The exact solution at every point, shape (N, m), or None if the problem does not know it.

    Raises:
      ValueError: It is not finite at a point.
    """
    try:
        if jax.eval_shape(problem.exact, points[0]) is None:
            return None
        values = Program(lambda points: predict(problem.exact, points))(points)
    except JAXTypeError as error:
        error.add_note(
            f"In exact(x) of {type(problem).__name__}, which is traced: choose by jnp.where(condition, a, b) "
            "instead of if, write it with jax.numpy, and tabulate what only NumPy or SciPy can do: "
            "pinns.Interpolated."
        )
        raise
    if not isinstance(values, Tracer):
        finite = np.isfinite(np.asarray(values)).all(axis=1)
        if not finite.all():
            where = np.asarray(points)[~finite][0]
            raise ValueError(
                f"the exact solution of {type(problem).__name__} is not finite at {np.sum(~finite)} of "
                f"{len(points)} points, e.g. {where}: leave them out of the domain (pinns.Difference), or "
                "define exact there."
            )
    return values


def _check_shapes(prediction: jax.Array, exact: jax.Array) -> None:
    if prediction.shape != exact.shape:
        raise ValueError(
            f"prediction and exact must have one shape, got {prediction.shape} and {exact.shape}: the "
            "network and the exact solution must have as many outputs."
        )
