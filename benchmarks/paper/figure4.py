"""Figure 4: the Helmholtz equation (Eq. 21, Section 4.3, Table 1)."""

from benchmarks._experiments import Helmholtz
from benchmarks.paper._two_dimensional import TwoDimensional, two_panels


class Figure4(TwoDimensional):
    """Figure 4: the Helmholtz equation (Eq. 21), α = 0.0005 and 0.5, every optimiser."""

    name = "figure4"
    error = 0.007
    panels = two_panels(Helmholtz, 1_000_000, 550_000, said=False)
