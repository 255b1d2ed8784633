"""The engine: what is on disk is continued, nothing recorded is lost, and the tables are all there is."""

import ast
import json
from pathlib import Path

import jax
import pytest

import benchmarks
from benchmarks import __main__ as command_line
from benchmarks import _measurements
from benchmarks._artefact import Artefact, grid
from benchmarks._claims import claim
from benchmarks._files import Table
from benchmarks._optimizers import ADAM, GAUSS_NEWTON, ISGD_ADAM, ISGD_LBFGS, LBFGS, METHODS, Budget
from benchmarks.report import RESULTS

pytestmark = pytest.mark.usefixtures("x64_restored")


class Squares(Artefact):
    """Squares."""

    name = "squares"
    axes = ("x", "power")
    identity = ("scale",)
    dtype = "float64"

    scale: float = 1.0
    xs: tuple[float, ...] = (1.0, 2.0)
    fails_at: float | None = None

    def cells(self):
        return grid(x=self.xs, power=(2,))

    def measure(self, x, power):
        if x == self.fails_at:
            raise InterruptedError
        assert jax.numpy.ones(()).dtype == "float64"
        return {"value": self.scale * x**power}

    @classmethod
    def data(cls, result):
        return Table.of(result["rows"], {"x": lambda row: row["x"], "x²": lambda row: f"{row['value']:g}"})

    @classmethod
    def claims(cls, result):
        return [claim("squares are positive", "", all(row["value"] > 0 for row in result["rows"]))]

    @classmethod
    def draw(cls, result, folder):
        (folder / "squares.png").write_text(str(len(result["rows"])))


def recorded(folder):
    return json.loads((folder / "squares.json").read_text())


def test_a_result_is_recorded_drawn_shown_and_judged(tmp_path, capsys):
    result = Squares(out=tmp_path).run()
    assert recorded(tmp_path)["rows"] == [
        {"x": 1.0, "power": 2, "call": 0, "value": 1.0},
        {"x": 2.0, "power": 2, "call": 0, "value": 4.0},
    ]
    assert {"calls", "scale", "rows"} == set(recorded(tmp_path))
    assert [set(call) for call in recorded(tmp_path)["calls"]] == [{"command", "device", "versions"}]
    assert (tmp_path / "squares.png").read_text() == "2"
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-3:] == ["1.0  1", "2.0  4", f"results in {tmp_path}"]
    assert shown.err.splitlines() == ["[1/2] x 1.0, power 2", "[2/2] x 2.0, power 2"]
    assert [each.verdict for each in Squares.claims(result)] == ["holds"]


def test_a_run_that_was_interrupted_goes_on_with_the_missing_cells(tmp_path, monkeypatch, capsys):
    with pytest.raises(InterruptedError):
        Squares(xs=(3.0, 4.0, 5.0), fails_at=4.0, out=tmp_path).run()
    assert [row["x"] for row in recorded(tmp_path)["rows"]] == [3.0]
    begun = recorded(tmp_path)["calls"][0]["command"]
    monkeypatch.setattr("sys.argv", ["benchmarks", "again"])
    capsys.readouterr()
    Squares(xs=(1.0, 3.0), out=tmp_path).run()
    assert capsys.readouterr().err.splitlines() == ["[1/1] x 1.0, power 2"]
    assert [row["x"] for row in recorded(tmp_path)["rows"]] == [1.0, 3.0]
    made = recorded(tmp_path)["calls"]
    assert [made[row["call"]]["command"] for row in recorded(tmp_path)["rows"]] == [
        "python -m benchmarks again",
        begun,
    ]
    monkeypatch.setattr("sys.argv", ["benchmarks", "draw"])
    Squares(xs=(3.0,), out=tmp_path).run()
    assert [row["x"] for row in recorded(tmp_path)["rows"]] == [1.0, 3.0]  # what is not asked for stays
    assert recorded(tmp_path)["calls"] == made
    assert "nothing measured" in capsys.readouterr().out


