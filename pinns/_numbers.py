"""Checks of numbers and arrays that a user gives."""

import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def check_whole(**numbers: Any) -> None:
    """Raises TypeError for what is no whole number, as 2.0 is none."""
    for name, number in numbers.items():
        try:
            operator.index(number)
        except TypeError:
            raise TypeError(f"{name} must be a whole number, got {number!r}.") from None


def check_positive(**numbers: Any) -> None:
    """Raises TypeError for what is no whole number, ValueError for one below 1; None is let through."""
    for name, number in numbers.items():
        if number is None:
            continue
        check_whole(**{name: number})
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}.")


def floating(x: Any) -> jax.Array:
    """``x`` as an array of floating numbers: what is cast to the type of whole ones would be rounded."""
    x = jnp.asarray(x)
    return jnp.asarray(x, jnp.result_type(x, float))


def power_below(largest: jax.Array) -> jax.Array:
    """The power of two next below positive numbers, by which one divides without rounding; 1/2 for 0."""
    _, exponent = jnp.frexp(largest)
    power = jnp.ldexp(jnp.ones((), largest.dtype), exponent - 1)
    return jnp.maximum(power, jnp.finfo(largest.dtype).tiny)  # smaller ones are zeros to a processor


def root_mean_square(values: jax.Array, axis: int | None = None) -> jax.Array:
    """The root mean square, also of numbers whose squares leave the range of their type."""
    unit = power_below(jnp.max(jnp.abs(values), axis=axis, keepdims=True))
    mean = jnp.mean(jnp.square(values / unit), axis=axis)
    return jnp.sqrt(mean) * unit.reshape(mean.shape)


def coordinates(given: Any) -> Any:
    """``given`` as a tuple if it is a list or an array, which have no hash; what it holds is not checked."""
    return tuple(np.asarray(given).tolist()) if isinstance(given, list | np.ndarray | jax.Array) else given


def are_numbers(given: Any) -> bool:
    """Whether ``given`` is a sequence of real numbers."""
    try:
        array = np.asarray(given)
    except ValueError:  # sequences of different lengths
        return False
    return array.ndim == 1 and array.dtype.kind in "iuf"


def are_sequences(given: Any, length: int) -> bool:
    """Whether ``given`` is a sequence of sequences of this length, such as pairs."""
    is_sequence = lambda value: (
        isinstance(value, Sequence | np.ndarray | jax.Array) and not isinstance(value, str)
    )
    return is_sequence(given) and all(is_sequence(item) and len(item) == length for item in given)


def unmasked(name: str, array: Any) -> Any:
    """``array``, which must have no masked entries, as readers of measured data mark missing ones.

    Raises:
      ValueError: It has: NumPy would put the number below the mask in their place.
    """
    if not isinstance(array, list | tuple | np.ma.MaskedArray):
        return array
    masked = np.ma.asarray(array)
    if np.ma.is_masked(masked):
        raise ValueError(
            f"{name}: {np.ma.count_masked(masked)} of {np.size(masked)} numbers are masked, which means that "
            "they are missing. Leave those points out."
        )
    return array
