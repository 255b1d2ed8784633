"""The tables of the package and how they are evaluated."""

import importlib.resources
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinns.problems._tables import PiecewiseTable, Series, Table, chebyshev, load_table

FILES = sorted(
    path.name
    for path in (importlib.resources.files("pinns.problems") / "_data").iterdir()
    if path.name.endswith(".npz")
)


def test_chebyshev_polynomials_and_their_derivatives_with_both_ends(x64):
    x = np.array([-1.0, -0.3, 0.0, 0.8, 1.0])
    basis = jax.vmap(lambda z: chebyshev(z, 7))
    np.testing.assert_allclose(basis(jnp.asarray(x)), np.polynomial.chebyshev.chebvander(x, 6), atol=1e-14)
    slopes = jax.vmap(jax.jacfwd(lambda z: chebyshev(z, 7)))(jnp.asarray(x))
    expected = [np.polynomial.chebyshev.Chebyshev.basis(k).deriv()(x) for k in range(7)]
    np.testing.assert_allclose(slopes.T, expected, atol=1e-12)


def test_table_is_the_sum_of_products(x64):
    first, second = Series("fourier", -1.0, 1.0, 3), Series("cosine", 0.0, 2.0, 2)
    left, right = np.array([[2.0], [3.0]]), np.array([[[1.0, 0.0], [0.0, 4.0], [5.0, 6.0]]])
    value = Table(first, second, left, right, np.zeros(2))(jnp.array([0.3, 0.7]))
    theta, phi = np.pi * 1.3, np.pi * 0.7
    along = 2 + 3 * np.cos(phi)
    expected = along * np.array([1 + 5 * np.sin(theta), 4 * np.cos(theta) + 6 * np.sin(theta)])
    np.testing.assert_allclose(value, expected, rtol=1e-14)


def test_pieces_are_found_from_the_first_to_the_last(x64):
    table = PiecewiseTable(
        np.array([0.0, 1.0, 4.0]), np.array([[[1.0], [1.0]], [[5.0], [3.0]]]), np.zeros(1)
    )  # 2x on the first interval, 2x again on the second
    x = jnp.array([0.0, 0.4, 1.0, 2.5, 4.0])
    np.testing.assert_allclose(jax.vmap(table)(x[:, None])[:, 0], 2 * x, rtol=1e-14)


@pytest.mark.parametrize("name", FILES)
def test_file_is_small_and_tells_where_it_comes_from(name):
    path = importlib.resources.files("pinns.problems") / "_data" / name
    assert len(path.read_bytes()) < 300_000
    with path.open("rb") as file, np.load(file) as data:
        assert str(data["command"]) == f"python -m benchmarks.references {name[:-4]} --coefficients"
        assert "scipy" in str(data["versions"])
        assert data["floor"].min() > 0
    assert load_table(name[:-4]).floor.ndim == 1


def test_wheel_holds_the_tables():
    root = Path(__file__).parents[2]
    build = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert "pinns" in build["wheel"]["packages"]
    assert "exclude" not in build["wheel"]
    assert not any(
        "npz" in line or "_data" in line for line in (root / ".gitignore").read_text().splitlines()
    )
    assert len(FILES) == 12
