"""Polygons: their triangles, their edges, and vertices on a straight line."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinns import Domain, Polygon, Problem, evaluation_points

KEY = jax.random.key(0)


@pytest.mark.parametrize("seed", range(5))
def test_triangles_of_a_star_fill_it(seed):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 17))
    radii = rng.uniform(0.2, 1.0, 17)
    corners = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1) + np.array([50.0, -20.0])
    star = Polygon(tuple(map(tuple, corners.tolist())))
    assert len(star.triangles) == 15
    parts = corners[np.array(star.triangles)]
    first, second = parts[:, 1] - parts[:, 0], parts[:, 2] - parts[:, 0]
    areas = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    assert areas.min() > 0
    assert areas.sum() == pytest.approx(star.area)
    middles = parts.mean(axis=1)
    assert np.all(jax.vmap(star.contains)(jnp.asarray(middles)))


def test_a_straight_vertex_is_allowed():
    square = Polygon(((0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.0, 2.0), (1.0, 2.0), (0.0, 2.0), (0.0, 1.0)))
    assert square.area == 4
    np.testing.assert_allclose(square.sample(KEY, 2000, "sobol", jnp.float32).mean(axis=0), 1, atol=0.02)


def test_points_of_edges_are_spread_by_length():
    triangle = Polygon(((0.0, 0.0), (3.0, 0.0), (0.0, 4.0)))
    assert triangle.boundary().measure == 12
    points = np.asarray(triangle.boundary().sample(KEY, 2400, "sobol", jnp.float32))
    bottom, left = np.isclose(points[:, 1], 0, atol=1e-5), np.isclose(points[:, 0], 0, atol=1e-5)
    np.testing.assert_allclose([bottom.mean(), left.mean()], [0.25, 1 / 3], atol=0.01)
    np.testing.assert_allclose(points[bottom, 0].mean(), 1.5, atol=0.02)
    hypotenuse = points[~bottom & ~left]
    np.testing.assert_allclose(hypotenuse @ [4, 3], 12, rtol=1e-5)
    assert np.all(triangle.edge(0).sample(KEY, 9, "uniform", jnp.float32)[:, 1] == 0)


@dataclasses.dataclass(frozen=True)
class On(Problem):
    """Nothing but a domain."""

    domain: Domain


class BetweenLines(Polygon):
    """A polygon of whose grid no point is inside."""

    def contains(self, x):
        return super().contains(x) & (jnp.abs(x[0] - 0.505) < 1e-3)


def test_a_thin_domain_has_points_of_evaluation():
    corners = ((0.0, 0.003), (0.97, 0.6), (1.0, 0.6181), (0.97, 0.60004))  # two points of the grid
    for strip in (Polygon(corners), BetweenLines(corners)):
        points = np.asarray(evaluation_points(On(strip), jnp.float32))
        assert points.shape == (10_000, 2)
        assert np.ptp(points[:, 0]) > 0.9
