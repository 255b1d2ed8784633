"""Experiments that measure something other than a training."""

from typing import Annotated

import tyro

from benchmarks.contraction import Contraction
from benchmarks.derivatives import Derivatives
from benchmarks.fit_rate import FitRate
from benchmarks.kernel import Kernel
from benchmarks.overhead import Overhead
from benchmarks.peers import Peers
from benchmarks.stiff_quadratic import StiffQuadratic

KINDS = (StiffQuadratic, Contraction, Overhead, Derivatives, FitRate, Kernel, Peers)

Measurement = (
    Annotated[StiffQuadratic, tyro.conf.subcommand("stiff_quadratic")]
    | Annotated[Overhead, tyro.conf.subcommand("overhead")]
    | Annotated[Derivatives, tyro.conf.subcommand("derivatives")]
    | Annotated[FitRate, tyro.conf.subcommand("fit_rate")]
    | Annotated[Contraction, tyro.conf.subcommand("contraction")]
    | Annotated[Kernel, tyro.conf.subcommand("kernel")]
    | Annotated[Peers, tyro.conf.subcommand("peers")]
)
