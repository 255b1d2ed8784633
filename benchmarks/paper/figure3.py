"""Figure 3: the 2-D Poisson equation (Eq. 20, Section 4.2, Table 1)."""

import dataclasses
from typing import ClassVar

from benchmarks._experiments import Poisson2d
from benchmarks.paper._two_dimensional import TwoDimensionalStudy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure3(TwoDimensionalStudy):
    """Figure 3: the 2-D Poisson equation (Eq. 20), α = 0.0005 and 0.5, every optimiser."""

    name: ClassVar[str] = "figure3"
    kind: ClassVar[type[Poisson2d]] = Poisson2d
    error: ClassVar[float] = 0.002
    iterations: ClassVar[tuple[int, int]] = (2_000_000, 1_100_000)
    explicit_said: ClassVar[bool] = True
