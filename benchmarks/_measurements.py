"""The table of artefacts: what the command line runs and the report shows."""

from benchmarks._artefact import Artefact
from benchmarks.ablations import Ablations
from benchmarks.classical import Classical
from benchmarks.derivatives import Derivatives
from benchmarks.fit_rate import FitRate
from benchmarks.intervals import Intervals
from benchmarks.kernel import Kernel
from benchmarks.overhead import Overhead
from benchmarks.paper.algorithm1 import Algorithm1
from benchmarks.paper.comparisons import Figure2, Figure3, Figure4, Figure5, Figure6
from benchmarks.paper.contraction import Contraction
from benchmarks.paper.figure1 import Figure1
from benchmarks.paper.robustness import Robustness
from benchmarks.paper.stiff_quadratic import StiffQuadratic
from benchmarks.paper.table2 import Table2
from benchmarks.paper.theorem1 import Theorem1
from benchmarks.peers import Peers
from benchmarks.scaling import Scaling

# In the order of the report.
REPORTED: tuple[type[Artefact], ...] = (
    Ablations,
    Classical,
    StiffQuadratic,
    Figure1,
    Theorem1,
    Contraction,
    Figure2,
    Figure3,
    Figure4,
    Figure5,
    Figure6,
    Algorithm1,
    Table2,
    Robustness,
    Overhead,
    Peers,
)
KINDS: tuple[type[Artefact], ...] = (*REPORTED, Derivatives, FitRate, Intervals, Kernel, Scaling)
