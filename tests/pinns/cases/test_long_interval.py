"""Inviscid Burgers on a long interval."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest

from pinns import Box, Condition, Problem, gradient

pytestmark = pytest.mark.slow


def bump(x):
    """The initial value; its characteristics meet first at t = 5.84."""
    return jnp.exp(-((x - 3) ** 2) / 2) / (2 * math.sqrt(math.pi))


@dataclasses.dataclass(frozen=True)
class InviscidBurgers(Problem):
    """u_t + u u_x = 0 on an interval of length 10, until shortly before the shock."""

    domain = Box((0.0, 0.0), (10.0, 5.0))

    def conditions(self):
        return {
            "equation": Condition(self.equation, self.domain, 1500),
            "start": Condition(self.value, self.domain.face(1, "lower"), 200),
            "inflow": Condition(self.value, self.domain.face(0, "lower"), 50),
        }

    def equation(self, u, x):
        value, first = gradient(u, x)
        return first[1] + value * first[0]

    def value(self, u, x):
        return u(x) - jax.lax.stop_gradient(self.exact(x))

    def exact(self, x):
        """Along the characteristic x = ξ + t u₀(ξ), whose foot is found by bisection."""

        def halve(_, ends):
            low, high = ends
            middle = (low + high) / 2
            before = middle + x[1] * bump(middle) < x[0]
            return jnp.where(before, middle, low), jnp.where(before, high, middle)

        low, _ = jax.lax.fori_loop(0, 60, halve, (x[0] - 0.3 * x[1], x[0]))
        return bump(low)[None]


def test_initial_values_on_a_long_interval(solve, network):
    """discourse.julialang.org topic 75229: the initial condition was disregarded."""
    problem = InviscidBurgers()
    result = solve(problem, network(2), rel_l2=1e-3)
    assert result.final["rel_l2"] <= 1e-2
    x = jnp.linspace(0, 10, 501)
    start = jax.vmap(lambda x: result.solution(jnp.array([x, 0.0]))[0])(x)
    assert float(jnp.max(jnp.abs(start - bump(x)))) <= 1e-2 * float(jnp.max(bump(x)))
