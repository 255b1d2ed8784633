"""The field's problems as experiments: every row trains, and its summary tells what the problem has."""

import dataclasses
import json

import numpy as np
import pytest

import pinns
from benchmarks import _field, field, report

_PRESETS = [(kind, "quick") for kind in _field.KINDS]
_PRESETS += [(kind, "gpu") for kind in _field.KINDS if kind.name in _field.GPU_ROWS]


@pytest.mark.parametrize(("kind", "preset"), _PRESETS, ids=lambda each: getattr(each, "name", each))
def test_every_row_fits_its_network_to_its_problem(kind, preset):
    experiment = kind(preset=preset)
    problem, plan = experiment.problem(), experiment.plan()
    assert problem.domain.dim >= 1
    assert plan.time_limit == (None if plan.slabs else experiment.row.seconds)
    json.dumps(plan.setting(), default=str)
    names = getattr(problem, "output_names", ("u",))
    # The cavity's pressure has no reference.
    assert experiment.row.outputs == len(names) + (kind.name == "cavity")


@pytest.mark.parametrize("kind", [k for k in _field.KINDS if k.name in _field.GPU_ROWS], ids=lambda k: k.name)
def test_the_rows_of_a_gpu_have_more_residuals_than_parameters(kind, x64):
    large, quick = kind(preset="gpu"), kind()
    conditions = large.problem().conditions().values()
    assert sum(condition.num_points for condition in conditions) > pinns.num_parameters(large.model())
    assert pinns.num_parameters(large.model()) > pinns.num_parameters(quick.model())
    assert large.folder() != quick.folder()


def test_a_row_without_a_gpu_preset_says_so(cli):
    with pytest.raises(ValueError, match=r"no preset gpu of beam; there is one of burgers, "):
        cli("run", "beam", "--preset", "gpu")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the training has not reached its minimum")
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


@pytest.mark.slow
def test_slabs_are_trained_and_summed_up_over_all_times(cli, tmp_path, monkeypatch):
    row = _field.ROWS["van_der_pol"]
    short = dataclasses.replace(row.slabs, number=3, seconds=0.5)
    monkeypatch.setitem(_field.ROWS, "van_der_pol", dataclasses.replace(row, hidden=(4,), slabs=short))
    out = tmp_path / "run"
    command = ("run", "van_der_pol", "--optimizer", "adam", "--no-progress", "--out", out)
    cli(*command)
    summary = json.loads((out / "summary.json").read_text())
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {row["slab"] for row in rows} == {0, 1, 2}
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    assert set(summary["rel_l2_by_output"]) == {"y", "z"}
    data = np.load(out / "prediction.npz")
    error = np.linalg.norm(data["prediction"] - data["exact"]) / np.linalg.norm(data["exact"])
    assert summary["rel_l2"] == pytest.approx(error)
    assert (out / "history.png").exists()
    assert (out / "checkpoint" / "slab-0002").exists()
    written = (out / "summary.json").stat().st_mtime_ns
    cli(*command)  # it is finished
    assert (out / "summary.json").stat().st_mtime_ns == written


def test_slabs_end_by_their_own_limits(cli):
    with pytest.raises(ValueError, match="in slabs, which end by their own limits"):
        cli("run", "van_der_pol", "--time-limit", "1")


