"""Flows: Kovasznay's with three outputs, and round a cylinder, in a domain with a hole."""

import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

from pinns import (
    Ball,
    Box,
    Condition,
    Difference,
    Kovasznay,
    Problem,
    Sampling,
    evaluation_points,
    gradient,
    laplacian,
    plot_solution,
)

pytestmark = pytest.mark.slow


def test_velocity_and_pressure_each(solve, network):
    """lululxvi/deepxde#80 and #741: small losses and useless velocities."""
    result = solve(Kovasznay(), network(2, 3, hidden=(40, 40, 40)), rel_l2=1e-4)
    errors = result.final["rel_l2_by_output"]
    assert set(errors) == {"u", "v", "p"}
    assert max(errors.values()) <= 1e-3
    # All outputs are drawn, in three rows of solution, network and difference.
    figure = plot_solution(result.problem, {"ISGD": result.model})
    assert sum(bool(axes.images) for axes in figure.axes) >= 6
    plt.close(figure)


@dataclasses.dataclass(frozen=True)
class Cylinder(Problem):
    """The potential of the flow round a cylinder, ∂φ/∂n = 0 on it."""

    domain = Difference(Box((-3.0, -3.0), (3.0, 3.0)), Ball((0.0, 0.0), 1.0))

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 1000),
            "circle": Condition(self.flux, self.domain.inner, 200),
            "outside": Condition(self.values, self.domain.outer, 200),
        }

    def pde(self, u, x):
        return laplacian(u, x)[2]

    def flux(self, u, x):
        return self.domain.inner.normal(x) @ gradient(u, x)[1]

    def values(self, u, x):
        return u(x) - self.exact(x)

    def exact(self, x):
        return x[:1] * (1 + 1 / jnp.sum(x**2))


def test_flow_round_a_cylinder(solve, network, seed):
    """lululxvi/deepxde#49, #224, #303 and #905: an error of 0.1, holes without points, wrong normals."""
    problem = Cylinder()
    circle = problem.sample(jax.random.key(seed), method="sobol", dtype=jnp.float64)["circle"]
    np.testing.assert_allclose(jnp.linalg.norm(circle, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(problem.domain.inner.normal)(circle), -circle, atol=1e-12)
    result = solve(problem, network(2), rel_l2=1e-4)
    # The error over the points outside of the disk, and nowhere else.
    points = evaluation_points(problem, jnp.float64)
    assert jnp.all(jnp.linalg.norm(points, axis=1) >= 1 - 1e-9)
    exact, found = jax.vmap(problem.exact)(points), jax.vmap(result.model)(points)
    error = jnp.linalg.norm(found - exact) / jnp.linalg.norm(exact)
    assert result.final["rel_l2"] == pytest.approx(float(error), rel=1e-9)
    assert result.final["rel_l2"] <= 1e-3
    assert result.final["max_error"] <= 1e-2
    figure = plot_solution(problem, {"ISGD": result.model})
    images = [image for axes in figure.axes for image in axes.images]
    assert len(images) >= 2
    for image in images:
        left_out = np.ma.getmaskarray(np.ma.asarray(image.get_array()))
        assert left_out[50, 50]  # the centre of the disk
        assert not left_out[0, 0]
    plt.close(figure)


@dataclasses.dataclass(frozen=True)
class HotLid(Problem):
    """Laplace's equation in a square, u = 1 on top and 0 on the other sides: it jumps in two corners."""

    weighted: bool = False
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self):
        weight = self.weight if self.weighted else 1.0
        return {
            "pde": Condition(self.pde, self.domain, 900, weight=weight),
            "sides": Condition(self.sides, self.domain.boundary(), 240),
        }

    def pde(self, u, x):
        return laplacian(u, x)[2]

    def weight(self, x):
        """Nothing in the upper corners, where the mean square of Δu grows without bound with u's slope."""
        corner = jnp.array([jnp.round(x[0]), 1.0])
        return jnp.minimum(1.0, 10 * jnp.sum((x - corner) ** 2)) ** 2

    def sides(self, u, x):
        return u(x) - jnp.where(x[1] == 1.0, 1.0, 0.0)


@pytest.mark.parametrize("fresh", [False, True], ids=["given points", "fresh points"])
def test_hot_lid(solve, network, fresh):
    """lululxvi/deepxde#564: the loss cannot vanish; by symmetry the value at the centre is ¼."""
    sampling = Sampling(method="sobol", resample_every=1 if fresh else None)
    result = solve(HotLid(weighted=fresh), network(2, hidden=(20, 20)), sampling=sampling)
    # Given points can be satisfied: the network jumps between them.
    assert not fresh or result.final["loss"] >= 1e-4
    assert all(np.isfinite(row["loss"]) for row in result.history)
    assert abs(result.solution(jnp.array([0.5, 0.5]))[0] - 0.25) <= 0.01
    _, alpha = result.curve("learning_rate")
    assert np.nanmin(alpha) >= 1e-3
