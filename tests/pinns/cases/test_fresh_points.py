"""New points at every step."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import Box, Condition, Problem, derivatives, fit

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Oscillation(Problem):
    """u' = 4π cos 2πx, u(0) = 1."""

    num_points: int = 1000
    domain = Box((0.0,), (1.5,))

    def conditions(self):
        return {
            "equation": Condition(self.equation, self.domain, self.num_points),
            "start": Condition(self.start, self.domain.face(0, "lower"), 1),
        }

    def equation(self, u, x):
        _, (first,) = derivatives(u, x, order=1)
        return first - 4 * jnp.pi * jnp.cos(2 * jnp.pi * x)

    def start(self, u, x):
        return u(x) - 1.0

    def exact(self, x):
        return 1 + 2 * jnp.sin(2 * jnp.pi * x)


# 20 points can be met at any α, up to its bound.
@pytest.mark.filterwarnings("ignore:at step .* the learning rate stands at the bound")
@pytest.mark.parametrize("momentum", [None, 0.8])
@pytest.mark.parametrize(("num_points", "bound"), [(1000, 1e-4), (20, 1e-2)])
def test_levenberg_marquardt_with_new_points_at_every_step(solve, network, num_points, bound, momentum):
    """fabiodimarco/torch-levenberg-marquardt#7 and tf-levenberg-marquardt#20: the loss jumps about."""

    def train():
        return solve(
            Oscillation(num_points),
            network(1, hidden=(16, 16)),
            sampling="uniform",
            resample_every=1,
            momentum=momentum,
            evaluate_every=1,  # the learning rate of every step
        )

    result = train()
    assert result.num_steps == 300
    assert result.final["rel_l2"] <= bound
    _, alpha = result.curve("learning_rate")
    assert np.nanmin(alpha) >= 1e-3  # no collapse by one bad draw
    for a, b in zip(jax.tree.leaves(result.params), jax.tree.leaves(train().params), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("num_points", [1000, 20])
def test_stored_gradients_are_not_those_of_other_points(network, seed, x64, num_points):
    """With ``store_grad`` each step is the same as without."""
    found = []
    for stored in (True, False):
        optimizer = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=stored)
        result = fit(
            Oscillation(num_points),
            network(1, hidden=(16, 16)),
            optimizer,
            num_steps=20,
            key=jax.random.key(seed),
            resample_every=1,
            evaluate_every=5,
            progress=False,
        )
        found.append([(row["loss"], row["rel_l2"]) for row in result.history])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
