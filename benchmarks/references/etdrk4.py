"""Periodic evolution equations by Fourier series in space and exponential Runge–Kutta steps in time."""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import fft

from benchmarks.references._table import Table, chebyshev_points


@dataclasses.dataclass(frozen=True)
class Equation:
    """U_t = L u + N(u) with a period in x and t from 0 to 1.

    Args:
      lower: The left end of the period.
      period: Its length.
      initial: u₀ as a function of x.
      linear: The symbol of L as a function of the wave numbers.
      nonlinear: The nonlinear function whose transform is taken, e.g. u².
      factor: What multiplies that transform, as a function of the wave numbers.
      dealias: The fraction of the modes that the nonlinear term keeps; 2/3 for squares.
    """

    lower: float
    period: float
    initial: Callable[[np.ndarray], np.ndarray]
    linear: Callable[[np.ndarray], np.ndarray]
    nonlinear: Callable[[np.ndarray], np.ndarray]
    factor: Callable[[np.ndarray], np.ndarray | float]
    dealias: float = 1.0


def _allen_cahn(initial: Callable[[np.ndarray], np.ndarray]) -> Equation:
    linear = lambda k: 5 - 1e-4 * k**2
    return Equation(-1.0, 2.0, initial, linear, lambda u: u**3, lambda k: -5.0)


def _bump(x: np.ndarray) -> np.ndarray:
    """The initial value of the reaction equations, a normal density without its factor."""
    return np.exp(-((x - np.pi) ** 2) / (2 * (np.pi / 4) ** 2))


EQUATIONS = {
    "allen_cahn_cosines": _allen_cahn(lambda x: -np.cos(np.pi * x) + np.cos(2 * np.pi * x) / 2),
    "allen_cahn_smooth": _allen_cahn(lambda x: x**2 * np.cos(3 * np.pi * x) + x**2),
    "allen_cahn_jaxpi": _allen_cahn(lambda x: x**2 * np.cos(np.pi * x)),
    "kdv": Equation(
        lower=-1.0,
        period=2.0,
        initial=lambda x: np.cos(np.pi * x),
        linear=lambda k: 1j * 0.022**2 * k**3,
        nonlinear=np.square,
        factor=lambda k: -0.5j * k,
        dealias=2 / 3,
    ),
    "kuramoto_sivashinsky": Equation(
        lower=0.0,
        period=2 * np.pi,
        initial=lambda x: np.cos(x) * (1 + np.sin(x)),
        linear=lambda k: 100 / 16**2 * k**2 - 100 / 16**4 * k**4,
        nonlinear=np.square,
        factor=lambda k: -0.5j * 100 / 16 * k,
        dealias=2 / 3,
    ),
    "reaction_diffusion": Equation(
        lower=0.0,
        period=2 * np.pi,
        initial=_bump,
        linear=lambda k: 5 - 5 * k**2,
        nonlinear=np.square,
        factor=lambda k: -5.0,
        dealias=2 / 3,
    ),
}


def periodic(
    name: str, *, modes: int, max_step: float, num_x: int = 256, num_t: int = 65, extended: bool = False
) -> Table:
    """U on a uniform grid of one period and at Chebyshev points of time.

    Args:
      name: One of ``EQUATIONS``.
      modes: The number of points of the computation in space, even.
      max_step: The longest step in time; the steps between two stored times are equal.
      num_x: The number of stored points, without the right end, which is the left one.
      num_t: The number of stored times in [0, 1].
      extended: Compute in the machine's long double, for equations that let rounding errors grow.

    Returns:
      The table with the axes x and t.

    Raises:
      ValueError: An odd number of modes.

    References:
      Kassam and Trefethen, Fourth-order time-stepping for stiff PDEs, 2005.
    """
    if modes % 2:
        raise ValueError(f"modes must be even, got {modes}.")
    equation = EQUATIONS[name]
    times = chebyshev_points(num_t, 0.0, 1.0)
    spectra = etdrk4(equation, modes, times, max_step, np.longdouble if extended else np.float64)
    x = equation.lower + equation.period * np.arange(num_x) / num_x
    return Table({"x": x, "t": times}, ("u",), resample(spectra, modes, num_x).T[..., None])


def etdrk4(
    equation: Equation, modes: int, times: np.ndarray, max_step: float, dtype: type = np.float64
) -> np.ndarray:
    """The discrete transforms of u at ``times``, shape (times, modes // 2 + 1), the first being at 0."""
    wave = (2 * np.pi / equation.period) * np.arange(modes // 2 + 1, dtype=dtype)
    kept = np.ones(modes // 2 + 1, dtype)
    if equation.dealias < 1:
        kept[np.arange(modes // 2 + 1) >= equation.dealias * (modes // 2)] = 0
    factor = equation.factor(wave) * kept

    def nonlinear(v: np.ndarray) -> np.ndarray:
        return factor * np.asarray(fft.rfft(equation.nonlinear(np.asarray(fft.irfft(v * kept, modes)))))

    symbol = equation.linear(wave)
    x = equation.lower + equation.period * np.arange(modes, dtype=dtype) / modes
    v = np.asarray(fft.rfft(equation.initial(x)))
    stored = [v]
    for interval in np.diff(times.astype(dtype)):
        num_steps = int(np.ceil(interval / max_step))
        e, e_half, q, f1, f2, f3 = _coefficients(symbol, interval / num_steps)
        for _ in range(num_steps):
            at_v = nonlinear(v)
            a = e_half * v + q * at_v
            at_a = nonlinear(a)
            b = e_half * v + q * at_a
            at_b = nonlinear(b)
            c = e_half * a + q * (2 * at_b - at_v)
            v = e * v + f1 * at_v + 2 * f2 * (at_a + at_b) + f3 * nonlinear(c)
        stored.append(v)
    return np.array(stored, complex)


def _coefficients(symbol: np.ndarray, step: np.floating, num_nodes: int = 64) -> tuple[np.ndarray, ...]:
    """Kassam and Trefethen's; means over a circle, where the quotients at 0 lose no digits."""
    z = step * symbol
    nodes = z[:, None] + np.exp(2j * np.pi * (np.arange(num_nodes, dtype=step.dtype) + 0.5) / num_nodes)
    power = np.exp(nodes)
    quotients = (
        (np.exp(nodes / 2) - 1) / nodes,
        (-4 - nodes + power * (4 - 3 * nodes + nodes**2)) / nodes**3,
        (2 + nodes + power * (nodes - 2)) / nodes**3,
        (-4 - 3 * nodes - nodes**2 + power * (4 - nodes)) / nodes**3,
    )
    means = (step * np.mean(quotient, axis=1) for quotient in quotients)
    if np.isrealobj(symbol):
        means = (np.real(mean) for mean in means)
    return (np.exp(z), np.exp(z / 2), *means)


def resample(spectra: np.ndarray, modes: int, num_x: int) -> np.ndarray:
    """The values at ``num_x`` points of one period of what has these transforms at ``modes`` points."""
    turns = np.outer(np.arange(modes // 2 + 1), np.arange(num_x)) % num_x / num_x  # reduced while exact
    weights = np.full(modes // 2 + 1, 2.0)
    weights[[0, -1]] = 1.0  # the highest mode stands for both signs
    return np.real((weights * spectra) @ np.exp(2j * np.pi * turns)) / modes
