"""Checks of what a residual block is given and gives, with messages that say what to do."""

import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr

from isgd_optax._collectives import equations
from isgd_optax._tree import is_array

_DIFFRAX = "Of diffrax take adjoint=diffrax.DirectAdjoint(), which has both modes."


def check_functions(fn: Any, loss: Any) -> None:
    """Raises TypeError unless both are functions that can be told from others; ``loss`` may be None."""
    if not callable(fn):
        raise TypeError(
            f"a residual is a function fn(params, x) of the parameters and one point, got {fn!r}."
        )
    if loss is not None and not callable(loss):
        raise TypeError(f"loss must be a function of the residual at one point, or None, got {loss!r}.")
    for part in jax.tree.leaves((fn, loss)):
        if not is_array(part) and type(part).__hash__ is None:
            raise TypeError(
                f"{part!r} can change while it stays equal to itself, so that what was compiled for its old "
                "numbers would go on: its class has no hash. Make the class frozen, "
                "@dataclasses.dataclass(frozen=True), or a pytree whose numbers are leaves."
            )


def check_derivatives(fn: Any, params: Any, points: Any) -> None:
    """Raises TypeError where parameters enter what has no derivative in forward or in reverse mode."""
    point = a_point(points)
    program = jax.make_jaxpr(fn)(params, point)
    if _has(program, "custom_vjp_call"):
        # Of points alone it may be: JAX knows which of them a derivative goes through.
        derivative = lambda params, point: jax.jvp(lambda p: fn(p, point), (params,), (params,))
        if _has(jax.make_jaxpr(derivative)(params, point), "custom_lin"):
            raise TypeError(
                "a residual calls a function with a jax.custom_vjp, which has no derivative in forward mode, "
                "and gauss_newton takes such: define it by jax.custom_jvp, or take another inner solver, "
                f"e.g. optax.lbfgs(). {_DIFFRAX}"
            )
    if _has(program, "while"):
        try:
            jax.eval_shape(jax.jacrev(lambda p, x: fn(p, x).astype(float)), params, point)
        except ValueError as error:
            if "Reverse-mode" not in str(error):
                raise
            raise TypeError(
                "parameters enter a jax.lax.while_loop of a residual, which has no derivative in reverse "
                "mode, and gauss_newton takes such: use jax.lax.scan, or jax.lax.fori_loop with a fixed "
                f"number of steps, or for the solution of an equation jax.lax.custom_root. {_DIFFRAX}"
            ) from error


def a_point(points: Any) -> Any:
    """The shapes and dtypes of one point: a slice of sharded arrays may be refused."""
    own = functools.partial(jax.dtypes.canonicalize_dtype, allow_extended_dtype=True)  # NumPy's may be wider
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x)[1:], own(x.dtype)), points)


def _has(program: ClosedJaxpr, name: str) -> bool:
    """Whether a program holds an operation whose name begins so."""
    return any(equation.primitive.name.startswith(name) for equation in equations(program.jaxpr))


def check_points(points: Any) -> int:
    """The number of points; ValueError unless all arrays have it as their leading axis."""
    sparse = sys.modules.get("jax.experimental.sparse")  # without which there are no such arrays
    is_sparse = lambda node: sparse is not None and isinstance(node, sparse.JAXSparse)
    if any(map(is_sparse, jax.tree.leaves(points, is_leaf=is_sparse))):
        raise TypeError(
            "points must be dense arrays: the leading axes in a sparse one count its entries. "
            "Give points.todense(), or the numbers of the rows as points and take the rows in fn."
        )
    for leaf in jax.tree.leaves(points):
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OSUMm":
            raise TypeError(
                f"points must be arrays of numbers, got {leaf.dtype}: give numbers for categories "
                "and times in a unit."
            )
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(points)]
    if not shapes or any(not shape or shape[0] != shapes[0][0] for shape in shapes) or shapes[0][0] == 0:
        numbers = bool(shapes) and all(not shape for shape in shapes)
        raise ValueError(
            f"points must be arrays with one common, non-zero leading axis, got shapes {shapes[:5]}."
            + (" Make one array of the numbers: jnp.array(points)." if numbers else "")
        )
    return shapes[0][0]


def check_weight(weight: Any, num_points: int) -> None:
    """Raises ValueError or TypeError unless it is a finite number ≥ 0 or one for each point."""
    if not isinstance(weight, (int, float, np.ndarray, np.generic, jax.Array)):
        raise TypeError(f"weight must be a number or an array, got {weight!r}.")
    if jnp.shape(weight) not in ((), (num_points,)):
        raise ValueError(
            f"weight must be a number or one number for each of the {num_points} points, got shape "
            f"{jnp.shape(weight)}. Weights of the components of a residual belong into fn: multiply each "
            "component by the root of its weight."
        )
    known = not isinstance(weight, Tracer)
    if known and not (np.all(np.asarray(weight) >= 0) and np.all(np.isfinite(np.asarray(weight)))):
        raise ValueError(f"weight must be finite and at least 0, got {weight}.")


def one_array(residual: Any) -> jax.Array:
    """What ``fn`` gave, if it is one array of real numbers.

    Raises:
      TypeError: It is a tuple or another tree, or complex.
      ValueError: It is empty.
    """
    if not hasattr(residual, "shape"):
        raise TypeError(
            f"a residual must return one array, got a {type(residual).__name__}. Join its parts: "
            "jnp.concatenate of vectors, jnp.stack of numbers."
        )
    if jnp.issubdtype(residual.dtype, jnp.complexfloating):
        raise TypeError(
            f"a residual must be real, got {residual.dtype}. Return real and imaginary part as two "
            "residuals: jnp.stack([r.real, r.imag])."
        )
    if not residual.size:
        raise ValueError(f"a residual must return numbers, got an empty array of shape {residual.shape}.")
    return residual
