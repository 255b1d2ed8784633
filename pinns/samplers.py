"""Samplers of the unit cube, as values: what ``method`` and ``sampling`` also take instead of a name."""

from pinns._samplers import Sampler, grid, sobol, uniform

__all__ = ["Sampler", "grid", "sobol", "uniform"]
