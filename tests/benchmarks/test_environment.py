import importlib.metadata
import re

import pytest

from benchmarks import _environment
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


def test_the_version_names_the_commit_where_there_is_one(monkeypatch, tmp_path):
    version = importlib.metadata.version("isgd_optax")
    for folder, pattern in ((_environment._ROOT, r"(\+[0-9a-f]{7,}(-dirty)?)?"), (tmp_path, "")):
        monkeypatch.setattr(_environment, "_ROOT", folder)
        _environment._ours.cache_clear()
        assert re.fullmatch(re.escape(version) + pattern, _environment._ours())
    (tmp_path / ".git").mkdir()  # no repository: git fails
    _environment._ours.cache_clear()
    assert _environment._ours() == version
    _environment._ours.cache_clear()
