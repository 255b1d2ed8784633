"""Memory and communication of a step on several devices."""

import json

import pytest

from benchmarks.scaling import Scaling, collectives

PROGRAM = """
  %all-reduce.3 = (f64[16,2]{1,0}, f32[]) all-reduce(%a, %b), replica_groups={{0,1}}
  %ag = f32[8]{0} all-gather(%x), dimensions={0}
  %start = pred[8]{0} add(%x, %y)
"""


def test_collectives_of_a_program_are_counted_with_their_bytes():
    kinds, size = collectives(PROGRAM)
    assert kinds == {"all-reduce": 1, "all-gather": 1}
    assert size == 16 * 2 * 8 + 4 + 8 * 4


@pytest.mark.slow
@pytest.mark.usefixtures("x64_restored")
def test_memory_of_each_device_falls_and_a_single_one_sends_nothing(tmp_path):
    Scaling(points=256, width=8, out=tmp_path).run()
    recorded = json.loads((tmp_path / "scaling.json").read_text())
    rows = {(row["linear_solver"], row["devices"]): row for row in recorded["rows"]}
    assert len(rows) == 9
    for solver in ("dual", "primal", "cg"):
        assert rows[solver, 1]["bytes_sent"] == 0
        assert rows[solver, 4]["bytes_sent"] > 0
    assert rows["dual", 4]["bytes_per_device"] < rows["dual", 1]["bytes_per_device"]
