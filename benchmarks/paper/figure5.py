"""Figure 5: approximation of a multi-scale function (Eq. 45, Appendix C.1)."""

import dataclasses
from typing import ClassVar, Literal

from benchmarks.paper._regression import RegressionStudy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure5(RegressionStudy):
    """Figure 5: a multi-scale function (Eq. 45), α from 0.005 to 2.5, every optimiser."""

    name: ClassVar[str] = "figure5"
    function: ClassVar[Literal["multiscale", "discontinuous"]] = "multiscale"
    explicit: ClassVar[tuple[bool, ...]] = (True, False, False, False)