def test_rows_of_another_identity_are_neither_mixed_nor_lost(tmp_path):
    Squares(out=tmp_path).run()
    before = recorded(tmp_path)
    with pytest.raises(ValueError, match=r"scale = 1\.0, not 2\.0.*--out"):
        Squares(scale=2.0, out=tmp_path).run()
    assert recorded(tmp_path) == before


def test_a_cell_is_the_same_to_rounding(tmp_path):
    Squares(xs=(0.3,), out=tmp_path).run()
    Squares(xs=(0.1 + 0.2,), fails_at=0.1 + 0.2, out=tmp_path).run()
    assert len(recorded(tmp_path)["rows"]) == 1


def test_a_row_that_is_stale_is_made_again(tmp_path, monkeypatch):
    Squares(out=tmp_path).run()
    monkeypatch.setattr(Squares, "is_stale", lambda self, row: row["value"] > 1)
    monkeypatch.setattr("sys.argv", ["benchmarks", "again"])
    monkeypatch.setattr(Squares, "measure", lambda self, x, power: {"value": float("inf")})
    Squares(out=tmp_path).run()
    commands = [call["command"] for call in recorded(tmp_path)["calls"]]
    kept, made = [(row["value"], commands[row["call"]]) for row in recorded(tmp_path)["rows"]]
    assert made == (None, "python -m benchmarks again")  # JSON has no infinity
    assert kept[0] == 1.0
    assert kept[1] != made[1]


def test_a_file_that_does_not_say_what_made_its_rows_is_kept(tmp_path):
    (tmp_path / "squares.json").write_text(json.dumps({"command": "run", "scale": 1.0, "rows": []}))
    with pytest.raises(ValueError, match=r"does not say what made its rows.*--out"):
        Squares(out=tmp_path).run()


RECORDED = [(kind, path) for kind in _measurements.KINDS for path in RESULTS.rglob(f"{kind.name}.json")]


@pytest.mark.parametrize(("kind", "path"), RECORDED, ids=lambda value: getattr(value, "name", None))
def test_recorded_rows_can_be_read_shown_and_continued(kind, path):
    stored = json.loads(path.read_text())
    table = kind.data(stored)
    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.header)}
    rows = stored["rows"]
    assert len({kind()._key(row) for row in rows}) == len(rows)
    assert set(kind.identity) <= set(stored)
    assert {row["call"] for row in rows} == set(range(len(stored["calls"])))


def subclasses(kind):
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def test_every_artefact_is_in_the_table_and_every_table_on_the_command_line():
    named = {kind for kind in subclasses(Artefact) if "name" in vars(kind)} - {Squares}
    assert named == set(_measurements.KINDS)
    names = [kind.name for kind in command_line.KINDS]
    assert len(set(names)) == len(names)
    assert set(_measurements.KINDS) < set(command_line.KINDS)


def test_optimisers_have_names_labels_and_colours_of_their_own():
    for of in (lambda m: m.name, lambda m: m.label, lambda m: m.color):
        assert len(set(map(of, METHODS.values()))) == len(METHODS)
    budget = Budget(30, 20, inner_steps=10)
    assert ISGD_ADAM.phases(budget) == (2, 10)
    assert ADAM.phases(budget) == (0, 30)
    assert GAUSS_NEWTON.phases(budget) == (2, 0)  # no second phase
    assert (ISGD_LBFGS.second_phase, GAUSS_NEWTON.second_phase) == (LBFGS, None)
    assert ADAM.rate(ADAM.with_rate(budget, 0.3)) == ISGD_ADAM.rate(ISGD_ADAM.with_rate(budget, 0.3)) == 0.3
    assert LBFGS.rate(budget) is None


def test_nobody_but_the_tables_knows_an_optimiser_by_its_name():
    tables = {"_optimizers.py", "_field.py", "field.py", "table2.py", "_libraries.py"}
    root = Path(benchmarks.__path__[0])
    for path in root.rglob("*.py"):
        if path.name not in tables:
            for node in ast.walk(ast.parse(path.read_text())):
                assert not (isinstance(node, ast.Constant) and node.value in METHODS), (path, node.value)
