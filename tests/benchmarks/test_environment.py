import pytest

from benchmarks._environment import command


@pytest.mark.parametrize(
    "words",
    [
        ["run", "figure2", "--seeds", "0", "1"],
        ["run", "figure2", "--out", "a folder", "--seeds", "0", "1"],
        ["run", "figure2", "--seeds", "0", "1", "--out", "a folder"],
        ["run", "figure2", "--out=a folder", "--seeds", "0", "1"],
    ],
)
def test_a_recorded_command_does_not_say_where_its_results_went(monkeypatch, words):
    monkeypatch.setattr("sys.argv", ["benchmarks", *words])
    assert command() == "python -m benchmarks run figure2 --seeds 0 1"
