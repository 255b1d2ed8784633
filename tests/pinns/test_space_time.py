"""Domains of any form over an interval of time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import (
    MLP,
    Ball,
    Box,
    Condition,
    Difference,
    FixedPoints,
    Problem,
    SpaceTime,
    fit,
    fit_in_slabs,
    gradient,
    laplacian,
    plot_solution,
)

KEY = jax.random.key(0)
RING = Difference(Ball((0.0, 0.0), 2.0), Ball((0.0, 0.0), 1.0))
DOMAIN = SpaceTime(RING, (1.0, 3.0))


@pytest.mark.parametrize("method", ["uniform", "sobol"])
def test_points_are_spread_over_space_and_time(method):
    points = np.asarray(DOMAIN.sample(KEY, 2000, method, jnp.float32))
    radius, times = np.linalg.norm(points[:, :2], axis=1), points[:, 2]
    assert np.all((radius >= 1) & (radius <= 2) & (times >= 1) & (times <= 3))
    assert np.mean(radius**2) == pytest.approx(2.5, abs=0.05)  # uniform by area
    assert np.mean(times) == pytest.approx(2, abs=0.05)
    assert abs(np.corrcoef(times, points[:, 0])[0, 1]) < 0.07
    assert abs(np.corrcoef(times, radius)[0, 1]) < 0.07
    assert jax.vmap(DOMAIN.contains)(points).all()


def test_what_lies_outside():
    outside = jnp.array([[0.0, 0.5, 2.0], [1.5, 0.0, 0.9], [1.5, 0.0, 3.1], [2.5, 0.0, 2.0]])
    assert not jax.vmap(DOMAIN.contains)(outside).any()
    assert DOMAIN.contains(jnp.array([2, 0, 1]))  # whole numbers, on the boundary
    assert DOMAIN.lower == (-2.0, -2.0, 1.0)


@pytest.mark.long
def test_walls_and_faces():
    wall = DOMAIN.boundary()
    assert wall.measure == pytest.approx(2 * 6 * np.pi, rel=1e-3)
    inner = DOMAIN.during(RING.inner)
    points = inner.sample(KEY, 100, "sobol", jnp.float32)
    np.testing.assert_allclose(np.linalg.norm(points[:, :2], axis=1), 1, rtol=1e-6)
    normals = jax.vmap(inner.normal)(points)
    np.testing.assert_allclose(normals, jnp.concatenate([-points[:, :2], jnp.zeros((100, 1))], 1), atol=1e-6)
    for side, time in (("lower", 1.0), ("upper", 3.0)):
        np.testing.assert_allclose(DOMAIN.face(2, side).sample(KEY, 9, "sobol", jnp.float32)[:, 2], time)
    assert DOMAIN.face(-1, "lower") == DOMAIN.face(2, "lower") == SpaceTime(RING, (1, 3)).face(2, "lower")
    interval = SpaceTime(Box((0.0,), (1.0,)), (0.0, 1.0)).boundary().sample(KEY, 7, "sobol", jnp.float32)
    assert interval.shape == (7, 2)
    assert set(interval[:, 0].tolist()) == {0.0, 1.0}


def test_what_is_no_space_time_is_refused():
    with pytest.raises(ValueError, match="a later last one"):
        SpaceTime(RING, (1.0, 1.0))
    with pytest.raises(ValueError, match=r"domain.during\(region\)"):
        DOMAIN.face(0, "lower")
    with pytest.raises(ValueError, match="take 'sobol'"):
        DOMAIN.sample(KEY, 27, "grid", jnp.float32)
    with pytest.raises(ValueError, match="time is coordinate 2"):
        DOMAIN.between(0, 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Cooling(Problem):
    """u_t = Δu + f on a disk, with a flux through its rim: u = |x|² e^{−t}."""

    domain = SpaceTime(Ball((0.0, 0.0), 1.0), (0.0, 1.0))
    axis_names = ("x", "y", "t")

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 200),
            "flux": Condition(self.flux, self.domain.boundary(), 80),
            "initial": Condition(self.value, self.domain.face(2, "lower"), 60),
        }

    def pde(self, u, x):
        summed = laplacian(u, x, axes=(0, 1))[2]
        slope = gradient(u, x, axes=(2,))[1][0]
        return slope - summed + (jnp.sum(x[:2] ** 2) + 4) * jnp.exp(-x[2])

    def flux(self, u, x):
        first = gradient(u, x)[1][:, 0]
        return first @ self.domain.boundary().normal(x) - 2 * jnp.exp(-x[2])

    def value(self, u, x):
        return u(x) - self.exact(x)

    def exact(self, x):
        return jnp.sum(x[:2] ** 2, keepdims=True) * jnp.exp(-x[2])


@pytest.mark.slow
@pytest.mark.parametrize("slabs", [None, 2])
def test_heat_on_a_disk(x64, slabs):
    model = MLP(3, [10, 10], 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
    optimizer = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    options = {"num_steps": 40, "key": KEY, "sampling": "sobol", "progress": False, "evaluate_every": 20}
    if slabs:
        error = float(fit_in_slabs(Cooling(), model, optimizer, slabs=slabs, **options).errors().rel_l2)
    else:
        result = fit(Cooling(), model, optimizer, **options)
        error = result.final["rel_l2"]
        plot_solution(Cooling(), {"it": result.model})
    assert error < 1e-3


def test_given_points_of_space_are_all_taken_in_turn():
    """Fewer than are given are others for every key, and not the first ones."""
    given = np.arange(10.0).reshape(5, 2)
    drawn = lambda key, number: np.asarray(
        DOMAIN.during(FixedPoints(given)).sample(jax.random.key(key), number, "sobol", jnp.float32)
    )
    assert {x for key in range(12) for x in drawn(key, 2)[:, 0]} == set(given[:, 0])
    counts = np.unique(drawn(0, 12)[:, 0], return_counts=True)[1]
    assert sorted(counts) == [2, 2, 2, 3, 3]
    np.testing.assert_array_equal(drawn(0, 5)[:, :2], given)
    with pytest.raises(TypeError, match="points of space alone"):
        DOMAIN.during(FixedPoints(given, given[:, 0])).sample(KEY, 5, "sobol", jnp.float32)
