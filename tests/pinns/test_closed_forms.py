"""Closed solutions of the field's problems: every condition vanishes at them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinns
from pinns._unknowns import Solution

PROBLEMS = {
    "burgers": pinns.Burgers(),
    "convection": pinns.Convection(),
    "reaction": pinns.Reaction(),
    "wave": pinns.Wave(),
    "schroedinger": pinns.Schroedinger(),
    "kovasznay": pinns.Kovasznay(),
    "kovasznay, Re = 40": pinns.Kovasznay(40.0),
    "poisson, 5-D": pinns.PoissonND(5),
    "poisson, harmonic": pinns.PoissonND(10, "harmonic"),
    "poisson, multi-scale": pinns.PoissonMultiscale2D(),
    "beam": pinns.Beam(),
    "cantilever": pinns.Beam("cantilever"),
    "biharmonic": pinns.Biharmonic(),
    "burgers, inverse": pinns.BurgersInverse(),
    "kdv, inverse": pinns.KdVInverse(),
    "oscillator, inverse": pinns.OscillatorInverse(),
    "helmholtz, inverse": pinns.HelmholtzInverse(),
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", PROBLEMS)
def test_every_condition_vanishes_at_the_solution(name):
    problem = PROBLEMS[name]
    unknowns = {k: jnp.asarray(v) for k, v in getattr(problem, "true_unknowns", {}).items()}
    u = Solution({"network": problem.exact}, unknowns)
    numbers = dict.fromkeys(problem.conditions(), 40)
    points = problem.sample(jax.random.key(1), dtype=jnp.float64, num_points=numbers)
    for condition_name, condition in problem.conditions().items():
        at = points[condition_name]
        at = jax.tree.map(lambda x: x[:40], at)
        residuals = jax.jit(jax.vmap(lambda x, c=condition: c.residual(u, x)))(at)
        np.testing.assert_allclose(
            residuals, 0, atol=2e-7 if "burgers" in name else 1e-8, err_msg=condition_name
        )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", PROBLEMS)
def test_solutions_are_known_in_single_precision_too(name):
    problem = PROBLEMS[name]
    points = pinns.evaluation_points(problem, jnp.float32)[::7]
    single = pinns.exact_values(problem, points)
    assert single.dtype == jnp.float32
    double = pinns.exact_values(problem, points.astype(jnp.float64))
    np.testing.assert_allclose(single, double, atol=1e-4 * np.abs(double).max())


@pytest.mark.usefixtures("x64")
def test_burgers_solution_is_that_of_another_quadrature():
    """The trapezoidal rule on 8,001 nodes, with the largest exponent taken out."""
    nu, problem = 0.01 / np.pi, pinns.Burgers()
    eta = np.linspace(-2.5, 2.5, 8001)
    for x, t in [(0.01, 0.5), (0.3, 0.25), (-0.002, 1.0), (0.9, 0.7)]:
        exponent = -np.cos(np.pi * (x - eta)) / (2 * np.pi * nu) - eta**2 / (4 * nu * t)
        w = np.exp(exponent - exponent.max())
        expected = -np.sum(np.sin(np.pi * (x - eta)) * w) / np.sum(w)
        np.testing.assert_allclose(problem.exact(jnp.array([x, t]))[0], expected, atol=1e-9)


def test_values_are_measured_with_noise_of_the_given_size():
    clean = pinns.OscillatorInverse().conditions()["data"].region
    noisy = pinns.OscillatorInverse(noise=0.1).conditions()["data"].region
    share = np.std(noisy.values - clean.values) / np.std(clean.values)
    assert 0.07 < share < 0.13
    assert noisy == pinns.OscillatorInverse(noise=0.1).conditions()["data"].region
    assert noisy != pinns.OscillatorInverse(noise=0.1, seed=1).conditions()["data"].region


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pinns.Burgers(nu=0.0), "nu must be positive"),
        (lambda: pinns.Beam("free"), "support must be"),
        (lambda: pinns.PoissonND(3, "harmonic"), "an even dimension"),
        (lambda: pinns.Kovasznay(0.0), "reynolds must be positive"),
        (lambda: pinns.LidDrivenCavity(lid="round"), "lid must be"),
        (lambda: pinns.FixedPoints([1.0, 2.0]), r"shape \(N, d\)"),
        (lambda: pinns.FixedPoints([[1.0]], [1.0, 2.0]), "one finite value for each"),
        (lambda: pinns.FixedPoints([[np.nan]]), "finite points"),
    ],
)
def test_unfit_problems_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
