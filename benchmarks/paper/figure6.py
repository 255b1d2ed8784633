"""Figure 6: approximation of a discontinuous function (Eq. 46, Appendix C.1)."""

from benchmarks.paper._regression import RegressionStudy, four_panels


class Figure6(RegressionStudy):
    """Figure 6: a discontinuous function (Eq. 46), α from 0.005 to 2.5, every optimiser."""

    name = "figure6"
    panels = four_panels("discontinuous", (True, True, False, False))
