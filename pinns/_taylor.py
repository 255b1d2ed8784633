"""Derivatives of a network at a point, of any order and along any directions, in one forward propagation."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinns._jet import Jet
from pinns._numbers import floating

Function = Callable[[Any], Any]
Directions = Sequence[int] | jax.Array | np.ndarray | None


def derivatives(
    u: Function, x: jax.Array, *, order: int, directions: Directions = None
) -> tuple[jax.Array, ...]:
    r"""Value and directional derivatives of ``u`` at one point, up to any order.

    .. math:: D^k u(x)[v, \dots, v] = \frac{d^k}{dt^k} u(x + t v) \Big|_{t=0}

    Mixed derivatives follow by polarisation, see :func:`hessian`. A network that declares ``supports_jets``
    is passed through once, with 1 + order · D streams; any other function by nested forward derivatives,
    whose cost doubles with every order.

    Args:
      u: A network, or any function of one point.
      x: The point, shape (d,).
      order: The highest order K, at least 1.
      directions: The directions v: None for the d axes, numbers of some axes, or an array of shape (D, d).

    Returns:
      K + 1 arrays: u(x), shape (m,) (or what ``u`` returns), and for k = 1 … K the k-th derivatives along
      every direction, shape (D, m).

    Raises:
      ValueError: An order below 1, or directions of another shape.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import derivatives
      >>> u = lambda x: x[0] ** 4 * x[1]
      >>> *_, fourth = derivatives(u, jnp.array([1.0, 2.0]), order=4, directions=(0,))
      >>> print(fourth)
      [48.]

    References:
      Bettencourt, Johnson and Duvenaud, Taylor-mode automatic differentiation for higher-order derivatives
      in JAX, 2019.
    """
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order}.")
    return along(u, x, order, as_directions(directions, x))


def gradient(u: Function, x: jax.Array, *, axes: Sequence[int] | None = None) -> tuple[jax.Array, jax.Array]:
    """Value and first derivatives of ``u`` at one point.

    Args:
      u: A network, or any function of one point.
      x: The point, shape (d,).
      axes: Numbers of the coordinates along which derivatives are wanted; None for all.

    Returns:
      u(x), shape (m,) (or what ``u`` returns), and ∂u/∂xᵢ, shape (d, m), or as many rows as ``axes``,
      in their order.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import gradient
      >>> value, first = gradient(lambda x: x[:1] * x[1:], jnp.array([2.0, 3.0]))
      >>> print(value, first[0], first[1])
      [6.] [3.] [2.]
    """
    value, first = along(u, x, 1, as_directions(axes, x))
    return value, first


def second_derivatives(
    u: Function, x: jax.Array, *, axes: Sequence[int] | None = None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Value, first and pure second derivatives of ``u`` at one point.

    Args:
      u: A network, or any function of one point.
      x: The point, shape (d,).
      axes: Numbers of the coordinates along which derivatives are wanted; None for all.

    Returns:
      u(x) of shape (m,), ∂u/∂xᵢ and ∂²u/∂xᵢ², each of shape (d, m), or of as many rows as ``axes``, in their
      order.

    Examples:
      >>> import jax.numpy as jnp
      >>> from pinns import second_derivatives
      >>> _, _, second = second_derivatives(lambda x: x[0] ** 2 * x[1], jnp.array([2.0, 3.0]))
      >>> print(second)
      [6. 0.]
    """
    value, first, second = along(u, x, 2, as_directions(axes, x))
    return value, first, second


def as_directions(directions: Directions, x: jax.Array) -> jax.Array:
    """Directions as an array of shape (D, d)."""
    if np.ndim(x) != 1 or not hasattr(x, "shape"):
        raise ValueError(
            f"derivatives are taken at one point, an array of shape (d,), got {_described(x)}. Of many "
            "points take jax.vmap(lambda x: ...)(points)."
        )
    (dim,), dtype = x.shape, floating(x).dtype
    if directions is None:
        return jnp.eye(dim, dtype=dtype)
    array = np.asarray(directions) if isinstance(directions, Sequence | int) else directions
    if array.ndim == 0:
        raise ValueError(f"axes are several numbers, e.g. axes=({array},), got {array}.")
    if array.ndim == 1 and array.size and jnp.issubdtype(array.dtype, jnp.integer):
        numbers = np.asarray(array)
        if not np.all((-dim <= numbers) & (numbers < dim)):
            raise ValueError(f"axes must be numbers below {dim}, got {directions}.")
        return jnp.eye(dim, dtype=dtype)[numbers]
    if array.ndim != 2 or array.shape[1] != dim or not array.size:
        raise ValueError(
            f"directions must be numbers of axes or an array of shape (D, {dim}), got shape {array.shape}."
        )
    return jnp.asarray(array, dtype)


def _described(x: Any) -> str:
    return f"shape {jnp.shape(x)}" if isinstance(x, jax.Array | np.ndarray) else f"a {type(x).__name__}"


def along(
    u: Function,
    x: jax.Array,
    order: int,
    directions: jax.Array,
    *,
    collapsed: bool = False,
    weights: jax.Array | None = None,
) -> tuple[jax.Array, ...]:
    """Value and derivatives; those of the highest order summed over the directions if ``collapsed``."""
    x = floating(x)
    if getattr(u, "supports_jets", False):
        jet = Jet.along(x, directions, order, collapsed=collapsed, weights=weights)
        try:
            return u(jet).coefficients
        except Exception as error:  # whatever it is, it goes on its way with a note
            if "Jet" in str(error):
                error.add_note(
                    "A Jet carries the derivatives through layers, and takes sums and products alone: set "
                    "supports_jets = False in the class that computes otherwise."
                )
            raise
    value, *found = _nested(u, x, order, directions)
    if collapsed:
        if weights is not None:
            found[-1] = jax.vmap(jnp.multiply)(weights, found[-1])
        found[-1] = jnp.sum(found[-1], axis=0, keepdims=True)
    return value, *found


def _nested(u: Function, x: jax.Array, order: int, directions: jax.Array) -> tuple[jax.Array, ...]:
    """The same for any function, by forward derivatives of forward derivatives along each direction."""

    def up_to(k: int, v: jax.Array) -> Callable[[jax.Array], tuple[jax.Array, ...]]:
        if k == 0:
            return lambda z: (jnp.asarray(u(z)),)

        def values(z: jax.Array) -> tuple[jax.Array, ...]:
            lower, slopes = jax.jvp(up_to(k - 1, v), (z,), (v,))
            return (*lower, slopes[-1])

        return values

    value, *found = jax.vmap(lambda v: up_to(order, v)(x))(directions)
    return value[0], *found
