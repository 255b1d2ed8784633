"""Reference solutions: they converge, agree with known values, and are what the package keeps."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.references import (
    RECIPES,
    Table,
    burgers,
    cavity,
    difference,
    lorenz,
    periodic,
    robertson,
    van_der_pol,
)
from benchmarks.references.__main__ import main
from benchmarks.references._corner import corner_flow
from benchmarks.references._series import compress, evaluate, pieces
from pinns import problems as p

PROBLEMS = {
    "allen_cahn_cosines": p.AllenCahn("cosines"),
    "allen_cahn_smooth": p.AllenCahn("smooth"),
    "allen_cahn_jaxpi": p.AllenCahn("jaxpi"),
    "kdv": p.KdV(),
    "kuramoto_sivashinsky": p.KuramotoSivashinsky(),
    "cavity_regularised_100": p.LidDrivenCavity(100.0),
    "cavity_regularised_400": p.LidDrivenCavity(400.0),
    "cavity_regularised_1000": p.LidDrivenCavity(1000.0),
    "cavity_parabolic_100": p.LidDrivenCavity(100.0, "parabolic"),
    "robertson": p.Robertson(),
    "van_der_pol": p.VanDerPol(),
    "lorenz": p.LorenzInverse(),
}
# A coarse computation of each and the error that it has at most.
COARSE = {
    "allen_cahn_cosines": ({"modes": 1024, "max_step": 2e-3, "num_t": 9}, 2e-8),
    "allen_cahn_smooth": ({"modes": 1024, "max_step": 2e-3, "num_t": 9}, 3e-8),
    "allen_cahn_jaxpi": ({"modes": 1024, "max_step": 5e-3, "num_t": 9}, 3e-5),
    "kdv": ({"modes": 256, "max_step": 4e-4, "num_t": 9}, 2e-6),
    "kuramoto_sivashinsky": ({"modes": 256, "max_step": 5e-4, "num_t": 9}, 5e-3),
    "cavity_regularised_100": ({"degree": 32, "num_points": 17}, 2e-5),
    "cavity_regularised_400": ({"degree": 32, "num_points": 17}, 2e-4),
    "cavity_regularised_1000": ({"degree": 32, "num_points": 17}, 3e-3),
    "cavity_parabolic_100": ({"degree": 32, "num_points": 17}, 1e-4),
    "robertson": ({"rtol": 1e-9}, 1e-8),
    "van_der_pol": ({"rtol": 1e-10}, 1e-7),
    "lorenz": ({"rtol": 1e-10}, 1e-8),
}


def on_grid(problem, axes):
    """The problem's exact solution on the grid of a table."""
    grid = jnp.stack(jnp.meshgrid(*map(jnp.asarray, axes), indexing="ij"), axis=-1)
    values = jax.jit(jax.vmap(problem.exact))(grid.reshape(-1, len(axes)))  # of a cavity the velocity
    return np.asarray(values).reshape(*map(len, axes), -1)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_package_keeps_what_a_coarse_computation_gives(name, x64):
    resolution, tolerance = COARSE[name]
    table = RECIPES[name].generate(**resolution)
    kept = on_grid(PROBLEMS[name], tuple(table.axes.values()))
    if name == "van_der_pol":  # its table holds y and y', its outputs are y and Liénard's z
        y, z = kept[..., 0], kept[..., 1]
        kept = np.stack([y, PROBLEMS[name].mu * (z - y**3 / 3 + y)], axis=-1)
    errors = [
        np.linalg.norm(kept[..., k] - table.values[..., k]) / np.linalg.norm(table.values[..., k])
        for k in range(2 if name.startswith("cavity") else kept.shape[-1])  # pressures converge more slowly
    ]
    assert max(errors) < tolerance, errors
    assert PROBLEMS[name].reference_floor < tolerance


def test_burgers_by_half_the_step_and_in_the_package(x64):
    for viscosity in (0.01 / np.pi, 1e-3):
        coarse = burgers(viscosity, num_x=33, num_t=6)
        assert difference(coarse, burgers(viscosity, num_x=33, num_t=6, step=0.05)) < 1e-14
        kept = on_grid(p.Burgers(viscosity), tuple(coarse.axes.values()))
        np.testing.assert_allclose(kept, coarse.values, atol=1e-13)


@pytest.mark.parametrize("name", ["allen_cahn_cosines", "kdv", "kuramoto_sivashinsky"])
def test_etdrk4_converges_at_order_four(name):
    modes, step = {"allen_cahn_cosines": (1024, 1 / 64), "kdv": (256, 1e-3)}.get(name, (256, 1e-3))
    runs = [periodic(name, modes=modes, max_step=step / k, num_x=64, num_t=3) for k in (1, 2, 8)]
    first, second = (difference(run, runs[-1]) for run in runs[:2])
    assert 10 < first / second < 24


def test_kdv_conserves_mass_momentum_and_energy():
    table = periodic("kdv", modes=256, max_step=2e-4, num_x=256, num_t=5)
    u = table.values[..., 0]
    slope = np.fft.irfft(1j * np.pi * np.arange(129)[:, None] * np.fft.rfft(u, axis=0), 256, axis=0)
    for density in (u, u**2, u**3 / 6 - 0.022**2 / 2 * slope**2):
        integral = density.mean(axis=0)
        np.testing.assert_allclose(integral, integral[0], atol=1e-8)


def test_robertson_at_the_end_is_the_literature_s():
    y = robertson(np.array([-5.0, np.log10(1e5 + 1e-5)])).values[-1]
    np.testing.assert_allclose(y, [0.0178659211, 7.27475147e-4, 0.982134006], rtol=5e-9)


