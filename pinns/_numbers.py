"""Checks of numbers and arrays that a user gives."""

import math
from typing import Any

import numpy as np


def check_whole(**numbers: Any) -> None:
    """Raises TypeError for what is no whole number, as 2.0 is none."""
    for name, number in numbers.items():
        if not isinstance(number, int | np.integer):
            raise TypeError(f"{name} must be a whole number, got {number!r}.")


def check_positive(**numbers: float | None) -> None:
    """Raises ValueError for a number below 1."""
    for name, number in numbers.items():
        if number is not None and (number < 1 or not math.isfinite(number)):
            raise ValueError(f"{name} must be at least 1, got {number}.")


def unmasked(name: str, array: Any) -> Any:
    """``array``, which must have no masked entries, as readers of measured data mark missing ones.

    Raises:
      ValueError: It has: NumPy would put the number below the mask in their place.
    """
    if np.ma.is_masked(array):
        raise ValueError(
            f"{name}: {np.ma.count_masked(array)} of {np.size(array)} numbers are masked, which means that "
            "they are missing. Leave those points out."
        )
    return array
