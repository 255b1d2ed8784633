"""Points of boundaries: spread by area, and only where the domain ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinns import Ball, Box, Difference, Poisson1D, SpaceTime, Sphere

KEY = jax.random.key(0)
BOX = Box((-1.0, 2.0), (1.0, 3.0))


@pytest.mark.long
def test_faces_of_a_box_in_three_dimensions():
    box = Box((0.0, 0.0, 0.0), (1.0, 1.0, 2.0))
    assert box.boundary().measure == pytest.approx(10.0)
    points = np.asarray(box.boundary().sample(KEY, 500, "sobol", jnp.float32))
    at_end = np.isclose(points, 0) | np.isclose(points, [1, 1, 2])
    assert np.all(at_end.any(axis=1))
    start = np.asarray(box.face(2, "lower").sample(KEY, 50, "uniform", jnp.float32))
    assert np.all(start[:, 2] == 0)
    assert np.ptp(start[:, 0]) > 0.5


def test_every_face_has_its_share_of_a_grid():
    """One coordinate of a common grid has four values, and the box six faces."""
    box = Box((0.0, 0.0, 0.0), (1.0, 1.0, 2.0))
    points = np.asarray(jax.jit(lambda: box.boundary().sample(KEY, 20, "grid", jnp.float32))())
    on_faces = np.stack([points == 0, points == [1, 1, 2]], axis=-1).sum(axis=0)  # centres of cells: no edges
    assert on_faces.sum() == len(points) == 20
    np.testing.assert_allclose(on_faces, [[3.8] * 2, [3.8] * 2, [2.4] * 2], atol=1)
    few = jax.eval_shape(lambda: box.boundary().sample(KEY, 4, "grid", jnp.float32))
    assert few.shape == (4, 3)


def test_grids_in_four_dimensions_are_of_numbers():
    """The middle of an odd grid has no direction."""
    for region, parameters in ((Ball((1.0,) * 4, 2.0), 5), (Sphere((1.0,) * 4, 2.0), 4)):
        draw = jax.jit(lambda r=region, n=3**parameters: r.sample(KEY, n, "grid", jnp.float32))
        points = np.asarray(draw())
        assert np.all(np.linalg.norm(points - 1, axis=1) < 2.00001)


def test_a_face_of_a_difference_has_no_points_in_the_hole():
    """A channel whose inlet a hole cuts."""
    channel = Difference(Box((0.0, 0.0), (4.0, 1.0)), Ball((0.0, 0.0), 0.5))
    inlet = channel.face(0, "lower")
    points = np.asarray(inlet.sample(KEY, 20, "sobol", jnp.float32))
    assert np.all(points[:, 0] == 0)
    assert points[:, 1].min() > 0.499
    assert inlet.measure == pytest.approx(0.5, rel=1e-2)
    np.testing.assert_array_equal(inlet.normal(jnp.array([0.0, 0.8])), [-1, 0])
    assert inlet == channel.face(0, "lower")


def test_boundary_of_an_interval_is_its_two_ends():
    points = Poisson1D().sample(KEY)
    np.testing.assert_array_equal(points["boundary"], [[0.0], [1.0]])
    np.testing.assert_array_equal(
        Ball((1.0,), 2.0).boundary().sample(KEY, 7, "grid", jnp.float32), [[-1], [3]]
    )


@pytest.mark.parametrize(("dim", "number"), [(2, 200), (3, 400), (5, 400)])
def test_points_of_a_sphere_are_uniform(dim, number):
    center = np.arange(1.0, dim + 1)
    sphere = Ball(tuple(center), 0.5).boundary()
    offsets = np.asarray(sphere.sample(KEY, number, "sobol", jnp.float32)) - center
    np.testing.assert_allclose(np.linalg.norm(offsets, axis=1), 0.5, rtol=1e-4)
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose((offsets**2).mean(axis=0), 0.25 / dim, atol=0.02)


def test_sizes_of_spheres():
    assert Sphere((0.0, 0.0), 2.0).measure == pytest.approx(4 * np.pi)
    assert Sphere((0.0,) * 3, 2.0).measure == pytest.approx(16 * np.pi)
    assert Sphere((0.0,), 2.0).measure == pytest.approx(2.0)


@pytest.mark.long
def test_boundaries_of_a_difference_leave_out_what_does_not_bound_it():
    notched = Difference(Box((0.0, 0.0), (2.0, 2.0)), Box((1.0, 1.0), (2.0, 2.0)))  # shares two edges
    for boundary, length in ((notched.outer, 6.0), (notched.inner, 2.0), (notched.boundary(), 8.0)):
        assert boundary.measure == pytest.approx(length, rel=2e-3)
    outer, inner = (
        np.asarray(b.sample(KEY, 300, "sobol", jnp.float32)) for b in (notched.outer, notched.inner)
    )
    assert not np.any((outer > 1.001).all(axis=1))
    assert np.all((inner[:, 0] == 1) | (inner[:, 1] == 1))
    both = np.asarray(notched.boundary().sample(KEY, 400, "uniform", jnp.float32))
    np.testing.assert_allclose(np.mean((both == 1).any(axis=1)), 0.25, atol=0.01)


@pytest.mark.long
def test_a_wall_that_is_a_small_part_of_a_large_circle_is_not_left_out():
    square = Box((0.0, 0.0), (1.0, 1.0))
    for radius in (400.0, 40_000.0):  # of the second no drawn point shows the wall
        curved = Difference(square, Ball((-radius, 0.5), radius + 0.2))
        with pytest.raises(ValueError, match="less than a thousandth bounds"):
            curved.boundary()
        with pytest.raises(ValueError, match="a Polygon along the same curve"):
            _ = curved.inner
    few = Difference(square, Ball((-100.0, 0.5), 100.2)).inner
    assert few.measure == pytest.approx(1.0, rel=0.02)
    # What has no wall of its own is left out as before: here a piece is taken away whole.
    apart = Difference(Difference(square, Box((0.4, -1.0), (0.6, 2.0))), Box((0.5, -1.0), (2.0, 2.0)))
    assert len(apart.boundary().parts) == 2


@pytest.mark.parametrize("method", ["uniform", "sobol"])
def test_boundary_points_are_spread_by_area(method):
    points = np.asarray(BOX.boundary().sample(KEY, 6000, method, jnp.float32))
    on = {side: np.isclose(points[:, axis], value) for (axis, side), value in
          {(0, "left"): -1.0, (0, "right"): 1.0, (1, "bottom"): 2.0, (1, "top"): 3.0}.items()}  # fmt: skip
    assert np.all(sum(on.values()) >= 1)
    shares = {side: mask.mean() for side, mask in on.items()}
    assert shares == pytest.approx({"left": 1 / 6, "right": 1 / 6, "bottom": 1 / 3, "top": 1 / 3}, abs=0.02)
    for side, axis in (("left", 1), ("top", 0)):  # and evenly along each face
        low, high = BOX.lower[axis], BOX.upper[axis]
        np.testing.assert_allclose(
            np.histogram(points[on[side], axis], 4, (low, high))[0] / on[side].sum(), 0.25, atol=0.05
        )


@pytest.mark.long
@pytest.mark.parametrize(("width", "radius"), [(4.0, 0.3), (4000.0, 0.1)])
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", id="single")])
def test_each_of_several_holes_has_its_own_normals(width, radius, dtype, x64):
    centers = width * np.array([[0.25, 0.25], [0.75, 0.4], [0.5, 0.8]])
    domain = Box((0.0, 0.0), (width, width))
    for center in centers:
        domain = Difference(domain, Ball(tuple(center), radius))
    angle = jnp.linspace(0.1, 6.2, 40)
    away = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    for boundary in (domain.inner, domain.boundary(), SpaceTime(domain, (0.0, 1.0)).boundary()):
        for center in centers:
            points = center[None] + radius * away
            if boundary not in (domain.inner, domain.boundary()):
                points = jnp.append(points, jnp.full((40, 1), 0.5), axis=1)
            normals = jax.jit(jax.vmap(boundary.normal))(points.astype(dtype))[:, :2]
            error = 1e-6 if dtype == "float64" else 1e-7 * width / radius + 1e-5
            np.testing.assert_allclose(normals, -away, atol=error)


@pytest.mark.parametrize("at", [0.0, 5000.0])
def test_a_hole_far_from_the_origin_has_its_walls_in_single_precision(at):
    corner = lambda x: (at + x, at + x)
    for hole, measure in (
        (Box(corner(0.25), corner(0.75)), 2.0),
        (Ball(corner(0.5), 0.25), np.pi / 2),
    ):
        domain = Difference(Box(corner(0.0), corner(1.0)), hole)
        assert domain.inner.measure == pytest.approx(measure, rel=0.02)
        assert domain.boundary().measure == pytest.approx(4 + measure, rel=0.02)


def test_a_narrow_gap_has_walls_all_round(x64):
    """A journal bearing: a clearance of 1e-3, nine tenths of it lost on one side."""
    gap = Difference(Ball((0.0, 0.0), 1.001), Ball((-0.0009, 0.0), 1.0))
    for wall, radius in ((gap.outer, 1.001), (gap.inner, 1.0)):
        points = np.asarray(wall.sample(KEY, 500, "sobol", jnp.float64))
        assert np.abs(np.arctan2(points[:, 1], points[:, 0])).max() > 3.13
        assert wall.measure == pytest.approx(2 * np.pi * radius)


def test_points_of_a_face_have_its_coordinate_exactly(dtype):
    corners = (-1.0, -1.3, 0.1), (1.0, 0.3, 0.7)
    points = Box(*corners).boundary().sample(jax.random.key(0), 300, "sobol", dtype)
    for axis in range(3):
        for corner in corners:
            on_face = points[:, axis] == corner[axis]
            near = jnp.abs(points[:, axis] - corner[axis]) < 1e-5
            assert int(on_face.sum()) > 10
            np.testing.assert_array_equal(on_face, near)
