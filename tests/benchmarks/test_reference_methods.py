"""Generators of references: against closed forms, other methods and themselves."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from benchmarks.references import _series as series
from benchmarks.references import (
    burgers,
    cavity,
    difference,
    lorenz,
    periodic,
    robertson,
    van_der_pol,
)
from benchmarks.references import cavity as cavity_module
from benchmarks.references.__main__ import main
from benchmarks.references._table import Table, chebyshev_points, relative_l2
from benchmarks.references.etdrk4 import EQUATIONS, Equation, etdrk4, resample


def test_cole_hopf_is_that_of_an_adaptive_quadrature():
    table = burgers(0.05, num_x=9, num_t=3)
    nu, t = 0.05, 0.5
    for i, x in enumerate(table.axes["x"]):
        weight = lambda s, x=x: np.exp(-np.cos(np.pi * (x - s)) / (2 * np.pi * nu) - s**2 / (4 * nu * t))
        integral = lambda f: quad(f, -3, 3, epsabs=0, epsrel=1e-12, limit=500, points=[0.0])[0]
        above = integral(lambda s, x=x, w=weight: np.sin(np.pi * (x - s)) * w(s) + 2 * w(s))
        below = integral(weight)  # the 2 keeps the relative tolerance meaningful where u is 0
        np.testing.assert_allclose(table.values[i, 1, 0], 2 - above / below, atol=1e-9)


def test_cole_hopf_begins_with_the_sine_and_has_converged():
    table = burgers(num_x=33, num_t=11)
    np.testing.assert_allclose(table.values[:, 0, 0], -np.sin(np.pi * table.axes["x"]), atol=1e-14)
    assert difference(table, burgers(num_x=33, num_t=11, step=0.05)) < 1e-13
    assert difference(table, burgers(num_x=33, num_t=11, step=0.8)) > 1e-6


def test_exponential_steps_give_the_solution_of_burgers():
    nu = 0.02
    equation = Equation(
        -1.0, 2.0, lambda x: -np.sin(np.pi * x), lambda k: -nu * k**2, np.square, lambda k: -0.5j * k, 2 / 3
    )
    expected = burgers(nu, num_x=17, num_t=5)
    spectra = etdrk4(equation, 512, expected.axes["t"], 5e-4)
    values = resample(spectra, 512, 16).T
    np.testing.assert_allclose(values, expected.values[:-1, :, 0], atol=1e-10)


@pytest.mark.parametrize(
    ("name", "modes", "step"),
    [("kdv", 128, 2e-3), ("allen_cahn_cosines", 64, 4e-2), ("reaction_diffusion", 32, 4e-2)],
)
def test_exponential_steps_are_of_order_four(name, modes, step):
    times = np.array([0.0, 0.4])
    ends = [etdrk4(EQUATIONS[name], modes, times, step / 2**k)[-1] for k in range(4)]
    errors = [np.abs(end - ends[-1]).max() for end in ends[:2]]
    assert 3.6 < np.log2(errors[0] / errors[1]) < 4.6


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("kdv", lambda u, d: -u * d(u, 1) - 0.022**2 * d(u, 3)),
        ("allen_cahn_jaxpi", lambda u, d: 1e-4 * d(u, 2) + 5 * u - 5 * u**3),
        (
            "kuramoto_sivashinsky",
            lambda u, d: -100 / 16 * u * d(u, 1) - 100 / 16**2 * d(u, 2) - 100 / 16**4 * d(u, 4),
        ),
        ("reaction_diffusion", lambda u, d: 5 * d(u, 2) + 5 * u * (1 - u)),
    ],
)
def test_equations_in_fourier_space_are_those_in_physical_space(name, operator):
    equation, modes, end = EQUATIONS[name], 64, 2e-3
    wave = 2j * np.pi / equation.period * np.arange(modes // 2 + 1)
    derivative = lambda u, k: np.fft.irfft(wave**k * np.fft.rfft(u), modes)
    x = equation.lower + equation.period * np.arange(modes) / modes
    rates = lambda t, u: operator(u, derivative)
    by_lines = solve_ivp(rates, (0, end), equation.initial(x), "DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    spectrum = etdrk4(equation, modes, np.array([0.0, end]), end / 20)[-1]
    np.testing.assert_allclose(np.fft.irfft(spectrum, modes), by_lines, atol=1e-6)


def test_resampling_is_trigonometric_interpolation():
    x = lambda n: 2 * np.pi * np.arange(n) / n
    f = lambda z: np.exp(np.sin(z)) + np.cos(3 * z)
    spectrum = np.fft.rfft(f(x(64)))
    for num_x in (16, 64, 96, 50):
        np.testing.assert_allclose(resample(spectrum, 64, num_x), f(x(num_x)), atol=1e-13)
    with pytest.raises(ValueError, match="modes must be even"):
        periodic("kdv", modes=33, max_step=0.1)


@pytest.fixture(scope="module")
def flows():
    """The regularised cavity at three degrees."""
    return {degree: cavity(degree=degree, num_points=33) for degree in (20, 28, 36)}


def test_cavity_converges(flows):
    errors = [
        [relative_l2(flows[n].values[..., k], flows[36].values[..., k]) for n in (20, 28)] for k in (0, 1)
    ]
    for coarse, fine in errors:
        assert fine < coarse / 3
        assert fine < 3e-5


def test_cavity_takes_the_speed_of_its_walls(flows):
    x, (u, v) = flows[36].axes["x"], np.moveaxis(flows[36].values[..., :2], -1, 0)
    np.testing.assert_allclose(u[:, -1], 16 * x**2 * (1 - x) ** 2, atol=1e-10)
    for wall in (u[:, 0], u[0], u[-1], v[:, 0], v[:, -1], v[0], v[-1]):
        np.testing.assert_allclose(wall, 0, atol=1e-10)
    assert u[16, 16] < 0  # the flow turns back below the lid


def test_cavity_solves_the_equations_of_navier_and_stokes(flows):
    u, v, p = np.moveaxis(flows[36].values, -1, 0)
    dx = cavity_module.__globals__["_differentiation"](32, 1)[0] * 2
    along = lambda f: (dx @ f, f @ dx.T)
    (u_x, u_y), (v_x, v_y), (p_x, p_y) = along(u), along(v), along(p)
    laplacian = lambda f: dx @ dx @ f + f @ dx.T @ dx.T
    inside = np.s_[6:-6, 6:-6]
    for residual in (
        u_x + v_y,
        u * u_x + v * u_y + p_x - laplacian(u) / 100,
        u * v_x + v * v_y + p_y - laplacian(v) / 100,
    ):
        assert np.abs(residual[inside]).max() < 1e-4
    assert abs(p[16, 16]) < 1e-14


def test_slow_flow_is_symmetric():
    u, v, p = np.moveaxis(cavity(1e-4, degree=20, num_points=21).values, -1, 0)
    np.testing.assert_allclose(u, u[::-1], atol=1e-6)
    np.testing.assert_allclose(v, -v[::-1], atol=1e-6)
    np.testing.assert_allclose(p, -p[::-1], atol=1e-5 * np.abs(p).max())


def test_flow_under_a_parabolic_lid_converges_slowly():
    coarse, middle, fine = (cavity(lid="parabolic", degree=n, num_points=17) for n in (16, 24, 32))
    velocity = lambda a, b: relative_l2(a.values[..., :2], b.values[..., :2])
    assert 1e-5 < velocity(middle, fine) < velocity(coarse, fine) < 0.1


@pytest.mark.parametrize("options", [{"lid": "cosh"}, {"reynolds": 0.0}, {"degree": 8}])
def test_cavities_that_cannot_be_computed_are_refused(options):
    with pytest.raises(ValueError, match="lid must be one of"):
        cavity(**options)


def test_robertson_has_the_published_values():
    table = robertson(np.array([-5.0, np.log10(1e5 + 1e-5)]), rtol=1e-11)
    published = [0.0178659211, 7.27475147e-4, 0.982134006]
    np.testing.assert_allclose(table.values[-1], published, rtol=1e-8)
    y1, scaled, y3 = robertson(rtol=1e-10).values.T
    np.testing.assert_allclose(y1 + 1e-4 * scaled + y3, 1, atol=1e-11)


@pytest.mark.parametrize("generate", [van_der_pol, lorenz])
def test_stiff_equations_converge_with_the_tolerance(generate):
    fine = generate(rtol=1e-13)
    loose, tight = (difference(generate(rtol=rtol), fine) for rtol in (1e-6, 1e-9))
    assert tight < loose / 50
    assert tight < 1e-6


def test_van_der_pol_of_two_methods():
    by_runge_kutta = van_der_pol(mu=29.0, end=10.0)
    points, rates = by_runge_kutta.axes["t"], lambda t, y: [y[1], 29 * (1 - y[0] ** 2) * y[1] - y[0]]
    by_lsoda = solve_ivp(rates, (0, 10), (2, 0), "LSODA", points, rtol=1e-10, atol=1e-12).y.T
    np.testing.assert_allclose(by_runge_kutta.values[:, 0], by_lsoda[:, 0], atol=1e-7)
    assert van_der_pol(np.array([0.0, 1.0]), mu=31.0, rtol=1e-9).values.shape == (2, 2)


@pytest.mark.parametrize("kind", ["fourier", "cosine"])
def test_series_give_back_a_table(kind):
    x, t = 2 * np.pi * np.arange(48) / 48, chebyshev_points(33, 0.0, 1.0)
    wave = (lambda z: np.exp(np.cos(z))) if kind == "cosine" else (lambda z: np.exp(np.sin(z + 0.3)))
    f = lambda x, t: np.stack(
        [wave(x)[:, None] * np.exp(-t) + np.cos(2 * x)[:, None] * t**2, wave(2 * x)[:, None] * t], -1
    )
    arrays = series.compress(Table({"x": x, "t": t}, ("u", "v"), f(x, t)), ("fourier", "chebyshev"), 1e-12)
    assert list(arrays["kinds"]) == [kind, "chebyshev"]
    x, t = np.linspace(0, 6, 13), np.linspace(0, 1, 11)
    np.testing.assert_allclose(series.evaluate(arrays, (x, t)), f(x, t), atol=1e-10)


def test_pieces_are_halved_where_a_curve_is_steep():
    generate = lambda s: Table({"s": s}, ("y",), np.tanh(20 * (s - 0.3))[:, None])
    arrays = series.pieces(generate, 0.0, 1.0, 1e-11)
    s = np.linspace(0, 1, 501)
    np.testing.assert_allclose(series.evaluate(arrays, (s,)), generate(s).values, atol=1e-10)
    gaps = np.diff(arrays["knots"])
    assert gaps.min() < gaps.max()


def test_a_table_needs_values_for_every_point():
    with pytest.raises(ValueError, match=r"must have shape \(2, 1\)"):
        Table({"x": np.zeros(2)}, ("u",), np.zeros((3, 1)))


def test_command_writes_a_table_with_its_floor(tmp_path, capsys):
    path = tmp_path / "burgers.npz"
    main(["burgers", "--out", str(path)])
    assert "floor" in capsys.readouterr().out
    with np.load(path) as data:
        assert data["values"].shape == (len(data["axis_x"]), len(data["axis_t"]), 1)
        assert list(data["outputs"]) == ["u"]
        assert 0 <= data["floor"].max() < 1e-12
        assert data["seconds"] > 0
        assert str(data["command"]) == "python -m benchmarks.references burgers"
