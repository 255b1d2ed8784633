"""Systems of ordinary differential equations: fractional powers, points of their own for each equation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.integrate import solve_ivp

from pinns import Box, Condition, Interpolated, PeriodicEmbedding, Problem, gradient

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Reactions(Problem):
    """Two substances with fractional powers and a forcing of period 2π."""

    domain = Box((-np.pi,), (np.pi,))
    output_names = ("u", "v")

    def conditions(self):
        return {"equations": Condition(self.equations, self.domain, 200)}

    def equations(self, network, t):
        (u, v), (first,) = gradient(network, t)
        q = 1.1 * (3 - v) ** 1.5 * u**3.5
        du = 2 + jnp.sin(t[0]) - q + 1.3 * v**2.2
        dv = 1 + jnp.cos(t[0]) + q - 2.4 * v**2.2
        return first - jnp.stack([du, dv])


class Positive(nnx.Module):
    """A network whose outputs are bounded by softplus, as the answers to frequent questions advise."""

    def __init__(self, network):
        self.network = network

    def __call__(self, x):
        return jax.nn.softplus(self.network(x))


def test_fractional_powers(solve, network):
    """lululxvi/deepxde#1177: NaN from the first step."""
    embedding = PeriodicEmbedding((2 * np.pi,), dtype=jnp.float64)
    result = solve(Reactions(), Positive(network(1, 2, embedding=embedding)), fresh_loss=1e-12)
    expected = {0.0: (1.42168, 1.67565), np.pi: (1.30536, 1.46839), -np.pi: (1.30536, 1.46839)}
    for time, values in expected.items():
        np.testing.assert_allclose(result.solution(jnp.array([time])), values, atol=1e-3)


def rates(x):
    """The right-hand side of three equations, of any arrays."""
    return [20 * x[1] + x[0] + 2 * x[2], -20 * x[0] + x[1], x[0] ** 2 + x[1] ** 2]


def reference():
    """The solution from (1, 0, 0), as a table."""
    times = np.linspace(0, 1, 1001)
    found = solve_ivp(
        lambda t, x: rates(x), (0, 1), [1.0, 0.0, 0.0], t_eval=times, rtol=1e-10, atol=1e-10, method="DOP853"
    )
    return Interpolated((times,), found.y.T)


@dataclasses.dataclass(frozen=True)
class ThreeEquations(Problem):
    """A rotation that drives a third variable; each equation has points of its own."""

    table: Interpolated
    domain = Box((0.0,), (1.0,))

    def conditions(self):
        start = self.domain.face(0, "lower")
        return {
            "first": Condition(self.first, self.domain, 200),
            "second": Condition(self.second, self.domain, 100),
            "third": Condition(self.third, self.domain, 50),
            "start": Condition(self.start, start, 1),
        }

    def equation(self, u, t, i):
        value, (first,) = gradient(u, t)
        return first[i] - rates(value)[i]

    def first(self, u, t):
        return self.equation(u, t, 0)

    def second(self, u, t):
        return self.equation(u, t, 1)

    def third(self, u, t):
        return self.equation(u, t, 2)

    def start(self, u, t):
        return u(t) - jnp.array([1.0, 0.0, 0.0])

    def exact(self, t):
        return self.table(t)


def test_points_of_their_own_for_each_equation(solve, network):
    """lululxvi/deepxde#440: 200, 100 and 50 points for the three equations of a system."""
    result = solve(ThreeEquations(reference()), network(1, 3), rel_l2=1e-5)
    sizes = {block.name: len(block.points) for block in result.loss.blocks}
    assert sizes == {"first": 200, "second": 100, "third": 50, "start": 1}
    assert result.final["rel_l2"] <= 1e-3
