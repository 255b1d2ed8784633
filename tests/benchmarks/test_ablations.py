"""One choice changed at a time, and the classical solvers beside the field's problems."""

import dataclasses
import json

import pytest

import pinns
from benchmarks import _field, ablations, field
from benchmarks.ablations import CHANGES, Ablations
from benchmarks.classical import REFERENCES
from benchmarks.references import RECIPES


def test_only_changes_that_change_something_are_trained():
    found = {(cell["problem"], cell["change"]) for cell in Ablations().cells()}
    assert {change for problem, change in found if problem == "kdv"} >= {"as it is", "periodic network"}
    assert ("burgers", "periodic network") not in found  # its boundary values are given
    assert ("burgers", "momentum 0.5") not in found  # the row has it
    assert ("burgers", "no momentum") in found
    assert ("wave", "scaled") in found
    assert ("wave", "unscaled") not in found


@pytest.mark.parametrize("change", sorted(set(CHANGES) - {"as it is"}))
def test_a_change_changes_one_thing(change):
    row = dataclasses.replace(
        _field.ROWS["kdv"], momentum=0.25, sampling="sobol", scaled=change == "unscaled"
    )
    after = CHANGES[change](row)
    names = {f.name for f in dataclasses.fields(row) if getattr(row, f.name) != getattr(after, f.name)}
    # The period is the network's or a condition's.
    assert names == {"problem", "embedding"} if change == "periodic network" else len(names) == 1


@pytest.mark.slow
def test_changes_are_trained_and_shown(cli, tmp_path, monkeypatch):
    row = dataclasses.replace(_field.ROWS["beam"], hidden=(4,), evaluate_every=2)
    monkeypatch.setitem(_field.ROWS, "beam", row)
    changes = ("as it is", "sine network", "float32 parameters")
    cli(
        "run",
        "ablations",
        "--problems",
        "beam",
        "--changes",
        *changes,
        "--seconds",
        "0.05",
        "--out",
        tmp_path,
    )
    result = json.loads((tmp_path / "ablations.json").read_text())
    rows = {row["change"]: row for row in result["rows"]}
    assert list(rows) == list(changes)
    assert all(row["num_steps"] >= 2 for row in rows.values())
    assert len({row["rel_l2"] for row in rows.values()}) == 3
    table = ablations.Ablations.data(result)
    assert table.header == ["relative L2 error", "beam"]
    assert [line[0] for line in table.rows] == list(changes)

    # A row of the field that is another now is trained anew: medians are over equals.
    study = ablations.Ablations(problems=("beam",), changes=changes)
    assert not any(study.is_stale(row) for row in result["rows"])
    other = [row | {"seed": 1, "rel_l2": 7.0, "trained": {"hidden": [5]}} for row in result["rows"]]
    assert ablations.Ablations.data({"rows": [*other, *result["rows"]]}) == table
    monkeypatch.setitem(_field.ROWS, "beam", dataclasses.replace(row, momentum=0.5))
    assert all(study.is_stale(row) for row in result["rows"])


@pytest.mark.long
def test_an_interrupted_training_is_no_row(cli, tmp_path, monkeypatch):
    row = dataclasses.replace(_field.ROWS["beam"], hidden=(4,), evaluate_every=2)
    monkeypatch.setitem(_field.ROWS, "beam", row)
    fit = pinns.fit
    interrupted = lambda *args, **options: dataclasses.replace(
        fit(*args, **options), stop_reason="interrupted"
    )
    monkeypatch.setattr(pinns, "fit", interrupted)
    options = ("--problems", "beam", "--changes", "as it is", "--seconds", "0.05")
    with pytest.raises(KeyboardInterrupt):
        cli("run", "ablations", *options, "--out", tmp_path)
    assert not (tmp_path / "ablations.json").exists()


def test_classical_solvers_are_timed_and_stand_in_the_table_of_the_field(cli, tmp_path):
    assert REFERENCES.keys() <= _field.ROWS.keys()
    assert set(REFERENCES.values()) <= RECIPES.keys()
    cli("run", "classical", "--problems", "lorenz_inverse", "--out", tmp_path / "classical")
    result = json.loads((tmp_path / "classical" / "classical.json").read_text())
    (row,) = result["rows"]
    assert row["seconds"] > 0
    assert 0 < row["error"] < 1e-9
    assert field.classical(tmp_path)["lorenz_inverse"].startswith(f"{row['seconds']:.2g} s, ")
    assert field.classical(tmp_path / "nothing") == {}
