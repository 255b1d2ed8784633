import subprocess
import sys

import pytest


@pytest.mark.long
@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("isgd_optax", ("flax", "pinns", "benchmarks", "orbax", "tqdm", "scipy.stats")),
        ("pinns", ("benchmarks", "tyro")),
    ],
)
def test_imports_go_one_way(package, forbidden):
    code = f"import sys, {package}; print([name for name in {forbidden!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.strip() == "[]"


@pytest.mark.long
def test_import_changes_no_global_setting():
    code = (
        "import jax; before = dict(jax.config.values); import isgd_optax, pinns; "
        "print([k for k, v in jax.config.values.items() if before.get(k) != v])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.strip() == "[]"
