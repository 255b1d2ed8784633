"""Experiments that measure something other than a training."""

from typing import Annotated

import tyro

from benchmarks.derivatives import Derivatives
from benchmarks.fit_rate import FitRate
from benchmarks.overhead import Overhead
from benchmarks.stiff_quadratic import StiffQuadratic

KINDS = (StiffQuadratic, Overhead, Derivatives, FitRate)

Measurement = (
    Annotated[StiffQuadratic, tyro.conf.subcommand("stiff_quadratic")]
    | Annotated[Overhead, tyro.conf.subcommand("overhead")]
    | Annotated[Derivatives, tyro.conf.subcommand("derivatives")]
    | Annotated[FitRate, tyro.conf.subcommand("fit_rate")]
)
