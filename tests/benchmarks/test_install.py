import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# Refuses, in a process of its own, what a package that is not installed would.
REFUSE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

hidden = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Refuse())
from benchmarks.__main__ import main
main(["list"])
main(["run", "derivatives", "--repeats", "1", "--points", "4", "--width", "2", "--out", sys.argv[2]])
main(["report", "--out", sys.argv[2]])
try:
    main(["run", "derivatives", "--help"])
except SystemExit as stopped:
    assert not stopped.code
"""


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(extras: list[str]) -> set[str]:
    """The distributions that an installation with these extras brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[str] = set()

    def add(text: str, extra: str = "") -> None:
        requirement = Requirement(text)
        name = plain(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            return
        if name == "isgd-optax":
            for chosen in requirement.extras:
                for each in project["optional-dependencies"][chosen]:
                    add(each)
        elif name not in found:
            found.add(name)
            for each in importlib.metadata.requires(name) or []:
                for chosen in requirement.extras or {""}:
                    add(each, chosen)

    for each in [*project["dependencies"], f"isgd-optax[{','.join(extras)}]"]:
        add(each)
    return found


@pytest.mark.long
def test_the_extra_benchmarks_suffices_for_its_commands(tmp_path):
    kept = needed(["benchmarks"]) | {"isgd-optax", "pip", "setuptools"}
    assert {"folx", "pytest", "jaxopt", "deepxde"} <= needed(["dev"]) - kept
    hidden = sorted(
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not {plain(owner) for owner in owners} & kept
    )
    assert {"folx", "jaxopt", "optimistix", "somax", "pytest", "jinns", "deepxde"} <= set(hidden)
    command = [sys.executable, "-c", REFUSE, ",".join(hidden), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "folx is not installed" in done.stdout
    rows = json.loads((tmp_path / "derivatives.json").read_text())["rows"]
    assert all("folx" not in row["ratio_to_ours"] for row in rows)


def test_the_demo_installs_what_it_needs_and_not_the_peers():
    makefile = (ROOT / "Makefile").read_text()
    demo, rest = makefile.split(".venv/demo: pyproject.toml")[1].split(".venv/installed:")
    assert '".[benchmarks]"' in demo
    assert '".[dev]"' in rest
    assert re.search(r"^demo: \.venv/demo\b", makefile, re.M)
    assert re.search(r"^test: \.venv/installed\b", makefile, re.M)


def test_the_source_distribution_has_every_page_that_the_readme_links():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    sdist = project["tool"]["hatch"]["build"]["targets"]["sdist"]
    always = {"LICENSE", "pyproject.toml"}
    for link in re.findall(r"\]\(([\w./-]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / link).exists()
        assert link.split("/")[0] in {*sdist["include"], *always}
    assert "benchmarks/results/**/*.png" in sdist["exclude"]
