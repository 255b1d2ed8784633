"""Figure 5: approximation of a multi-scale function (Eq. 45, Appendix C.1)."""

import dataclasses
from typing import Any, ClassVar, Literal

from benchmarks.paper._claims import Claim
from benchmarks.paper._regression import RegressionStudy
from benchmarks.paper._study import select
from benchmarks.paper._training_claims import close_claim


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure5(RegressionStudy):
    """Figure 5: a multi-scale function (Eq. 45), α from 0.005 to 2.5, every optimiser."""

    name: ClassVar[str] = "figure5"
    function: ClassVar[Literal["multiscale", "discontinuous"]] = "multiscale"
    explicit: ClassVar[tuple[bool, ...]] = (True, False, False, False)

    def claims(self, result: dict[str, Any]) -> list[Claim]:
        """And that ISGD is close to SGD at the smallest learning rate."""
        ours, sgd = (select(result["rows"], "α = 0.005", optimizer=name) for name in ("isgd-adam", "sgd"))
        close = close_claim(
            "α = 0.005: ISGD, Adam, with a second phase, is very close to SGD",
            ours,
            sgd,
            shortened=result["preset"] == "quick",
        )
        return [close, *super().claims(result)]
