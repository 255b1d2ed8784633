"""Figure 5: approximation of a multi-scale function (Eq. 45, Appendix C.1)."""

from benchmarks.paper._regression import RegressionStudy, four_panels


class Figure5(RegressionStudy):
    """Figure 5: a multi-scale function (Eq. 45), α from 0.005 to 2.5, every optimiser."""

    name = "figure5"
    panels = four_panels("multiscale", (True, False, False, False), close=True)