def _record(results, name, seed, preset="quick", **summary):
    folder = results / "field" / f"{name}-isgd-gn-{preset}-seed{seed}"
    folder.mkdir(parents=True)
    measured = {"experiment": name, "optimizer": "isgd-gn", "seed": seed, "preset": preset}
    measured |= {"command": f"run {name} {seed}", "compile_seconds": 12.3}
    machine = {"device": "cpu", "versions": {"jax": "1"}}
    (folder / "summary.json").write_text(json.dumps(measured | machine | summary))
    (folder / "config.json").write_text('{"num_parameters": 77}')
    rows = [{"seconds": s, "rel_l2": 1 / (1 + s), "fresh_loss": 9.0 - s} for s in (0.0, 1.0, 2.0)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_run_that_dwells_at_its_floor_is_not_most_of_the_ranks(tmp_path):
    _record(tmp_path, "beam", 0, rel_l2=1e-9, train_seconds=1.0)
    rows = [{"fresh_loss": 10.0**-k, "rel_l2": 10.0**-k} for k in range(6)]
    rows += [{"fresh_loss": 1e-7 * (1 + k % 7), "rel_l2": 1e-7 * (1 + k % 5)} for k in range(400)]
    (metrics,) = tmp_path.glob("field/beam*/metrics.jsonl")
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = field.data(field.read(tmp_path))
    (line,) = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    statistic, number = line["fresh loss ranks as error"].split()
    assert float(statistic) > 0.5  # 0.04 of all evaluations
    assert int(number.strip("()")) == 6 + 2 * 8  # two half decades of the floor


def test_the_best_in_print_is_in_the_figure_however_far_below(tmp_path, monkeypatch):
    monkeypatch.setattr(field.plt, "close", lambda figure: None)
    _record(tmp_path, "wave", 0, rel_l2=1e-6, train_seconds=100.0)
    field.draw({"quick": field.read(tmp_path)}, tmp_path / "field.png")
    (axis,) = field.plt.gcf().axes
    assert axis.get_ylim()[0] < field.PUBLISHED["wave"].error < 1e-14
    monkeypatch.undo()
    field.plt.close()


def test_the_page_of_the_field_tells_what_is_reached(tmp_path):
    outputs = {"rel_l2": 5e-8, "rel_l2_by_output": {"u": 1e-8, "p": 9e-7}, "train_seconds": 120.5}
    for seed in (0, 1, 2):
        _record(tmp_path, "kovasznay", seed, **outputs)  # the worst output counts
        late = 300.0 if seed else 100.0
        _record(tmp_path, "convection", seed, rel_l2=1e-7 * 10**seed, train_seconds=100.0)
        _record(tmp_path, "beam", seed, rel_l2=1e-9, train_seconds=late)
    found = {"unknowns": {"mu": [4.0, 0.1], "k": [400.0008, 0.1]}, "true_unknowns": {"mu": 4.0, "k": 400.0}}
    _record(tmp_path, "oscillator_inverse", 0, rel_l2=1.0, train_seconds=60.0, **found)
    _record(tmp_path, "convection", 0, "gpu", rel_l2=1e-9, train_seconds=50.0)
    section = report.field_section(tmp_path, tmp_path / "page")
    assert [run.title for run in section.runs] == list(field.TITLES.values())
    quick, gpu = (
        [dict(zip(run.data.header, line, strict=True)) for line in run.data.rows] for run in section.runs
    )
    (large,) = gpu
    assert (large["network"], large["error"], large["reached"]) == ("4×30", "1.0e-09", "—")
    lines = {line["problem"]: line for line in quick}
    assert list(lines) == ["kovasznay", "convection", "beam", "oscillator_inverse", "all"]
    assert {name: line["reached"] for name, line in lines.items()} == {
        "kovasznay": "no", "convection": "yes", "beam": "no", "oscillator_inverse": "no", "all": "—"
    }  # fmt: skip
    assert lines["all"]["fresh loss ranks as error"] == "1.000 (30)"
    assert lines["convection"]["error"] == "1.0e-06 (1.0e-07–1.0e-05)"
    assert lines["beam"]["fresh loss ranks as error"] == "1.000 (9)"
    assert (lines["beam"]["seconds"], lines["beam"]["to compile"]) == ("100–300", "12")
    assert lines["beam"]["median of the last ten"] == "0.5"  # of 1, 1/2 and 1/3
    assert lines["oscillator_inverse"]["error"] == "2.0e-06"
    assert "NNCG" in lines["convection"]["best in print"]
    assert lines["beam"]["best in print"] == "none found"
    html, _ = report.write_report([section], tmp_path / "page")
    assert html.read_text().count("data:image/png") == 1
    assert "run beam 2" in html.read_text()
