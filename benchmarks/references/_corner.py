"""The flow at the upper corners of a cavity whose lid's speed begins linearly."""

from typing import NamedTuple

import numpy as np


class Flow(NamedTuple):
    """Stream function, velocity, pressure times Re, their derivatives and those of the vorticity Δψ."""

    psi: np.ndarray
    u: np.ndarray
    v: np.ndarray
    p: np.ndarray
    u_x: np.ndarray
    u_y: np.ndarray
    v_x: np.ndarray
    vorticity_x: np.ndarray
    vorticity_y: np.ndarray


def corner_flow(x: np.ndarray, y: np.ndarray) -> Flow:
    r"""Stokes' flow in the quadrants below (0, 1) and (1, 1), on whose upper sides the speed is 4r, added.

    With the angle θ from the wall towards the lid, and likewise at the other corner,

    .. math::
      \psi = r^2 \left(2 \theta - \tfrac{\pi}{2} + \tfrac{\pi}{2} \cos 2\theta - \sin 2\theta\right), \qquad
      \Delta^2 \psi = 0, \qquad p = \pm \frac{8}{Re} \ln r

    Taken out of the flow below the lid 4x(1 − x) it leaves a smoother one: the terms of order r³ are
    polynomials. The pressure is held at its value for r = 1/1000 nearer to the corners, where it is infinite.

    Args:
      x: The first coordinate in [0, 1].
      y: The second one; the shapes broadcast.

    References:
      Moffatt, Viscous and resistive eddies near a sharp corner, 1964.
    """
    total = [np.zeros(np.broadcast_shapes(x.shape, y.shape)) for _ in Flow._fields]
    for sign, a in ((1.0, x), (-1.0, 1 - x)):
        b = 1 - y
        squares = np.maximum(a**2 + b**2, 1e-300)
        angle = np.arctan2(a, b)
        parts = Flow(
            psi=squares * (2 * angle - np.pi / 2) + np.pi / 2 * (b**2 - a**2) - 2 * a * b,
            u=4 * a - 4 * angle * b,
            v=sign * 2 * a * (np.pi - 2 * angle),
            p=sign * 4 * np.log(np.maximum(squares, 1e-6)),
            u_x=sign * 4 * a**2 / squares,
            u_y=4 * angle - 4 * a * b / squares,
            v_x=2 * (np.pi - 2 * angle) - 4 * a * b / squares,
            vorticity_x=sign * 8 * b / squares,
            vorticity_y=8 * a / squares,
        )
        total = [before + part for before, part in zip(total, parts, strict=True)]
    return Flow(*total)
