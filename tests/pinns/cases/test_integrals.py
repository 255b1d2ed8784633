"""Residuals over many points: a density of unit integral, and averages as data."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinns import Box, Condition, Faces, FixedPoints, Problem, Unknown, derivatives, second_derivatives

pytestmark = pytest.mark.slow
NODES = FixedPoints(np.linspace(-2.2, 2.2, 401).reshape(1, 401, 1))


@dataclasses.dataclass(frozen=True)
class Density(Problem):
    """The stationary density of a particle in a double well: ((0.3x − 0.5x³)p)' = 0.125p'', ∫p = 1."""

    domain = Box((-2.2,), (2.2,))

    def conditions(self):
        return {
            "equation": Condition(self.equation, self.domain, 200),
            "ends": Condition(self.ends, self.domain.boundary(), 2),
            "integral": Condition(self.integral, NODES, NODES.num_points),
        }

    def equation(self, u, x):
        value, (first,), (second,) = second_derivatives(u, x)
        drift, slope = 0.3 * x - 0.5 * x**3, 0.3 - 1.5 * x**2
        return slope * value + drift * first - 0.125 * second

    def ends(self, u, x):
        return u(x)

    def integral(self, u, nodes):
        values = jax.vmap(u)(nodes)[:, 0]
        return jax.scipy.integrate.trapezoid(values, nodes[:, 0]) - 1

    def exact(self, x):
        return jnp.exp(1.2 * x**2 - x**4) / 3.0797838


@pytest.mark.parametrize(
    "options",
    [{}, {"sampling": "uniform", "batch_size": {"equation": 100}, "resample_every": 4}],
    ids=["all points", "batches of fresh points"],
)
def test_density_of_unit_integral(solve, network, options):
    """SciML/NeuralPDE.jl#279 and lululxvi/deepxde#576: a wrong height, or zero everywhere."""
    result = solve(Density(), network(1), **options)
    nodes = jnp.linspace(-2.2, 2.2, 4001)[:, None]
    values = jax.vmap(result.solution)(nodes)[:, 0]
    assert abs(jnp.trapezoid(values, nodes[:, 0]) - 1) <= 1e-4
    assert result.final["rel_l2"] <= 1e-3
    assert abs(result.solution(jnp.zeros(1))[0] - 0.324698) <= 1e-3
    for peak in (-0.774597, 0.774597):
        assert abs(result.solution(jnp.array([peak]))[0] - 0.465399) <= 1e-3
    [block] = [block for block in result.loss.blocks if block.name == "integral"]
    np.testing.assert_array_equal(block.points, NODES.points)


TIMES = np.linspace(0.05, 0.5, 10)
CONDUCTIVITY = 0.3
_LINES = np.stack(np.meshgrid(TIMES, np.linspace(0, 1, 101), indexing="ij")[::-1], axis=-1)
MEANS = FixedPoints(_LINES, 2 / np.pi * np.exp(-CONDUCTIVITY * np.pi**2 * TIMES))


@dataclasses.dataclass(frozen=True)
class Averaged(Problem):
    """u_t = k u_xx; of u at ten times its mean over x is known alone, k is not."""

    domain = Box((0.0, 0.0), (1.0, 0.5))

    def unknowns(self):
        return {"k": Unknown(1.0, positive=True)}

    def conditions(self):
        ends = Faces(self.domain, ((0, "lower"), (0, "upper")))
        return {
            "equation": Condition(self.equation, self.domain, 600),
            "ends": Condition(self.zero, ends, 100),
            "start": Condition(self.start, self.domain.face(1, "lower"), 100),
            "means": Condition(self.means, MEANS, MEANS.num_points),
        }

    def equation(self, u, x):
        _, _, (curved,) = derivatives(u, x, order=2, directions=(0,))
        _, (changed,) = derivatives(u, x, order=1, directions=(1,))
        return changed - u.unknowns["k"] * curved

    def zero(self, u, x):
        return u(x)

    def start(self, u, x):
        return u(x) - jnp.sin(jnp.pi * x[:1])

    def means(self, u, line):
        values = jax.vmap(u)(line["x"])[:, 0]
        return jax.scipy.integrate.trapezoid(values, line["x"][:, 0]) - line["value"]

    def exact(self, x):
        return jnp.exp(-CONDUCTIVITY * jnp.pi**2 * x[1:]) * jnp.sin(jnp.pi * x[:1])


def test_averages_as_data(solve, network):
    """lululxvi/deepxde#662: means over space at some times, the rate unknown."""
    result = solve(Averaged(), network(2, hidden=(20, 20)), rel_l2=1e-5)
    value, _ = result.unknowns["k"]
    assert abs(value - CONDUCTIVITY) <= 1e-3 * CONDUCTIVITY
    assert result.final["rel_l2"] <= 1e-3
    assert result.curve("unknowns.k")[1][0] == 1.0
