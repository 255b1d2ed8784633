"""Measurements record what they found and on what."""

import json

import jax
import numpy as np
import pytest

from benchmarks.derivatives import Derivatives
from benchmarks.fit_rate import FitRate
from benchmarks.intervals import Intervals
from benchmarks.kernel import Kernel
from benchmarks.overhead import Overhead
from benchmarks.paper.contraction import Contraction
from benchmarks.paper.stiff_quadratic import StiffQuadratic


@pytest.mark.long
@pytest.mark.usefixtures("x64_restored")
def test_stiff_quadratic_decays_as_equations_7_and_8_say(tmp_path):
    result = StiffQuadratic(num_alphas=4, max_steps=50, max_implicit_steps=20, out=tmp_path).run()
    assert [row["alpha"] for row in result["rows"]] == pytest.approx([1e-5, 1e-2, 10, 1e4])
    for row in result["rows"]:
        np.testing.assert_allclose(row["gd_decay"], row["gd_bound"], rtol=1e-6)
        np.testing.assert_allclose(1 - row["igd_decay"], 1 - row["igd_bound"], rtol=1e-6)
        for name in ("gd_loss_decay", "igd_loss_decay"):  # Eqs. 10 and 11
            np.testing.assert_allclose(row[name]["actual"], row[name]["predicted"], rtol=1e-6)
    assert result["rows"][-1]["igd_steps"] == 10
    assert (tmp_path / "stiff_quadratic.png").read_bytes().startswith(b"\x89PNG")


def positive(value):
    """The numbers in nested dictionaries and lists."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in positive(item)]
    return [number for item in value for number in positive(item)] if isinstance(value, list) else [value]


@pytest.mark.long
@pytest.mark.parametrize(
    ("measurement", "file", "key", "names"),
    [
        pytest.param(
            Overhead(repeats=1, outer_steps=1, inner_steps=3),
            "overhead.json",
            "ratio_to_adam",
            {"adam", "implicit_step(adam)", "implicit_step(adam, safeguard=False)"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            Derivatives(repeats=1, points=10, width=8),
            "derivatives.json",
            "ratio_to_ours",
            {"pinns", "folx", "trace(jax.hessian)", "jvp of jvp"},
            marks=pytest.mark.slow,
        ),
        (FitRate(repeats=1, steps=10), "fit_rate.json", "ratio", {"median", "min", "max"}),
        pytest.param(
            Kernel(repeats=1, points=20), "kernel.json", "ways", None, marks=pytest.mark.slow
        ),  # every size compiles
    ],
)
@pytest.mark.usefixtures("x64_restored")
def test_timings_record_what_they_ran_on(tmp_path, measurement, file, key, names):
    with jax.numpy_rank_promotion("allow"):  # folx promotes ranks
        type(measurement)(**vars(measurement) | {"out": tmp_path}).run()
    recorded = json.loads((tmp_path / file).read_text())
    rows = recorded["rows"]
    assert names is None or set(rows[0][key]) == names
    if file == "derivatives.json":
        assert [row["derivative"] for row in rows] == ["Δu", "u_xy", "u_xxxx"]
        assert all("pinns" in row[key] and len(row[key]) > 2 for row in rows)
    for row in rows:
        values = [v for v in positive(row[key]) if v is not None]
        assert values
        assert np.isfinite(values).all()
        assert set(recorded["calls"][row["call"]]) == {"command", "device", "versions"}


@pytest.mark.slow
@pytest.mark.usefixtures("x64_restored")
def test_intervals_count_draws_that_cover_the_truth(tmp_path):
    Intervals(cases=("decay",), weights=(100.0,), draws=3, steps=10, warm_steps=150, out=tmp_path).run()
    recorded = json.loads((tmp_path / "intervals.json").read_text())
    (row,) = recorded["rows"][0]["unknowns"]
    assert row["unknown"] == "k"
    assert row["undetermined"] == 0
    assert 1 <= row["covered_noise_given"] <= 3
    assert row["standard_error_noise_given"] == pytest.approx(row["bound"], rel=0.05)
    assert set(recorded["calls"][0]) == {"command", "device", "versions"}


@pytest.mark.slow
@pytest.mark.usefixtures("x64_restored")
def test_contraction_of_every_mode_is_the_papers_where_steps_are_small(tmp_path):
    result = Contraction(steps=(0, 2), alphas=(1e-6,), out=tmp_path).run()
    assert [panel["step"] for panel in result["rows"]] == [0, 2]
    for panel in result["rows"]:
        assert panel["modes"] >= 5
        assert panel["accepted"]
        np.testing.assert_allclose(panel["median_ratio"], 1, atol=1e-3)
        np.testing.assert_allclose(panel["loss_decay"]["predicted"], panel["loss_decay"]["actual"], rtol=1e-5)
    assert (tmp_path / "contraction.png").read_bytes().startswith(b"\x89PNG")
