"""The wave equation with two modes, by a plain network."""

import pytest

from pinns import Wave

pytestmark = pytest.mark.slow


def test_two_modes_without_tuning(solve, network):
    """lululxvi/deepxde#787 and #578, PredictiveIntelligenceLab/MultiscalePINNs#5: tens of per cent off."""
    result = solve(Wave(num_points=2000), network(2), num_steps=10_000, seconds=600.0, rel_l2=1e-2)
    assert result.final["rel_l2"] <= 1e-2