def test_ordinary_equations_converge_with_the_tolerance():
    assert difference(robertson(rtol=1e-9), robertson(rtol=1e-11)) < 1e-8
    assert difference(van_der_pol(rtol=1e-10), van_der_pol(rtol=1e-12)) < 1e-7
    assert difference(lorenz(rtol=1e-10), lorenz(rtol=1e-12)) < 1e-8
    radau = van_der_pol(np.linspace(0, 50, 11), mu=40.0, end=50.0, rtol=1e-10)
    assert np.abs(radau.values[:, 0]).max() < 2.1


@pytest.mark.parametrize(("lid", "smallest"), [("regularised", -0.162974), ("parabolic", -0.181638)])
def test_cavity_meets_its_walls_and_converges(lid, smallest):
    coarse, fine = (cavity(100.0, lid, degree=degree, num_points=33) for degree in (24, 32))
    velocities = [Table(run.axes, ("u", "v"), run.values[..., :2]) for run in (coarse, fine)]
    assert difference(*velocities) < 5e-4
    x, (u, v, pressure) = fine.axes["x"], np.moveaxis(fine.values, -1, 0)
    lid_speed = {"regularised": 16 * x**2 * (1 - x) ** 2, "parabolic": 4 * x * (1 - x)}[lid]
    np.testing.assert_allclose(u[:, -1], lid_speed, atol=1e-6)
    walls = [u[0], u[-1], u[:, 0], v[0], v[-1], v[:, 0], v[:, -1]]
    np.testing.assert_allclose(np.array(walls), 0, atol=1e-6)
    np.testing.assert_allclose(u[16].min(), smallest, atol=2e-4)  # of the stored points near ½
    assert abs(pressure[16, 16]) < 1e-12
    # The wake of the vortex turns with the lid: backwards below.
    assert u[16, 8] < 0 < u[16, 30]


def test_corner_flow_has_the_derivatives_that_it_tells():
    x, y, h = np.array([0.3]), np.array([0.7]), 1e-5
    at = corner_flow(x, y)
    slope = lambda get, dx, dy: (
        (get(corner_flow(x + dx, y + dy)) - get(corner_flow(x - dx, y - dy))) / (2 * h)
    )
    vorticity = lambda f: f.u_y - f.v_x
    expected = {
        "u": slope(lambda f: f.psi, 0, h),
        "v": -slope(lambda f: f.psi, h, 0),
        "u_x": slope(lambda f: f.u, h, 0),
        "u_y": slope(lambda f: f.u, 0, h),
        "v_x": slope(lambda f: f.v, h, 0),
        "vorticity_x": slope(vorticity, h, 0),
        "vorticity_y": slope(vorticity, 0, h),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(at, name), value, rtol=1e-7, err_msg=name)
    np.testing.assert_allclose(slope(lambda f: f.p, h, 0), at.vorticity_y, rtol=1e-7)  # Stokes' equations
    np.testing.assert_allclose(slope(lambda f: f.p, 0, h), -at.vorticity_x, rtol=1e-7)
    wall = np.linspace(0.01, 0.99, 5)
    one = corner_flow(wall, np.ones(5))
    np.testing.assert_allclose(one.u, 4, atol=1e-12)  # 4x + 4(1 − x)
    np.testing.assert_allclose(one.v, 0, atol=1e-12)


def test_series_are_what_they_came_from():
    table = periodic("kdv", modes=128, max_step=2e-3, num_x=128, num_t=65)
    arrays = compress(table, ("fourier", "chebyshev"), 1e-10)
    assert list(arrays["kinds"]) == ["fourier", "chebyshev"]
    again = evaluate(arrays, tuple(table.axes.values()))
    assert np.linalg.norm(again - table.values) < 1e-8 * np.linalg.norm(table.values)
    assert arrays["left"].shape[1] < 60
    even = compress(
        periodic("allen_cahn_cosines", modes=64, max_step=0.05, num_x=64, num_t=17),
        ("fourier", "chebyshev"),
        1e-10,
    )
    assert list(even["kinds"]) == ["cosine", "chebyshev"]
    arrays = pieces(lambda points: lorenz(points, rtol=1e-11), 0.0, 3.0, 1e-9)
    points = np.linspace(0, 3, 57)
    np.testing.assert_allclose(evaluate(arrays, (points,)), lorenz(points).values, atol=1e-7)


def test_command_writes_table_and_floor(tmp_path, capsys):
    path = tmp_path / "lorenz.npz"
    main(["lorenz", "--out", str(path)])
    with np.load(path) as data:
        assert data["values"].shape == (301, 3)
        assert data["floor"].max() < 1e-10
        assert str(data["command"]) == "python -m benchmarks.references lorenz"
        assert float(data["seconds"]) > 0
        assert "scipy" in str(data["versions"])
    assert "floor" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="robertson"):
        main(["nothing"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: burgers(0.0), "viscosity and step must be positive"),
        (lambda: periodic("kdv", modes=5, max_step=0.1), "modes must be even"),
        (lambda: cavity(lid="open"), "lid must be one of"),
        (lambda: cavity(degree=8), "degree at least 16"),
        (lambda: Table({"x": np.zeros(2)}, ("u",), np.zeros((3, 1))), "values must have shape"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_references_need_no_jax():
    """They serve other libraries too; only the tests here compare with the package."""
    for name in ("_table", "_series", "_corner", "cole_hopf", "etdrk4", "cavity", "stiff"):
        source = sys.modules[f"benchmarks.references.{name}"].__file__
        with open(source) as file:
            assert "jax" not in file.read().replace("jaxpi", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_floor_at_full_resolution(name):
    limit = {"allen_cahn_jaxpi": 3e-6, "reaction_diffusion": 3e-6}.get(name, 2e-8)
    floor = RECIPES[name].floor()
    assert floor[:2].max() < limit if name.startswith("cavity") else floor.max() < limit
