"""Figure 4: the Helmholtz equation (Eq. 21, Section 4.3, Table 1)."""

import dataclasses
from typing import ClassVar

from benchmarks._experiments import Helmholtz
from benchmarks.paper._two_dimensional import TwoDimensionalStudy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure4(TwoDimensionalStudy):
    """Figure 4: the Helmholtz equation (Eq. 21), α = 0.0005 and 0.5, every optimiser."""

    name: ClassVar[str] = "figure4"
    kind: ClassVar[type[Helmholtz]] = Helmholtz
    error: ClassVar[float] = 0.007
    iterations: ClassVar[tuple[int, int]] = (1_000_000, 550_000)
    explicit_said: ClassVar[bool] = False
