"""Problems whose solutions are tables: these satisfy every condition, and nothing else does."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinns
from pinns._unknowns import Solution

# With what the errors of a series become by its derivatives; of the cavities away from the lid's corners.
TABLES = {
    "allen-cahn, cosines": (pinns.AllenCahn("cosines"), 1e-8, 1e-11),
    "allen-cahn, smooth": (pinns.AllenCahn(), 1e-6, 1e-8),
    "kdv": (pinns.KdV(), 3e-7, 1e-10),
    "kuramoto-sivashinsky": (pinns.KuramotoSivashinsky(), 5e-5, 1e-8),
    "cavity, 100": (pinns.LidDrivenCavity(100.0), 1e-6, 1e-9),
    "cavity, 400": (pinns.LidDrivenCavity(400.0), 1e-6, 1e-9),
    "cavity, 1000": (pinns.LidDrivenCavity(1000.0), 1e-6, 1e-9),
    "cavity, parabolic": (pinns.LidDrivenCavity(100.0, "parabolic"), 1e-5, 1e-8),
    "robertson": (pinns.Robertson(), 1e-11, 1e-12),
    "van der pol": (pinns.VanDerPol(), 1e-8, 1e-11),
    "lorenz": (pinns.LorenzInverse(), 1e-8, 1e-11),
}
EQUATIONS = ("pde", "mass", "y2", "y3", "y", "z")


def residuals(problem, *, change=0.0, unknowns=None):
    """The largest residual by condition of the solution plus ``change`` times a function without symmetry."""
    solution = getattr(problem, "flow", problem.exact)
    network = lambda x: solution(x) + change * jnp.exp(jnp.sum(x) / (1 + problem.domain.upper[0]))
    u = Solution({"network": network}, unknowns or getattr(problem, "true_unknowns", {}))
    found = {}
    for name, condition in problem.conditions().items():
        points = condition.region.sample(jax.random.key(1), 64, "uniform", jnp.float64)
        if isinstance(problem, pinns.LidDrivenCavity) and name in EQUATIONS:
            points = 0.03 + 0.94 * points
        values = jax.jit(jax.vmap(lambda x, c=condition: c.residual(u, x)))(points)
        assert values.dtype == jnp.float64
        found[name] = float(jnp.max(jnp.abs(values)))
    return found


@pytest.mark.long
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", TABLES)
def test_table_satisfies_every_condition_and_nothing_else_does(name):
    problem, in_equation, elsewhere = TABLES[name]
    exact, changed = residuals(problem), residuals(problem, change=0.1)
    assert all(v < (in_equation if k in EQUATIONS else elsewhere) for k, v in exact.items()), exact
    assert min(changed.values()) > 1e-4, changed
    floors = problem.reference_floors
    assert list(floors) == list(getattr(problem, "output_names", ["u"]))
    assert 0 < problem.reference_floor == max(floors.values()) < 1e-8


@pytest.mark.parametrize("name", TABLES)
def test_solutions_in_float32_are_finite_and_have_their_shape(name):
    problem = TABLES[name][0]
    values = jax.jit(jax.vmap(problem.exact))(problem.domain.grid(3, jnp.float32))
    assert values.dtype == jnp.float32
    assert values.shape[1:] == (len(problem.output_names),)
    assert jnp.all(jnp.isfinite(values))


def test_robertson_ends_at_the_published_values(x64):
    y = pinns.Robertson().exact(jnp.array([np.log10(1e5 + 1e-5)]))
    np.testing.assert_allclose(y, [0.0178659211, 7.27475147e-4, 0.982134006], rtol=5e-9)


def test_kink_of_allen_cahn_is_told_by_its_floor():
    assert 1e-6 < pinns.AllenCahn("jaxpi").reference_floor < 1e-5


@pytest.mark.usefixtures("x64")
def test_lorenz_notices_another_coefficient():
    problem = pinns.LorenzInverse()
    assert set(problem.unknowns()) == set(problem.true_unknowns)
    for name, value in problem.true_unknowns.items():
        assert residuals(problem, unknowns=problem.true_unknowns | {name: 1.01 * value})["pde"] > 1e-2


def test_observations_repeat_and_have_the_noise_that_is_asked_for():
    region = lambda **options: pinns.LorenzInverse(num_data=500, **options).conditions()["data"].region
    clean, noisy = region(), region(noise=0.1)
    assert noisy == region(noise=0.1) != region(noise=0.1, seed=1)
    np.testing.assert_allclose(
        np.std(noisy.values - clean.values, 0), 0.1 * np.std(clean.values, 0), rtol=0.1
    )
    assert pinns.LorenzInverse().conditions()["data"].noisy


@pytest.mark.parametrize("problem", [pinns.AllenCahn(), pinns.KdV(), pinns.KuramotoSivashinsky()])
def test_period_is_no_condition_of_a_periodic_network(problem):
    assert list(problem.conditions()) == ["pde", "boundary", "initial"]
    embedded = dataclasses.replace(problem, periodic_network=True)
    assert list(embedded.conditions()) == ["pde", "initial"]


def test_solutions_without_a_table_are_unknown():
    for problem in (
        pinns.LidDrivenCavity(250.0),
        pinns.LidDrivenCavity(400.0, "parabolic"),
        pinns.VanDerPol(1e3),
    ):
        assert problem.exact(jnp.zeros(problem.domain.dim)) is None
        assert problem.reference_floor is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pinns.AllenCahn("rough"), "'smooth', 'jaxpi' or 'cosines'"),
        (lambda: pinns.KuramotoSivashinsky(2.0), r"end must be in \(0, 1\]"),
        (lambda: pinns.VanDerPol(0.0), "mu must be positive"),
        (lambda: pinns.LorenzInverse(num_data=1), "num_data must be at least 2"),
        (lambda: pinns.LorenzInverse(noise=-1.0), "noise at least 0"),
    ],
)
def test_unfit_problems_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
