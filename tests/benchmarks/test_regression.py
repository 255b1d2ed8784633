"""Short trainings anew, against the records: a solver that got worse would be noticed here."""

import json

import pytest

from benchmarks import _field, report
from benchmarks._experiments import Ode
from benchmarks._train import train

# Rounding parts two machines after some hundred steps: the error may then be a few times another's.
FACTOR = 10.0
STEPS = {"beam": 200, "oscillator_inverse": 200, "kdv_inverse": 100, "robertson": 30}
KINDS = {kind.name: kind for kind in _field.KINDS}


def _recorded(folder, step):
    rows = (report.RESULTS / folder / "metrics.jsonl").read_text().splitlines()
    return next(row for row in map(json.loads, rows) if row["step"] == step)


@pytest.mark.long
@pytest.mark.usefixtures("x64_restored")
@pytest.mark.parametrize("name", STEPS)
def test_a_row_of_the_field_is_as_good_as_its_record(name, tmp_path):
    steps = STEPS[name]
    summary = train(KINDS[name](steps=steps, progress=False, out=tmp_path))
    assert (summary["num_steps"], summary["stop_reason"]) == (steps, "num_steps")
    record = _recorded(f"field/{name}-isgd-gn-seed0", steps)
    assert summary["loss"] <= FACTOR * record["loss"]
    assert summary["rel_l2"] <= FACTOR * record["rel_l2"]


@pytest.mark.long
@pytest.mark.usefixtures("x64_restored")
def test_the_stiff_ode_reaches_its_target_in_the_steps_of_its_record(tmp_path):
    summary = train(Ode(epsilon=0.01, optimizer="isgd-gn", progress=False, out=tmp_path, time_limit=300.0))
    record = json.loads((report.RESULTS / "ode-0.01-isgd-gn-seed0" / "summary.json").read_text())
    assert summary["stop_reason"] == "target"
    assert summary["num_steps"] <= 1.5 * record["num_steps"]
