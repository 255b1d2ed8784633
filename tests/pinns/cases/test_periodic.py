"""A complex field with a period in space: as conditions, and by the network itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax import gauss_newton
from pinns import Box, Condition, PeriodicEmbedding, Problem, derivatives, gradient

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class PlaneWave(Problem):
    """iψ_t + ½ψ_xx + |ψ|²ψ = 0 with ψ = exp i(2x − t); real and imaginary part are the outputs."""

    periodic_network: bool = False
    domain = Box((-np.pi, 0.0), (np.pi, 2.0))
    output_names = ("real", "imaginary")

    def conditions(self):
        found = {
            "equation": Condition(self.equation, self.domain, 1500),
            "start": Condition(self.start, self.domain.face(1, "lower"), 100),
        }
        if not self.periodic_network:
            found["period"] = Condition(self.period, self.domain.face(0, "lower"), 100)
        return found

    def equation(self, u, x):
        value, _, (curved,) = derivatives(u, x, order=2, directions=(0,))
        _, (moved,) = gradient(u, x, axes=(1,))
        rest = curved / 2 + jnp.sum(value**2) * value
        return jnp.stack([rest[0] - moved[1], rest[1] + moved[0]])

    def start(self, u, x):
        return u(x) - self.exact(x)

    def period(self, u, x):
        """Value and slope of both outputs, shape (4,)."""
        shift = jnp.array([2 * np.pi, 0.0], x.dtype)
        left, right = gradient(u, x, axes=(0,)), gradient(u, x + shift, axes=(0,))
        return jnp.concatenate([left[0] - right[0], left[1][0] - right[1][0]])

    def exact(self, x):
        phase = 2 * x[0] - x[1]
        return jnp.stack([jnp.cos(phase), jnp.sin(phase)])


@pytest.mark.parametrize("built_in", [False, True], ids=["conditions", "network"])
def test_period_of_a_complex_field(solve, network, built_in):
    """lululxvi/deepxde#742, #194, #415 and #26: components and axes mixed up, points paired wrongly."""
    embedding = PeriodicEmbedding((2 * np.pi, None), dtype=jnp.float64) if built_in else None
    problem = PlaneWave(built_in)
    solver = gauss_newton(kernel="layers")  # or an error
    result = solve(problem, network(2, 2, embedding=embedding), solver=solver, rel_l2=1e-4)
    assert result.final["rel_l2"] <= 1e-3
    assert max(result.final["rel_l2_by_output"].values()) <= 1e-3
    times = jax.random.uniform(jax.random.key(7), (200, 1), jnp.float64, 0, 2)
    left = jnp.concatenate([jnp.full_like(times, -np.pi), times], axis=1)
    mismatch = jax.vmap(lambda x: problem.period(result.model, x))(left)
    assert float(jnp.max(jnp.abs(mismatch[:, :2]))) <= 1e-3
