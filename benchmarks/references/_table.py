"""What a generator of a reference solution returns, and how far two of them differ."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Table:
    """A function on a grid.

    Args:
      axes: The coordinates of the grid's points along each axis, by name.
      outputs: The names of the components.
      values: The components at all points of the grid, shape (n₁, …, n_d, m).

    Raises:
      ValueError: The shape of ``values`` is not that of the axes and outputs.
    """

    axes: dict[str, np.ndarray]
    outputs: tuple[str, ...]
    values: np.ndarray

    def __post_init__(self) -> None:
        expected = (*(len(axis) for axis in self.axes.values()), len(self.outputs))
        if self.values.shape != expected:
            raise ValueError(f"values must have shape {expected}, got {self.values.shape}.")


def relative_l2(values: np.ndarray, reference: np.ndarray) -> float:
    """‖values − reference‖₂ / ‖reference‖₂."""
    return float(np.linalg.norm(values - reference) / np.linalg.norm(reference))


def difference(coarse: Table, fine: Table) -> float:
    """The largest relative L2 difference among the components of two tables on one grid."""
    outputs = range(len(fine.outputs))
    return max(relative_l2(coarse.values[..., k], fine.values[..., k]) for k in outputs)


def chebyshev_points(num_points: int, lower: float, upper: float) -> np.ndarray:
    """The extrema of a Chebyshev polynomial, moved to [lower, upper], in increasing order."""
    points = -np.cos(np.pi * np.arange(num_points) / (num_points - 1))
    return lower + (upper - lower) * (points + 1) / 2
