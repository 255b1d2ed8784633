"""A parameter of a boundary condition as one more input of the network."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from pinns import Box, Condition, Problem, derivatives, errors, exact_values, gradient, predict

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Robin(Problem):
    """−u_xx = 1, u_x(0) = 0, u_x(1) = −B u(1) for B = 10^s; inputs are x and s."""

    along_s: bool = False
    domain = Box((0.0, -1.0), (1.0, 1.0))

    def conditions(self):
        return {
            "equation": Condition(self.equation, self.domain, 400),
            "left": Condition(self.left, self.domain.face(0, "lower"), 50),
            "right": Condition(self.right, self.domain.face(0, "upper"), 50),
        }

    def equation(self, u, x):
        directions = None if self.along_s else (0,)
        return derivatives(u, x, order=2, directions=directions)[2][0] + 1.0

    def left(self, u, x):
        return gradient(u, x, axes=(0,))[1][0]

    def right(self, u, x):
        value, (slope,) = gradient(u, x, axes=(0,))
        return slope + 10 ** x[1] * value

    def exact(self, x):
        return (1 - x[:1] ** 2) / 2 + 10 ** -x[1:]


def test_robin_condition_for_a_range_of_its_parameter(solve, network):
    """mia-jinns/jinns#1, NeuroDiffGym/neurodiffeq#160, lululxvi/deepxde#193, #658 and #33."""
    problem = Robin()
    result = solve(problem, network(2), rel_l2=1e-5)
    assert result.final["rel_l2"] <= 1e-3
    x = jnp.linspace(0, 1, 101)[:, None]
    for s in (-1.0, 1.0):
        points = jnp.concatenate([x, jnp.full_like(x, s)], axis=1)
        exact = exact_values(problem, points)
        assert exact is not None
        assert errors(predict(result.solution, points), exact).rel_l2 <= 1e-2


def test_derivatives_along_the_parameter_are_not_paid_for(network):
    """Derivatives along x alone are two streams beside the value, those along s would be two more."""
    model, points = network(2), jnp.zeros((400, 2))

    def operations(problem):
        compiled = jax.jit(jax.vmap(lambda x: problem.equation(model, x))).lower(points).compile()
        cost = compiled.cost_analysis()
        assert cost is not None
        return cost["flops"]

    # Three streams of five, and some work that is the same
    assert operations(Robin()) <= 0.75 * operations(Robin(along_s=True))
