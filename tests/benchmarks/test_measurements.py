import json

import jax
import numpy as np
import pytest

from benchmarks.derivatives import Derivatives
from benchmarks.fit_rate import FitRate
from benchmarks.overhead import Overhead
from benchmarks.stiff_quadratic import StiffQuadratic


@pytest.fixture
def x64_restored():
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.mark.usefixtures("x64_restored")
def test_stiff_quadratic_decays_as_equations_7_and_8_say(tmp_path):
    result = StiffQuadratic(num_alphas=5, max_steps=50, max_implicit_steps=20, out=tmp_path).run()
    assert [row["alpha"] for row in result["rows"]] == pytest.approx([1e-4, 1e-2, 1, 1e2, 1e4])
    for row in result["rows"]:
        np.testing.assert_allclose(row["gd_decay"], row["gd_bound"], rtol=1e-6)
        np.testing.assert_allclose(1 - row["igd_decay"], 1 - row["igd_bound"], rtol=1e-6)
    assert result["rows"][-1]["igd_steps"] == 10
    assert (tmp_path / "stiff_quadratic.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("measurement", "file", "key"),
    [
        (Overhead(repeats=1, outer_steps=1, inner_steps=3), "overhead.json", "ratio_to_adam"),
        (Derivatives(repeats=1, points=10, width=8), "derivatives.json", "ratio_to_ours"),
        (FitRate(repeats=1, steps=10), "fit_rate.json", "ratio"),
    ],
)
def test_timings_record_what_they_ran_on(tmp_path, measurement, file, key):
    with jax.numpy_rank_promotion("allow"):  # folx promotes ranks
        type(measurement)(**vars(measurement) | {"out": tmp_path}).run()
    recorded = json.loads((tmp_path / file).read_text())
    assert recorded[key]
    assert {"command", "device", "versions"} <= set(recorded)
