"""The problems of the field: their exact solutions satisfy every condition, by nested differentiation."""

import jax
import jax.numpy as jnp
import pytest

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
# With the size of the largest terms of the equation times the error of the series' derivatives.
TABLES = [
    (p.AllenCahn("cosines"), 1e-8),
    (p.AllenCahn("smooth"), 2e-6),
    (p.KdV(), 2e-7),
    (p.KuramotoSivashinsky(), 2e-4),
    (p.LidDrivenCavity(100.0), 1e-3),
    (p.LidDrivenCavity(1000.0), 1e-3),
    (p.Robertson(), 1e-8),
    (p.VanDerPol(), 1e-7),
    (p.LorenzInverse(), 1e-8),
]


class Exact:
    """The exact solution in place of a network."""

    def __init__(self, problem):
        self.problem = problem
        self.unknowns = getattr(problem, "true_unknowns", {})

    def __call__(self, x):
        return self.problem.exact(x)


def residuals(problem, num_points=64):
    """The largest residual of the exact solution by condition."""
    found = {}
    for name, condition in problem.conditions().items():
        points = condition.region.sample(jax.random.key(1), num_points, "uniform", jnp.float64)
        values = jax.jit(jax.vmap(lambda x, r=condition.residual: r(Exact(problem), x)))(points)
        assert values.dtype == jnp.float64
        found[name] = float(jnp.max(jnp.abs(values)))
    return found


def check(problem, tolerance):
    found = residuals(problem)
    assert found
    assert all(value < tolerance for value in found.values()), found


@pytest.mark.parametrize("problem", CLOSED, ids=repr)
def test_closed_form_satisfies_every_condition(problem, x64):
    check(problem, 1e-8)


@pytest.mark.parametrize(("problem", "tolerance"), TABLES, ids=repr)
def test_table_satisfies_every_condition(problem, tolerance, x64):
    check(problem, tolerance)
    assert 0 < problem.reference_floor < 1e-7
