"""Steady flow in a square whose lid moves, by Chebyshev collocation of the stream function."""

from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev
from scipy.fft import dct

from benchmarks.references._table import Table, chebyshev_points

LIDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "parabolic": lambda x: 4 * x * (1 - x),
    "regularised": lambda x: 16 * x**2 * (1 - x) ** 2,
}


def cavity(
    reynolds: float = 100.0, lid: str = "regularised", *, degree: int = 64, num_points: int = 65
) -> Table:
    r"""Velocity and pressure on [0, 1]² with the speed of the lid given at y = 1 and no slip elsewhere.

    .. math::
      \frac{1}{Re} \Delta^2 \psi = \psi_y \Delta \psi_x - \psi_x \Delta \psi_y, \qquad
      u = \psi_y, \quad v = -\psi_x, \qquad p(\tfrac12, \tfrac12) = 0

    Newton's method, begun at Stokes' flow of half the degree and led there to the Reynolds number in steps.
    The pressure is the integral of its gradient along the line y = ½ and then up and down.

    Args:
      reynolds: The Reynolds number; above 100 the coarse solution passes 100 and 400 on its way.
      lid: ``"parabolic"``, 4x(1 − x), with singular corners, or ``"regularised"``, 16x²(1 − x)².
      degree: The degree of the polynomials along each axis, at least 16.
      num_points: The number of stored Chebyshev points along each axis.

    Returns:
      The table with the axes x and y and the outputs u, v and p.

    Raises:
      ValueError: Another lid, a Reynolds number that is not positive, or a degree below 16.
      RuntimeError: Newton's method did not converge.

    References:
      Shen, Hopf bifurcation of the unsteady regularized driven cavity flow, 1991 (the regularised lid).
      Weideman and Reddy, A MATLAB differentiation matrix suite, 2000 (the matrices).
    """
    if lid not in LIDS or not reynolds > 0 or degree < 16:
        raise ValueError(
            f"lid must be one of {sorted(LIDS)}, reynolds positive and degree at least 16, "
            f"got {lid!r}, {reynolds} and {degree}."
        )
    coarse = max(16, degree // 2)
    psi = np.zeros((coarse + 1, coarse + 1))
    for step in (*(r for r in (100.0, 400.0, 1000.0) if r < reynolds), reynolds):
        psi = _newton(psi, step, LIDS[lid])
    psi = _newton(_evaluate(_coefficients(psi), chebyshev_points(degree + 1, -1, 1)), reynolds, LIDS[lid])
    points = chebyshev_points(num_points, 0, 1)
    fields = [_evaluate(field, 2 * points - 1) for field in _fields(_coefficients(psi), reynolds)]
    return Table({"x": points, "y": points}, ("u", "v", "p"), np.stack(fields, axis=-1))


def _newton(psi: np.ndarray, reynolds: float, lid: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """ψ at all Chebyshev points of [0, 1]², (x, y) in increasing order, from the guess ``psi``.

    ψ is 0 on the boundary. Slopes there are imposed in the rows of the points beside it.
    """
    degree = len(psi) - 1
    d1, d2, d3, d4 = (2.0**k * d for k, d in enumerate(_differentiation(degree, 4), start=1))
    inside = slice(1, degree)
    speed = lid(chebyshev_points(degree + 1, 0, 1))[inside]
    e1, e2, e3, e4 = (d[inside, inside] for d in (d1, d2, d3, d4))
    size, unit = degree - 1, np.eye(degree - 1)
    beside = (0, size - 1)
    walls = {side: d1[end, inside] for side, end in zip(beside, (0, degree), strict=True)}
    psi = psi[inside, inside].copy()
    for _ in range(20):
        u, v = psi @ e1.T, -e1 @ psi
        vorticity_x, vorticity_y = e3 @ psi + e1 @ psi @ e2.T, e2 @ psi @ e1.T + psi @ e3.T
        bilaplacian = e4 @ psi + psi @ e4.T + 2 * e2 @ psi @ e2.T
        rest = bilaplacian / reynolds - u * vorticity_x - v * vorticity_y
        column = lambda field: field.reshape(-1, 1)
        matrix = np.kron(e2, e2)
        matrix *= 2 / reynolds
        matrix -= column(u) * np.kron(e1, e2)
        matrix -= column(v) * np.kron(e2, e1)
        blocks = matrix.reshape(size, size, size, size)  # x, y of the row, x, y of the column
        index = np.arange(size)
        # What differentiates along one axis alone couples points of one line alone.
        blocks[:, index, :, index] += (
            e4[None] / reynolds - u.T[:, :, None] * e3[None] + vorticity_y.T[:, :, None] * e1[None]
        )
        blocks[index, :, index, :] += (
            e4[None] / reynolds - v[:, :, None] * e3[None] - vorticity_x[:, :, None] * e1[None]
        )
        for side, slope in walls.items():  # the left and right walls, then bottom and lid, which prevail
            blocks[side] = slope[None, :, None] * unit[:, None, :]
            rest[side] = slope @ psi
        for side, slope in walls.items():
            blocks[:, side] = unit[:, :, None] * slope[None, None, :]
            rest[:, side] = psi @ slope - (speed if side else 0.0)
        step = np.linalg.solve(matrix, -rest.reshape(-1)).reshape(size, size)
        psi += step
        if np.abs(step).max() < 1e-11:
            return np.pad(psi, 1)
    raise RuntimeError(f"Newton's method did not converge at the Reynolds number {reynolds}.")


def _fields(psi: np.ndarray, reynolds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chebyshev coefficients of u, v and p from those of ψ, all on [−1, 1]² as images of [0, 1]²."""
    size = len(psi)
    diff = lambda c, m, axis: np.asarray(chebyshev.chebder(c, m, scl=2, axis=axis))
    pad = lambda c: np.pad(c, [(0, size - n) for n in c.shape])
    u, v = pad(diff(psi, 1, 1)), pad(-diff(psi, 1, 0))
    points = chebyshev_points(size, -1, 1)
    values = lambda c: _evaluate(pad(c), points)
    gradient = []
    for field in (u, v):
        viscous = values(diff(field, 2, 0)) + values(diff(field, 2, 1))
        convective = values(u) * values(diff(field, 1, 0)) + values(v) * values(diff(field, 1, 1))
        gradient.append(_coefficients(viscous / reynolds - convective))
    along_x, along_y = gradient
    # Along y = ½, then up and down: near the walls slopes stand in for the equation, so these come last.
    p = np.asarray(chebyshev.chebint(along_y, lbnd=0, scl=0.5, axis=1))
    middle = chebyshev.chebval(0.0, along_x.T)
    p = np.pad(p, ((0, 1), (0, 0)))
    p[:, 0] += chebyshev.chebint(middle, lbnd=0, scl=0.5)
    return u, v, p


def _coefficients(values: np.ndarray) -> np.ndarray:
    """Chebyshev coefficients along both axes from the values at the extrema, in increasing order."""
    for axis in (0, 1):
        degree = values.shape[axis] - 1
        values = np.moveaxis(np.asarray(dct(np.flip(values, axis), type=1, axis=axis)), axis, 0) / degree
        values[[0, -1]] /= 2
        values = np.moveaxis(values, 0, axis)
    return values


def _evaluate(coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The values on the grid of ``points`` along both axes."""
    return chebyshev.chebgrid2d(points, points, coefficients)


def _differentiation(degree: int, order: int) -> list[np.ndarray]:
    """Matrices of the derivatives 1 to ``order`` at the extrema in increasing order on [−1, 1].

    By Welfert's recurrence from trigonometric differences, which keeps digits that powers of the first
    matrix lose.
    """
    size = degree + 1
    theta = np.pi * np.arange(size) / degree
    # Differences of −cos θ, which increases.
    gaps = 2 * np.sin((theta[:, None] + theta[None]) / 2) * np.sin((theta[:, None] - theta[None]) / 2)
    half = size // 2
    gaps[size - half :] = -gaps[:half][::-1, ::-1]
    np.fill_diagonal(gaps, 1.0)
    weights = (-1.0) ** np.arange(size)
    weights[[0, -1]] *= 2
    ratios = weights[:, None] / weights[None]
    inverse = 1 / gaps
    np.fill_diagonal(inverse, 0.0)
    matrix, found = np.eye(size), []
    for k in range(1, order + 1):
        matrix = k * inverse * (ratios * np.diag(matrix)[:, None] - matrix)
        np.fill_diagonal(matrix, -matrix.sum(axis=1))
        found.append(matrix)
    return found
