"""Tables as short sums of products of series, as the package ``pinns`` keeps them."""

import itertools
from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev
from scipy.fft import dct

from benchmarks.references._table import Table, chebyshev_points


def compress(table: Table, kinds: tuple[str, str], tolerance: float) -> dict[str, np.ndarray]:
    """The arrays from which ``pinns`` evaluates a table of two coordinates.

    Both axes are transformed, the matrix of coefficients is truncated by its singular values, and the factors
    are rounded to as many bits as matter, so that the file compresses.

    Args:
      table: A table with a uniform grid of one period along a ``"fourier"`` axis, without its right end, and
        Chebyshev points along a ``"chebyshev"`` one.
      kinds: The series along both axes; ``"fourier"`` becomes ``"cosine"`` where there are no sines.
      tolerance: The error to make, relative to the largest coefficient.

    Returns:
      The arrays ``kinds``, ``lower``, ``upper``, ``sizes``, ``left`` and ``right``.
    """
    coefficients, lower, upper, used = table.values, [], [], []
    for axis, (kind, points) in enumerate(zip(kinds, table.axes.values(), strict=True)):
        coefficients, kind = _transform(coefficients, kind, axis, tolerance)
        used.append(kind)
        lower.append(points[0])
        upper.append(points[-1] + (points[1] - points[0] if kind != "chebyshev" else 0.0))
    coefficients = _trim(coefficients, used, tolerance)
    first, second, outputs = coefficients.shape
    matrix = coefficients.transpose(1, 0, 2).reshape(second, first * outputs)
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    rank = int((s > tolerance * s[0]).sum())
    root = np.sqrt(s[:rank])
    quantum = 2.0 ** np.floor(np.log2(tolerance * s[0] / root))
    left = np.round(u[:, :rank] * root / quantum) * quantum
    right = np.round(vt[:rank] * root[:, None] / quantum[:, None]) * quantum[:, None]
    return {
        "kinds": np.array(used),
        "lower": np.array(lower),
        "upper": np.array(upper),
        "sizes": np.array([first, second]),
        "left": left,
        "right": right.reshape(rank, first, outputs),
    }


def pieces(
    generate: Callable[[np.ndarray], Table], lower: float, upper: float, tolerance: float, degree: int = 16
) -> dict[str, np.ndarray]:
    """The arrays from which ``pinns`` evaluates a table of one coordinate, in Chebyshev series on intervals.

    An interval is halved until its last two coefficients are small.

    Args:
      generate: The table at given points, of which the first is ``lower``.
      lower: The left end.
      upper: The right end.
      tolerance: The size of the last coefficients, relative to the largest value of each output.
      degree: Of the polynomials.

    Returns:
      The arrays ``knots`` and ``coefficients``.
    """
    knots = np.linspace(lower, upper, 9)
    while True:
        points = np.stack([chebyshev_points(degree + 1, *ends) for ends in itertools.pairwise(knots)])
        unique, index = np.unique(np.clip(points, lower, upper), return_inverse=True)
        values = generate(unique).values[index.reshape(points.shape)]
        coefficients = chebyshev_coefficients(values, 1)
        size = np.abs(values).max(axis=(0, 1))
        rough = (np.abs(coefficients[:, -2:]) > tolerance * size).any(axis=(1, 2))
        if not rough.any():
            return {"knots": knots, "coefficients": coefficients}
        knots = np.sort(np.concatenate([knots, (knots[:-1] + knots[1:])[rough] / 2]))


def evaluate(arrays: dict[str, np.ndarray], axes: tuple[np.ndarray, ...]) -> np.ndarray:
    """The values on a grid, independently of ``pinns``."""
    if "knots" in arrays:
        (x,), knots = axes, arrays["knots"]
        interval = np.searchsorted(knots[1:-1], x, side="right")
        lower, upper = knots[interval], knots[interval + 1]
        basis = chebyshev.chebvander(
            2 * (x - lower) / (upper - lower) - 1, arrays["coefficients"].shape[1] - 1
        )
        return np.einsum("xi,xim->xm", basis, arrays["coefficients"][interval])
    bases = []
    for kind, lower, upper, size, x in zip(
        arrays["kinds"], arrays["lower"], arrays["upper"], arrays["sizes"], axes, strict=True
    ):
        unit = (x - lower) / (upper - lower)
        if kind == "chebyshev":
            bases.append(chebyshev.chebvander(2 * unit - 1, size - 1))
        else:
            angles = 2 * np.pi * unit[:, None] * np.arange(size if kind == "cosine" else size // 2 + 1)
            sines = np.sin(angles[:, 1:]) if kind == "fourier" else angles[:, :0]
            bases.append(np.concatenate([np.cos(angles), sines], axis=1))
    return np.einsum(
        "yr,rxm->xym",
        bases[1] @ arrays["left"],
        np.tensordot(bases[0], arrays["right"], (1, 1)).transpose(1, 0, 2),
        optimize=True,
    )


def _transform(values: np.ndarray, kind: str, axis: int, tolerance: float) -> tuple[np.ndarray, str]:
    if kind == "chebyshev":
        return chebyshev_coefficients(values, axis), kind
    num_x = values.shape[axis]
    spectrum = np.moveaxis(np.fft.rfft(values, axis=axis), axis, 0)[: (num_x - 1) // 2 + 1] / num_x
    cosines, sines = spectrum.real, -2 * spectrum.imag[1:]
    cosines[1:] *= 2
    if np.abs(sines).max() < tolerance * np.abs(cosines).max():
        return np.moveaxis(cosines, 0, axis), "cosine"
    return np.moveaxis(np.concatenate([cosines, sines]), 0, axis), kind


def chebyshev_coefficients(values: np.ndarray, axis: int) -> np.ndarray:
    """Coefficients from the values at the extrema in increasing order."""
    degree = values.shape[axis] - 1
    values = np.moveaxis(np.asarray(dct(np.flip(values, axis), type=1, axis=axis)), axis, 0) / degree
    values[[0, -1]] /= 2
    return np.moveaxis(values, 0, axis)


def _trim(coefficients: np.ndarray, kinds: list[str], tolerance: float) -> np.ndarray:
    """Without the highest functions, whose coefficients are all small."""
    small = tolerance * np.abs(coefficients).max() / 10
    for axis, kind in enumerate(kinds):
        largest = np.abs(np.moveaxis(coefficients, axis, 0)).max(axis=(1, 2))
        if kind == "fourier":
            half = len(largest) // 2
            largest[1 : half + 1] = np.maximum(largest[1 : half + 1], largest[half + 1 :])
            kept = int(np.nonzero(largest[: half + 1] > small)[0].max())
            index = np.concatenate([np.arange(kept + 1), half + np.arange(1, kept + 1)])
        else:
            index = np.arange(np.nonzero(largest > small)[0].max() + 1)
        coefficients = np.take(coefficients, index, axis)
    return coefficients
