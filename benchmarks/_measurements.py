"""The paper's artefacts and the measurements of this library: experiments other than a single training."""

from typing import Annotated

import tyro

from benchmarks.derivatives import Derivatives
from benchmarks.fit_rate import FitRate
from benchmarks.intervals import Intervals
from benchmarks.kernel import Kernel
from benchmarks.overhead import Overhead
from benchmarks.paper.algorithm1 import Algorithm1
from benchmarks.paper.contraction import Contraction
from benchmarks.paper.figure1 import Figure1
from benchmarks.paper.figure2 import Figure2
from benchmarks.paper.figure3 import Figure3
from benchmarks.paper.figure4 import Figure4
from benchmarks.paper.figure5 import Figure5
from benchmarks.paper.figure6 import Figure6
from benchmarks.paper.robustness import Robustness
from benchmarks.paper.stiff_quadratic import StiffQuadratic
from benchmarks.paper.table2 import Table2
from benchmarks.paper.theorem1 import Theorem1
from benchmarks.peers import Peers
from benchmarks.scaling import Scaling

# In the order of the report.
REPORTED = (
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
KINDS = (*REPORTED, Derivatives, FitRate, Intervals, Kernel, Scaling)

Measurement = (
    Annotated[StiffQuadratic, tyro.conf.subcommand("stiff_quadratic")]
    | Annotated[Figure1, tyro.conf.subcommand("figure1")]
    | Annotated[Figure2, tyro.conf.subcommand("figure2")]
    | Annotated[Figure3, tyro.conf.subcommand("figure3")]
    | Annotated[Figure4, tyro.conf.subcommand("figure4")]
    | Annotated[Figure5, tyro.conf.subcommand("figure5")]
    | Annotated[Figure6, tyro.conf.subcommand("figure6")]
    | Annotated[Algorithm1, tyro.conf.subcommand("algorithm1")]
    | Annotated[Theorem1, tyro.conf.subcommand("theorem1")]
    | Annotated[Table2, tyro.conf.subcommand("table2")]
    | Annotated[Robustness, tyro.conf.subcommand("robustness")]
    | Annotated[Overhead, tyro.conf.subcommand("overhead")]
    | Annotated[Derivatives, tyro.conf.subcommand("derivatives")]
    | Annotated[FitRate, tyro.conf.subcommand("fit_rate")]
    | Annotated[Contraction, tyro.conf.subcommand("contraction")]
    | Annotated[Intervals, tyro.conf.subcommand("intervals")]
    | Annotated[Kernel, tyro.conf.subcommand("kernel")]
    | Annotated[Scaling, tyro.conf.subcommand("scaling")]
    | Annotated[Peers, tyro.conf.subcommand("peers")]
)
