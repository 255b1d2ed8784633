"""Points of regions, what lies in them, and their normals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinns import (
    Ball,
    Box,
    Difference,
    Domain,
    Edges,
    Faces,
    FixedPoints,
    Polygon,
    Sphere,
)

KEY = jax.random.key(0)
BOX = Box((-1.0, 2.0), (1.0, 3.0))
ELL = Polygon(((0.0, 0.0), (0.0, 2.0), (1.0, 2.0), (1.0, 1.0), (2.0, 1.0), (2.0, 0.0)))  # clockwise
HOLED = Difference(Box((-3.0, -3.0), (3.0, 3.0)), Ball((0.0, 0.0), 1.0))

TWO = Difference(HOLED, Ball((2.0, 2.0), 0.5))


@dataclasses.dataclass(frozen=True)
class Expected:
    """Mean and mean square of the coordinates, by integration."""

    domain: Domain
    mean: tuple[float, ...]
    square: tuple[float, ...]


# Of HOLED: (6·18 − π/4)/(36 − π).
DOMAINS = {
    "interval": Expected(Ball((1.0,), 2.0), (1.0,), (1 + 4 / 3,)),
    "disk": Expected(Ball((1.0, 0.0), 2.0), (1.0, 0.0), (2.0, 1.0)),
    "ball": Expected(Ball((0.0, 0.0, 1.0), 1.0), (0.0, 0.0, 1.0), (0.2, 0.2, 1.2)),
    "ball in 5-D": Expected(Ball((0.0,) * 5, 1.0), (0.0,) * 5, (1 / 7,) * 5),
    "ell": Expected(ELL, (5 / 6, 5 / 6), (1.0, 1.0)),
    "dart": Expected(Polygon(((0.0, 0.0), (2.0, 0.0), (0.5, 0.5), (0.0, 2.0))), (0.5, 0.5), ()),
    "holed": Expected(HOLED, (0.0, 0.0), ((108 - np.pi / 4) / (36 - np.pi),) * 2),
}


@pytest.mark.parametrize("method", ["uniform", "sobol"])
@pytest.mark.parametrize("name", DOMAINS)
def test_points_are_uniform_and_inside(name, method, dtype):
    case = DOMAINS[name]
    number = 4000
    points = np.asarray(jax.jit(lambda key: case.domain.sample(key, number, method, dtype))(KEY))
    assert points.shape == (number, case.domain.dim)
    assert points.dtype == dtype
    inside = Ball(case.domain.center, case.domain.radius * 1.00001) if "ball" in name else case.domain
    assert np.all(jax.jit(jax.vmap(inside.contains))(jnp.asarray(points)))
    assert np.all(
        (points >= np.array(case.domain.lower) - 1e-6) & (points <= np.array(case.domain.upper) + 1e-6)
    )
    tolerance = 5 / np.sqrt(number) * points.std(axis=0) * (1 if method == "uniform" else 0.5)
    assert np.all(np.abs(points.mean(axis=0) - case.mean) < tolerance)
    if case.square:
        squares = points**2
        tolerance = 5 / np.sqrt(number) * squares.std(axis=0)
        assert np.all(np.abs(squares.mean(axis=0) - case.square) < tolerance)


@pytest.mark.parametrize("method", ["uniform", "sobol"])
@pytest.mark.parametrize("domain", [ELL, HOLED], ids=["ell", "holed"])
def test_every_cell_has_its_share_of_points(domain, method):
    points = np.asarray(domain.sample(KEY, 8000, method, jnp.float32))
    bounds = list(zip(domain.lower, domain.upper, strict=True))
    counts = np.histogram2d(*points.T, bins=6, range=bounds)[0] / len(points)
    fine = np.asarray(domain.grid(601, jnp.float32))
    expected = np.histogram2d(*fine.T, bins=6, range=bounds)[0] / len(fine)
    assert np.abs(counts - expected).max() < 0.01  # a cell's deviation is 0.002
    assert np.all(counts[expected == 0] == 0)


@pytest.mark.parametrize("method", ["uniform", "sobol", "grid"])
def test_points_lie_in_the_box(method, dtype):
    points = BOX.sample(KEY, 64, method, dtype)
    assert points.shape == (64, 2)
    assert points.dtype == dtype
    assert jnp.all((points >= jnp.array([[-1.0, 2.0]], dtype)) & (points <= jnp.array([[1.0, 3.0]], dtype)))
    np.testing.assert_allclose(points.mean(axis=0), [0.0, 2.5], atol=0.25)


BOUNDARIES = {
    "box": (BOX, BOX.boundary()),
    "disk": (Ball((1.0, 2.0), 0.5), Ball((1.0, 2.0), 0.5).boundary()),
    "ball": (Ball((1.0, 2.0, 0.0), 0.5), Ball((1.0, 2.0, 0.0), 0.5).boundary()),
    "ell": (ELL, ELL.boundary()),
    "counter-clockwise": (Polygon(ELL.vertices[::-1]), Polygon(ELL.vertices[::-1]).boundary()),
    "outer": (HOLED, HOLED.outer),
    "inner": (HOLED, HOLED.inner),
    "both": (HOLED, HOLED.boundary()),
    "two holes": (TWO, TWO.boundary()),
}


@pytest.mark.parametrize("name", BOUNDARIES)
def test_normals_point_out_of_the_domain(name):
    domain, boundary = BOUNDARIES[name]
    points = boundary.sample(KEY, 64, "uniform", jnp.float32)
    normals = jax.jit(jax.vmap(boundary.normal))(points)
    np.testing.assert_allclose(jnp.linalg.norm(normals, axis=1), 1, rtol=1e-5)
    contains = jax.vmap(domain.contains)
    assert jnp.all(contains(points - 1e-3 * normals))
    assert not jnp.any(contains(points + 1e-3 * normals))


def test_grids_hold_what_lies_inside_and_the_boundary():
    assert len(BOX.grid(5, jnp.float32)) == 25
    grid = np.asarray(Ball((0.0, 0.0), 1.0).grid(5, jnp.float32))
    assert {tuple(point) for point in grid.tolist()} == {
        (x, y) for x in (-1, -0.5, 0, 0.5, 1) for y in (-1, -0.5, 0, 0.5, 1) if x * x + y * y <= 1
    }
    assert len(ELL.grid(5, jnp.float32)) == 25 - 4
    assert len(HOLED.grid(7, jnp.float32)) == 49 - 5
    with pytest.raises(ValueError, match="none of the 4 points"):
        Ball((0.0, 0.0), 1.0).grid(2, jnp.float32)


@pytest.mark.parametrize(
    "domain",
    [ELL, HOLED, HOLED.outer, HOLED.inner, HOLED.boundary()],
    ids=["ell", "holed", "outer", "inner", "boundary"],
)
def test_a_grid_is_spread_over_all_of_it(domain):
    points = np.asarray(domain.sample(KEY, 144, "grid", jnp.float32))
    assert points.shape == (144, 2)
    again = domain.sample(jax.random.key(1), 144, "grid", jnp.float32)
    assert np.array_equal(points, again)
    center = points.mean(axis=0)
    expected = np.asarray(domain.sample(KEY, 4000, "sobol", jnp.float32))
    np.testing.assert_allclose(center, expected.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(points.std(axis=0), expected.std(axis=0), rtol=0.1)


@pytest.mark.long
@pytest.mark.parametrize(
    "method", ["uniform", *(pytest.param(m, marks=pytest.mark.slow) for m in ("sobol", "grid"))]
)
def test_what_is_traced_is_what_is_not(method):
    regions = (HOLED, HOLED.inner, HOLED.outer, HOLED.boundary(), ELL, ELL.boundary(), Ball((0.0, 0.0), 1.0))
    sample = lambda key: [region.sample(key, 49, method, jnp.float32) for region in regions]
    for one, other in zip(jax.jit(sample)(KEY), sample(KEY), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_too_few_candidates_are_drawn_further():
    """A sampler whose candidates all fall into the hole: none of them is taken."""
    middle = lambda key, num_points, dim, dtype: jnp.full((num_points, dim), 0.5, dtype)
    points = jax.jit(lambda key: HOLED.sample(key, 300, middle, jnp.float32))(KEY)
    assert jnp.all(jnp.linalg.norm(points, axis=1) > 1)
    assert len(jnp.unique(points[:, 0])) == 300
    batched = jax.vmap(lambda key: HOLED.sample(key, 30, middle, jnp.float32))(jax.random.split(KEY, 3))
    assert jnp.all(jnp.linalg.norm(batched, axis=-1) > 1)


def test_most_of_a_domain_may_be_hole():
    ring = Difference(Ball((0.0, 0.0), 1.0), Ball((0.0, 0.0), 0.99))
    assert ring.share == pytest.approx(0.0199, abs=0.002)
    radius = jnp.linalg.norm(ring.sample(KEY, 500, "uniform", jnp.float32), axis=1)
    assert jnp.all((radius > 0.99) & (radius < 1.00001))
    assert len(jnp.unique(radius)) > 490


@pytest.mark.long
def test_several_holes_and_one_dimension():
    two = TWO
    points = np.asarray(two.sample(KEY, 500, "sobol", jnp.float32))
    assert np.linalg.norm(points, axis=1).min() > 1
    assert np.linalg.norm(points - 2, axis=1).min() > 0.5
    assert two.boundary().measure == pytest.approx(24 + 3 * np.pi, rel=1e-3)
    assert two.outer.measure == pytest.approx(24, rel=1e-3)
    assert two.inner.measure == pytest.approx(3 * np.pi, rel=1e-3)
    far = np.asarray(two.outer.sample(KEY, 100, "sobol", jnp.float32))
    assert np.abs(far).max(axis=1).min() == pytest.approx(3)
    line = Difference(Box((0.0,), (3.0,)), Box((1.0,), (2.0,)))
    points = np.asarray(line.sample(KEY, 100, "uniform", jnp.float32))
    assert not np.any((points > 1) & (points < 2))
    ends = jax.jit(lambda: line.boundary().sample(KEY, 9, "uniform", jnp.float32))()
    np.testing.assert_allclose(np.sort(ends[:, 0]), [0, 1, 2, 3])
    half = Difference(Box((0.0,), (3.0,)), Box((1.0,), (3.0,)))
    np.testing.assert_allclose(half.boundary().sample(KEY, 9, "grid", jnp.float32), [[0.0], [1.0]])


def test_regions_are_equal_by_content():
    same = Difference(Box((-3.0, -3.0), (3.0, 3.0)), Ball((0.0, 0.0), 1.0))
    assert same == HOLED
    assert hash(same) == hash(HOLED)
    assert same.inner == HOLED.inner != HOLED.outer
    assert Difference(Box((-3.0, -3.0), (3.0, 3.0)), Ball((0.0, 0.0), 1.1)) != HOLED
    assert Polygon(tuple(map(tuple, np.array(ELL.vertices)))) == ELL


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box((0.0,), (0.0,)), "lower < upper"),
        (lambda: Box((0.0,), (1.0, 2.0)), "lower < upper"),
        (lambda: Faces(BOX, ()), "faces must be pairs"),
        (lambda: BOX.face(2, "lower"), "faces must be pairs"),
        (lambda: BOX.face(0, "left"), "faces must be pairs"),
        (lambda: Ball((0.0, 0.0), 0.0), "radius > 0"),
        (lambda: Sphere((), 1.0), "a centre"),
        (lambda: Difference(BOX, Ball((0.0, 2.5), 9.0)), "less than a thousandth"),
        (lambda: Difference(BOX, Ball((0.0,), 1.0)), "same dimension"),
        (lambda: Difference(BOX, Ball((9.0, 9.0), 1.0)).inner, "does not bound"),
        (lambda: HOLED.boundary().sample(KEY, 1, "uniform", jnp.float32), "2 boundaries need"),
        (lambda: Polygon(((0.0, 0.0), (1.0, 0.0))), "three vertices"),
        (lambda: Polygon(((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0))), "must not cross"),
        (lambda: Polygon(((0.0, 0.0), (1.0, 0.0), (2.0, 0.0))), "must not cross"),
        (lambda: Polygon(((0.0, 0.0), (2.0, 0.0), (1.0, 0.0), (1.0, 1.0))), "must not cross"),
        (lambda: Edges(ELL, (6,)), "indices from 0 to 5"),
        (lambda: FixedPoints(np.zeros((0, 2))), "finite points"),
        (lambda: FixedPoints([[0.0]], [np.nan]), "one finite value"),
        (lambda: FixedPoints([[0.0], [1.0]], [1.0]), "one finite value"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.long
def test_the_boundary_of_a_difference_far_from_the_origin_has_its_length(x64):
    near, far = (
        Difference(Box((x, 0.0), (x + 1, 1.0)), Ball((x + 0.5, 0.5), 0.25)).boundary().measure
        for x in (0.0, 20_000.0)
    )
    assert abs(far - near) < 0.01 * near
