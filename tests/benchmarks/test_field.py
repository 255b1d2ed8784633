"""The field's problems as experiments: every row trains, and its summary tells what the problem has."""

import json

import pytest

from benchmarks import _field


@pytest.mark.parametrize("kind", _field.KINDS, ids=lambda kind: kind.name)
def test_every_row_fits_its_network_to_its_problem(kind):
    experiment = kind()
    problem, plan = experiment.problem(), experiment.plan()
    assert problem.domain.dim >= 1
    assert plan.time_limit == kind.row.seconds
    json.dumps(plan.setting(), default=str)
    names = getattr(problem, "output_names", ("u",))
    # The cavity's pressure has no reference.
    assert kind.row.outputs == len(names) + (kind.name == "cavity")


def test_an_inverse_problem_is_trained_and_summed_up(cli, tmp_path):
    out = tmp_path / "run"
    cli(
        "run",
        "oscillator_inverse",
        "--optimizer",
        "adam",
        "--time-limit",
        "0.5",
        "--no-progress",
        "--out",
        str(out),
    )
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary["unknowns"]) == {"mu", "k"}
    assert summary["true_unknowns"] == {"mu": 4.0, "k": 400.0}
    assert summary["fresh_loss"] > 0
    assert (out / "solution.png").exists()
