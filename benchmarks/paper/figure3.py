"""Figure 3: the 2-D Poisson equation (Eq. 20, Section 4.2, Table 1)."""

from benchmarks._experiments import Poisson2d
from benchmarks.paper._two_dimensional import TwoDimensional, two_panels


class Figure3(TwoDimensional):
    """Figure 3: the 2-D Poisson equation (Eq. 20), α = 0.0005 and 0.5, every optimiser."""

    name = "figure3"
    error = 0.002
    panels = two_panels(Poisson2d, 2_000_000, 1_100_000, said=True)
