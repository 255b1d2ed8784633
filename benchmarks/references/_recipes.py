"""How each reference is computed: its generator, its resolution, and a finer one that tells its floor."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.references import _series
from benchmarks.references._table import Table, relative_l2
from benchmarks.references.cavity import cavity
from benchmarks.references.cole_hopf import burgers
from benchmarks.references.etdrk4 import periodic
from benchmarks.references.stiff import lorenz, robertson, van_der_pol


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A reference solution.

    Args:
      generate: The generator.
      resolution: Its keyword arguments.
      finer: Those of the computation that it is compared with.
      stored: What the table from which the series of the package are made has in place of that resolution.
      part: The keyword arguments that leave out what the package adds in closed form.
      kinds: The series along both axes, see ``_series.compress``; none of an ordinary equation.
      span: The ends of the interval of an ordinary equation.
      tolerance: The error of the series, relative to the largest coefficient or value.
    """

    generate: Callable[..., Table]
    resolution: Mapping[str, Any]
    finer: Mapping[str, Any]
    stored: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    part: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kinds: tuple[str, str] | None = None
    span: tuple[float, float] = (0.0, 1.0)
    tolerance: float = 1e-13

    def table(self) -> Table:
        """The reference on its default grid."""
        return self.generate(**self.resolution)

    def floor(self, table: Table | None = None) -> np.ndarray:
        """The relative L2 difference of every output to the finer computation, shape (m,)."""
        coarse = (self.table() if table is None else table).values
        return _differences(coarse, self.generate(**self.finer).values)

    def coefficients(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The series of the package and their floor: the series against the finer computation."""
        if self.kinds is None:
            generate = lambda points: self.generate(points, **self.resolution)
            arrays = _series.pieces(generate, *self.span, self.tolerance)
        else:
            stored = self.generate(**{**self.resolution, **self.stored, **self.part})
            arrays = _series.compress(stored, self.kinds, self.tolerance)
        finer = self.generate(**{**self.finer, **self.part})
        floor = _differences(_series.evaluate(arrays, tuple(finer.axes.values())), finer.values)
        if self.part:  # relative to the whole solution
            outputs = tuple(range(finer.values.ndim - 1))
            whole = self.table().values
            floor *= np.linalg.norm(finer.values, axis=outputs) / np.linalg.norm(whole, axis=outputs)
        return arrays, floor


def _differences(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return np.array([relative_l2(values[..., k], reference[..., k]) for k in range(values.shape[-1])])


def _periodic(
    name: str,
    modes: int,
    max_step: float,
    num_t: int = 65,
    tolerance: float = 1e-13,
    *,
    extended: bool = False,
) -> Recipe:
    return Recipe(
        functools.partial(periodic, name, extended=extended),
        {"modes": modes, "max_step": max_step},
        {"modes": 2 * modes, "max_step": max_step / 2},
        {"num_x": modes, "num_t": num_t},
        kinds=("fourier", "chebyshev"),
        tolerance=tolerance,
    )


def _cavity(reynolds: float, lid: str, degree: int, tolerance: float) -> Recipe:
    return Recipe(
        functools.partial(cavity, reynolds, lid),
        {"degree": degree},
        {"degree": degree * 6 // 5},
        {"num_points": degree + 1},
        {"smooth_part": True},
        ("chebyshev", "chebyshev"),
        tolerance=tolerance,
    )


RECIPES = {
    "burgers": Recipe(burgers, {"step": 0.1}, {"step": 0.05}),
    "allen_cahn_cosines": _periodic("allen_cahn_cosines", 2048, 5e-4, 81),
    "allen_cahn_smooth": _periodic("allen_cahn_smooth", 4096, 1e-3, 129, 1e-11),
    "allen_cahn_jaxpi": _periodic("allen_cahn_jaxpi", 4096, 1e-3, 129, 3e-8),
    "kdv": _periodic("kdv", 768, 2.5e-5, 121, extended=True),
    "kuramoto_sivashinsky": _periodic("kuramoto_sivashinsky", 384, 1e-5, 1001, 1e-12, extended=True),
    "reaction_diffusion": _periodic("reaction_diffusion", 256, 5e-4),
    "cavity_regularised_100": _cavity(100.0, "regularised", 80, 1e-11),
    "cavity_regularised_400": _cavity(400.0, "regularised", 80, 1e-11),
    "cavity_regularised_1000": _cavity(1000.0, "regularised", 80, 1e-11),
    "cavity_parabolic_100": _cavity(100.0, "parabolic", 80, 1e-11),
    "robertson": Recipe(
        robertson, {"rtol": 1e-12}, {"rtol": 1e-13}, span=(-5.0, float(np.log10(1e5 + 1e-5))), tolerance=1e-12
    ),
    "van_der_pol": Recipe(van_der_pol, {"rtol": 1e-13}, {"rtol": 3e-14}, span=(0.0, 20.0), tolerance=1e-12),
    "lorenz": Recipe(lorenz, {"rtol": 1e-13}, {"rtol": 3e-14}, span=(0.0, 3.0), tolerance=1e-12),
}
