"""What is installed works without the repository, for users and for their type checkers."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import isgd_optax

ROOT = Path(__file__).parents[1]
USER = """
import optax

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, largest_trusted
from pinns import MLP, Burgers, fit

solver: optax.GradientTransformationExtraArgs = implicit_step(gauss_newton(), largest_trusted())
wrong: int = implicit_step(gauss_newton(), largest_trusted())
implicit_step(gauss_newton(), largest_trusted(), no_such_argument=1)
"""
INSTALLED = """
import sys, jax, optax, isgd_optax, pinns
from flax import nnx
assert all(str(sys.argv[1]) in module.__file__ for module in (isgd_optax, pinns)), isgd_optax.__file__
problem = pinns.KdV(num_points=10, num_boundary_points=5, num_initial_points=5)
assert pinns.exact_values(problem, jax.numpy.zeros((1, 2))).shape == (1, 1)
result = pinns.fit(problem, pinns.MLP(2, [4], 1, rngs=nnx.Rngs(0)), optax.adam(1e-3), num_steps=2,
                   key=jax.random.key(0), progress=False)
print(result.stop_reason)
"""


def run(*command, **options):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("form", ["wheel", "sdist"])
def test_the_package_works_outside_the_repository(tmp_path, form):
    source = ROOT
    if form == "sdist":
        pytest.importorskip(
            "hatchling", reason="pip builds wheels alone; a source distribution needs hatchling"
        )
        run("-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path), cwd=ROOT)
        with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
            archive.extractall(tmp_path, filter="data")
        (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
        assert (source / "tests/conftest.py").exists()
        assert (source / "benchmarks/__main__.py").exists()
    target = tmp_path / "site"
    run("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(source))
    assert (target / "isgd_optax/py.typed").exists()
    assert (target / "pinns/py.typed").exists()
    environment = os.environ | {"PYTHONPATH": str(target)}
    assert "num_steps" in run("-P", "-c", INSTALLED, str(target), cwd=tmp_path, env=environment)


@pytest.mark.long
def test_a_users_type_checker_sees_our_types(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{ROOT}"]}}')
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "user.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    errors = [line for line in done.stdout.splitlines() if " error: " in line]
    assert len(errors) == 2, done.stdout
    assert "user.py:8" in errors[0]
    assert "no_such_argument" in errors[1]


def test_the_citation_and_the_changelog_name_the_version():
    version = re.escape(isgd_optax.__version__)
    assert re.search(rf"^version: {version}$", (ROOT / "CITATION.cff").read_text(), re.M)
    newest = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    assert newest[1] == "[Unreleased]" or re.match(rf"\[{version}\] - \d{{4}}-\d\d-\d\d$", newest[1])
