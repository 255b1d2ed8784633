"""Steady flow in a square whose lid moves, by Chebyshev collocation of the stream function."""

from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev

from benchmarks.references._corner import Flow, corner_flow
from benchmarks.references._series import chebyshev_coefficients
from benchmarks.references._table import Table, chebyshev_points

LIDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "parabolic": lambda x: 4 * x * (1 - x),
    "regularised": lambda x: 16 * x**2 * (1 - x) ** 2,
}


def cavity(
    reynolds: float = 100.0,
    lid: str = "regularised",
    *,
    degree: int = 64,
    num_points: int = 65,
    smooth_part: bool = False,
) -> Table:
    r"""Velocity and pressure on [0, 1]² with the speed of the lid given at y = 1 and no slip elsewhere.

    .. math::
      \frac{1}{Re} \Delta^2 \psi = \psi_y \Delta \psi_x - \psi_x \Delta \psi_y, \qquad
      u = \psi_y, \quad v = -\psi_x, \qquad p(\tfrac12, \tfrac12) = 0

    Newton's method, begun at Stokes' flow of half the degree and led there to the Reynolds number in steps.
    The pressure is the integral of its gradient along the line y = ½ and then up and down. The flow at the
    corners of the parabolic lid, see :func:`corner_flow`, is taken out before and added again: it is not
    smooth, and the pressure there is infinite.

    Args:
      reynolds: The Reynolds number; above 100 the coarse solution passes 100 and 400 on its way.
      lid: ``"parabolic"``, 4x(1 − x), with singular corners, or ``"regularised"``, 16x²(1 − x)².
      degree: The degree of the polynomials along each axis, at least 16.
      num_points: The number of stored Chebyshev points along each axis.
      smooth_part: Leave the flow at the corners out.

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
    psi = -_corner(lid, chebyshev_points(coarse + 1, 0, 1)).psi  # the fluid at rest
    for step in (*(r for r in (100.0, 400.0, 1000.0) if r < reynolds), reynolds):
        psi = _newton(psi, step, lid)
    psi = _newton(_evaluate(_coefficients(psi), chebyshev_points(degree + 1, -1, 1)), reynolds, lid)
    points = chebyshev_points(num_points, 0, 1)
    fields = [_evaluate(field, 2 * points - 1) for field in _fields(_coefficients(psi), reynolds, lid)]
    if lid == "parabolic" and not smooth_part:
        corner = corner_flow(points[:, None], points[None])
        fields = [fields[0] + corner.u, fields[1] + corner.v, fields[2] + corner.p / reynolds]
    return Table({"x": points, "y": points}, ("u", "v", "p"), np.stack(fields, axis=-1))


def _corner(lid: str, points: np.ndarray) -> Flow:
    """What is taken out of the flow, on the grid of ``points``."""
    if lid == "parabolic":
        return corner_flow(points[:, None], points[None])
    return Flow(*[np.zeros((len(points), len(points)))] * len(Flow._fields))


def _newton(psi: np.ndarray, reynolds: float, lid: str) -> np.ndarray:
    """The smooth part of ψ at all Chebyshev points of [0, 1]², (x, y) increasing, from the guess ``psi``.

    Its boundary values are known. Slopes there are imposed in the rows of the points beside it.
    """
    degree = len(psi) - 1
    points = chebyshev_points(degree + 1, 0, 1)
    corner = _corner(lid, points)
    d1, d2, d3, d4 = (2.0**k * d for k, d in enumerate(_differentiation(degree, 4), start=1))
    inside = slice(1, degree)
    e1, e2, e3, e4 = (d[inside, inside] for d in (d1, d2, d3, d4))
    size, unit = degree - 1, np.eye(degree - 1)
    speed = {0: np.zeros(size), size - 1: LIDS[lid](points)[inside]}
    walls = dict(zip(speed, (0, degree), strict=True))
    psi, interior = -corner.psi, psi[inside, inside]
    psi[inside, inside] = interior
    for _ in range(20):
        u, v = psi @ d1.T + corner.u, -d1 @ psi + corner.v
        vorticity_x = d3 @ psi + d1 @ psi @ d2.T + corner.vorticity_x
        vorticity_y = d2 @ psi @ d1.T + psi @ d3.T + corner.vorticity_y
        bilaplacian = d4 @ psi + psi @ d4.T + 2 * d2 @ psi @ d2.T
        rest = (bilaplacian / reynolds - u * vorticity_x - v * vorticity_y)[inside, inside]
        slope_x, slope_y = -v[:, inside], u[inside]
        u, v, vorticity_x, vorticity_y = (f[inside, inside] for f in (u, v, vorticity_x, vorticity_y))
        matrix = np.kron(e2, e2)
        matrix *= 2 / reynolds
        matrix -= u.reshape(-1, 1) * np.kron(e1, e2)
        matrix -= v.reshape(-1, 1) * np.kron(e2, e1)
        blocks = matrix.reshape(size, size, size, size)  # x, y of the row, x, y of the column
        index = np.arange(size)
        # What differentiates along one axis alone couples points of one line alone.
        blocks[:, index, :, index] += (
            e4[None] / reynolds - u.T[:, :, None] * e3[None] + vorticity_y.T[:, :, None] * e1[None]
        )
        blocks[index, :, index, :] += (
            e4[None] / reynolds - v[:, :, None] * e3[None] - vorticity_x[:, :, None] * e1[None]
        )
        for side, wall in walls.items():  # the left and right walls, then bottom and lid, which prevail
            blocks[side] = d1[wall, inside][None, :, None] * unit[:, None, :]
            rest[side] = slope_x[wall]
        for side, wall in walls.items():
            blocks[:, side] = unit[:, :, None] * d1[wall, inside][None, None, :]
            rest[:, side] = slope_y[:, wall] - speed[side]
        step = np.linalg.solve(matrix, -rest.reshape(-1)).reshape(size, size)
        psi[inside, inside] += step
        if np.abs(step).max() < 1e-11:
            return psi
    raise RuntimeError(f"Newton's method did not converge at the Reynolds number {reynolds}.")


def _fields(psi: np.ndarray, reynolds: float, lid: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chebyshev coefficients of the smooth parts of u, v and p from those of ψ, on [−1, 1]² for [0, 1]²."""
    size = len(psi)
    diff = lambda c, m, axis: np.asarray(chebyshev.chebder(c, m, scl=2, axis=axis))
    pad = lambda c: np.pad(c, [(0, size - n) for n in c.shape])
    u, v = pad(diff(psi, 1, 1)), pad(-diff(psi, 1, 0))
    points = chebyshev_points(size, -1, 1)
    values = lambda c: _evaluate(pad(c), points)
    corner = _corner(lid, (points + 1) / 2)
    speed = values(u) + corner.u, values(v) + corner.v
    gradient = []
    for field, field_x, field_y in ((u, corner.u_x, corner.u_y), (v, corner.v_x, -corner.u_x)):
        viscous = values(diff(field, 2, 0)) + values(diff(field, 2, 1))
        along = values(diff(field, 1, 0)) + field_x, values(diff(field, 1, 1)) + field_y
        convective = speed[0] * along[0] + speed[1] * along[1]
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
    return chebyshev_coefficients(chebyshev_coefficients(values, 0), 1)


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
