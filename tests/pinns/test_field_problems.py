"""The problems of the field: their exact solutions satisfy every condition, by nested differentiation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinns import MLP
from pinns import problems as p

CLOSED = [
    p.Burgers(),
    p.Burgers(0.01),
    p.Convection(40.0),
    p.Reaction(5.0),
    p.Wave(4),
    p.Wave(5),
    p.Schroedinger(),
    p.Kovasznay(20.0),
    p.Kovasznay(40.0),
    p.PoissonND(5),
    p.PoissonND(10, "harmonic"),
    p.PoissonMultiscale2D(),
    p.Beam("clamped"),
    p.Beam("cantilever"),
    p.Biharmonic(),
    p.BurgersInverse(num_data=20),
    p.HelmholtzInverse(num_data=20),
    p.KdVInverse(),
    p.OscillatorInverse(),
]
# With what the errors of a series become by its derivatives; of the cavities away from the lid's corners.
TABLES = [
    (p.AllenCahn("cosines"), 1e-8, 1e-11),
    (p.AllenCahn("smooth"), 1e-6, 1e-8),
    (p.KdV(), 3e-7, 1e-10),
    (p.KuramotoSivashinsky(), 5e-5, 1e-8),
    (p.LidDrivenCavity(100.0), 1e-6, 1e-9),
    (p.LidDrivenCavity(400.0), 1e-6, 1e-9),
    (p.LidDrivenCavity(1000.0), 1e-6, 1e-9),
    (p.LidDrivenCavity(100.0, "parabolic"), 1e-5, 1e-8),
    (p.Robertson(), 1e-11, 1e-12),
    (p.VanDerPol(), 1e-8, 1e-11),
    (p.LorenzInverse(), 1e-8, 1e-11),
]
EQUATIONS = ("pde", "momentum_x", "momentum_y", "continuity", "mass", "y2", "y3")


def name_of(value):
    """The class and the first field of a problem."""
    if not dataclasses.is_dataclass(value):
        return ""
    return f"{type(value).__name__}-{getattr(value, dataclasses.fields(value)[0].name)}"


class Exact:
    """The exact solution in place of a network, changed by ``change`` times a function without symmetry."""

    def __init__(self, problem, change=0.0, unknowns=None):
        self.problem, self.change = problem, change
        self.unknowns = getattr(problem, "true_unknowns", {}) if unknowns is None else unknowns

    def __call__(self, x):
        value = self.problem.exact(x)
        return value + self.change * jnp.exp(jnp.sum(x) / (1 + self.problem.domain.upper[0]))


class Network:
    """A network of 32 bits with the unknown coefficients of the problem."""

    def __init__(self, problem):
        self.model = MLP(problem.domain.dim, [4], len(problem.output_names), rngs=nnx.Rngs(0))
        self.unknowns = {k: jnp.float32(v) for k, v in getattr(problem, "true_unknowns", {}).items()}

    def __call__(self, x):
        return self.model(x)


def residuals(problem, *, change, unknowns=None, num_points=64):
    """The largest residual by condition, of the exact solution as it is and changed."""
    found = {}, {}
    for name, condition in problem.conditions().items():
        points = condition.region.sample(jax.random.key(1), num_points, "uniform", jnp.float64)
        if isinstance(problem, p.LidDrivenCavity) and name in EQUATIONS:
            points = 0.03 + 0.94 * points
        residual = lambda x, c, r=condition.residual: r(Exact(problem, c, unknowns), x)
        evaluate = jax.jit(jax.vmap(residual, in_axes=(0, None)))
        for largest, c in zip(found, (0.0, change), strict=True):
            values = evaluate(points, c)
            assert values.dtype == jnp.float64
            largest[name] = float(jnp.max(jnp.abs(values)))
    return found


@pytest.mark.parametrize("problem", CLOSED, ids=name_of)
def test_closed_form_satisfies_every_condition_and_nothing_else_does(problem, x64):
    exact, changed = residuals(problem, change=0.1)
    assert max(exact.values()) < 1e-11, exact
    assert min(changed.values()) > 1e-4, changed
    assert problem.reference_floor == 0


@pytest.mark.parametrize(("problem", "in_equation", "elsewhere"), TABLES, ids=name_of)
def test_table_satisfies_every_condition_and_nothing_else_does(problem, in_equation, elsewhere, x64):
    exact, changed = residuals(problem, change=0.1)
    assert all(v < (in_equation if k in EQUATIONS else elsewhere) for k, v in exact.items()), exact
    assert min(changed.values()) > 1e-4, changed
    floors = problem.reference_floors
    assert list(floors) == list(problem.output_names)
    assert 0 < min(floors.values()) <= max(floors.values()) == problem.reference_floor
    assert max(floor for name, floor in floors.items() if name != "p") < 1e-8


@pytest.mark.parametrize("problem", [c for c in CLOSED if hasattr(c, "true_unknowns")], ids=name_of)
def test_equation_notices_another_coefficient(problem, x64):
    for name, value in problem.true_unknowns.items():
        unknowns = problem.true_unknowns | {name: 1.01 * value}
        found, _ = residuals(problem, change=0.0, unknowns=unknowns)
        assert max(found[key] for key in found if key in EQUATIONS) > 1e-6, name
    assert set(problem.unknowns()) == set(problem.true_unknowns)


@pytest.mark.parametrize("problem", [*CLOSED, *(row[0] for row in TABLES)], ids=name_of)
def test_shapes_and_dtypes_in_float32(problem):
    size = len(problem.output_names)
    for name, condition in problem.conditions().items():
        points = condition.region.sample(jax.random.key(1), 4, "uniform", jnp.float32)
        values = jax.eval_shape(jax.vmap(lambda x, r=condition.residual: r(Network(problem), x)), points)
        assert values.dtype == jnp.float32, name
    assert problem.exact(jnp.zeros(problem.domain.dim)).shape == (size,)
    assert jnp.all(jnp.isfinite(jax.vmap(problem.exact)(problem.domain.grid(3, jnp.float32))))


@pytest.mark.parametrize(
    "problem", [p.AllenCahn(), p.KdV(), p.KuramotoSivashinsky(), p.Convection()], ids=name_of
)
def test_period_is_no_condition_of_a_periodic_network(problem):
    assert list(problem.conditions()) == ["pde", "boundary", "initial"]
    embedded = dataclasses.replace(problem, periodic_network=True)
    assert list(embedded.conditions()) == ["pde", "initial"]


def test_observations_repeat_and_have_the_noise_that_is_asked_for(x64):
    clean, noisy, again = (
        p.BurgersInverse(num_data=2000, noise=noise).conditions()["data"].region for noise in (0.0, 0.1, 0.1)
    )
    np.testing.assert_array_equal(noisy.values, again.values)
    np.testing.assert_array_equal(noisy.points, clean.points)
    ratio = np.std(noisy.values - clean.values) / np.std(clean.values)
    np.testing.assert_allclose(ratio, 0.1, rtol=0.06)


def test_conditions_of_an_inverse_problem_can_be_asked_for_while_tracing(x64):
    problem = p.KdVInverse(num_data=49)
    count = jax.jit(lambda x: x * problem.conditions()["data"].num_points)
    assert count(1.0) == 49


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: p.Burgers(0.0), "nu must be positive"),
        (lambda: p.AllenCahn("rough"), "'smooth', 'jaxpi' or 'cosines'"),
        (lambda: p.KuramotoSivashinsky(2.0), r"end must be in \(0, 1\]"),
        (lambda: p.Wave(1.5), "beta must be an integer"),
        (lambda: p.Kovasznay(-1.0), "reynolds must be positive"),
        (lambda: p.LidDrivenCavity(lid="open"), "'regularised' or 'parabolic'"),
        (lambda: p.LidDrivenCavity(0.0), "reynolds must be positive"),
        (lambda: p.PoissonND(5, "harmonic"), "even for 'harmonic'"),
        (lambda: p.PoissonND(5, "linear"), "'cosine' or 'harmonic'"),
        (lambda: p.Beam("free"), "'clamped' or 'cantilever'"),
        (lambda: p.VanDerPol(0.0), "mu must be positive"),
        (lambda: p.LorenzInverse(num_data=0), "num_data must be at least 1"),
        (lambda: p.KdVInverse(num_data=10), "must be a square"),
        (lambda: p.BurgersInverse(noise=-1.0), "noise at least 0"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_solutions_without_a_table_are_unknown():
    assert p.LidDrivenCavity(250.0).exact(jnp.zeros(2)) is None
    assert p.LidDrivenCavity(400.0, "parabolic").exact(jnp.zeros(2)) is None
    assert p.VanDerPol(1000.0).exact(jnp.zeros(1)) is None
    assert p.LidDrivenCavity(250.0).reference_floor is p.VanDerPol(1000.0).reference_floor is None


def test_burgers_agrees_with_its_integral_in_extended_precision(x64):
    """The integral over η, not z, by 80-bit numbers where the machine has them."""
    viscosity = np.longdouble(0.01 / np.pi)
    pi = np.longdouble("3.14159265358979323846264338327950288")
    eta = np.linspace(np.longdouble(-2.5), np.longdouble(2.5), 40_001)
    points = np.array([[0.02, 0.05], [0.3, 0.3], [1e-3, 0.5], [-4e-3, 0.75], [0.5, 1.0], [0.97, 1.0]])
    expected = []
    for x, t in points.astype(np.longdouble):
        y = pi * (x - eta)
        exponent = -np.cos(y) / (2 * pi * viscosity) - eta**2 / (4 * viscosity * t)
        w = np.exp(exponent - exponent.max())
        expected.append(float(-(np.sin(y) * w).sum() / w.sum()))
    u = jax.vmap(p.Burgers().exact)(jnp.asarray(points))[:, 0]
    np.testing.assert_allclose(u, expected, rtol=1e-12, atol=1e-13)


def test_burgers_at_early_times_and_on_its_sides(x64):
    x = jnp.array([[0.3, 0.0], [0.3, 1e-12], [-1.0, 0.7], [0.0, 1.0], [1.0, 1.0]])
    u = jax.vmap(p.Burgers().exact)(x)[:, 0]
    np.testing.assert_allclose(u[:2], -np.sin(0.3 * np.pi), rtol=1e-11)
    np.testing.assert_allclose(u[2:], 0, atol=1e-13)
