"""Figure 6: approximation of a discontinuous function (Eq. 46, Appendix C.1)."""

import dataclasses
from typing import ClassVar, Literal

from benchmarks.paper._regression import RegressionStudy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure6(RegressionStudy):
    """Figure 6: a discontinuous function (Eq. 46), α from 0.005 to 2.5, every optimiser."""

    name: ClassVar[str] = "figure6"
    function: ClassVar[Literal["multiscale", "discontinuous"]] = "discontinuous"
    explicit: ClassVar[tuple[bool, ...]] = (True, True, False, False)
