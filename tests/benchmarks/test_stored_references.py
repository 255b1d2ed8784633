"""Tables of references that pinns keeps: where they come from, and against coarser and looser runs."""

import json
from pathlib import Path

import numpy as np
import pytest

import pinns.problems
from benchmarks.references import RECIPES, lorenz, periodic, robertson, van_der_pol
from benchmarks.references import _series as series
from benchmarks.references._table import relative_l2
from benchmarks.references.etdrk4 import EQUATIONS, etdrk4, resample

DATA = Path(pinns.problems.__file__).parent / "_data"


def stored(name):
    """The arrays of a table of pinns."""
    with np.load(DATA / f"{name}.npz") as data:
        return dict(data)


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("*.npz")))
def test_stored_tables_tell_where_they_come_from(name):
    data = stored(name)
    assert (DATA / f"{name}.npz").stat().st_size < 300_000
    assert str(data["command"]) == f"python -m benchmarks.references {name} --coefficients"
    assert set(json.loads(str(data["versions"]))) == {"python", "numpy", "scipy"}
    assert np.all(data["floor"] > 0)
    assert all(
        array.dtype == np.float64 for key, array in data.items() if key in ("left", "right", "coefficients")
    )


@pytest.mark.parametrize(
    ("name", "coarse", "tolerance"),
    [
        ("allen_cahn_cosines", {"modes": 1024, "max_step": 2e-3, "num_t": 5}, 1e-8),
        ("allen_cahn_smooth", {"modes": 1024, "max_step": 5e-3, "num_t": 5}, 1e-5),
        ("allen_cahn_jaxpi", {"modes": 1024, "max_step": 5e-3, "num_t": 5}, 1e-3),
        ("kdv", {"modes": 256, "max_step": 2e-4, "num_t": 5}, 1e-5),
    ],
)
def test_stored_series_are_those_of_a_coarser_run(name, coarse, tolerance):
    table = periodic(name, num_x=64, **coarse)
    values = series.evaluate(stored(name), tuple(table.axes.values()))
    assert relative_l2(values, table.values) < tolerance


def test_stored_chaos_is_that_of_a_coarser_run_at_the_beginning():
    times = np.array([0.0, 0.1, 0.2])
    spectra = etdrk4(EQUATIONS["kuramoto_sivashinsky"], 256, times, 2e-4)
    values = resample(spectra, 256, 32).T
    x = 2 * np.pi * np.arange(32) / 32
    found = series.evaluate(stored("kuramoto_sivashinsky"), (x, times))[..., 0]
    assert relative_l2(found, values) < 1e-6


@pytest.mark.parametrize(
    ("name", "generate"), [("robertson", robertson), ("van_der_pol", van_der_pol), ("lorenz", lorenz)]
)
def test_stored_curves_are_those_of_a_looser_run(name, generate):
    table = generate(rtol=1e-10)
    values = series.evaluate(stored(name), tuple(table.axes.values()))
    np.testing.assert_allclose(values, table.values, rtol=1e-6, atol=1e-6)


def test_every_kept_table_has_a_recipe():
    assert {path.stem for path in DATA.glob("*.npz")} <= set(RECIPES)
