"""Committed results, made again by the command recorded beside them."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from benchmarks.report import RESULTS


def again(cli, recorded: Path, folder: Path):
    """Runs the command of a recorded result, its output elsewhere."""
    result = json.loads(recorded.read_text())
    words = shlex.split(result["calls"][0]["command"])
    assert words[:3] == ["python", "-m", "benchmarks"]
    cli(*words[3:], "--out", folder)
    return result, json.loads((folder / recorded.name).read_text())


@pytest.mark.slow
def test_the_stiff_quadratic_is_reproduced(cli, tmp_path):
    recorded, now = again(cli, RESULTS / "stiff_quadratic" / "stiff_quadratic.json", tmp_path)
    tolerance = recorded["reproduced"]
    for old, new in zip(recorded["rows"], now["rows"], strict=True):
        # 10ˣ is not the same to the last bit everywhere.
        np.testing.assert_allclose(new["alpha"], old["alpha"], rtol=1e-14)
        for key in ("gd_decay", "igd_decay"):
            np.testing.assert_allclose(new[key], old[key], rtol=tolerance["decay_rtol"])
        for key in ("gd_steps", "adam_steps", "igd_steps"):
            assert (old[key] is None) == (new[key] is None)
            if old[key] is not None:
                np.testing.assert_allclose(new[key], old[key], rtol=tolerance["steps_rtol"])


@pytest.mark.slow  # the quadratic's reproduction stays in the default run
def test_a_gauss_newton_training_is_reproduced(cli, tmp_path):
    folder = RESULTS / "ode-0.01-sobol-isgd-gn-seed2"
    recorded, now = again(cli, folder / "summary.json", tmp_path)
    assert now["stop_reason"] == recorded["stop_reason"] == "target"
    assert now["num_steps"] == recorded["num_steps"]  # of which 10 more are five times as good
    np.testing.assert_allclose(now["rel_l2"], recorded["rel_l2"], rtol=0.2)
