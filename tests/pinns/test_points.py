import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

from pinns import Box, Faces, Poisson1D, unit_points

KEY = jax.random.key(0)
BOX = Box((-1.0, 2.0), (1.0, 3.0))


@pytest.mark.parametrize("method", ["uniform", "sobol", "grid"])
def test_points_lie_in_the_box(method, dtype):
    points = BOX.sample(KEY, 64, method, dtype)
    assert points.shape == (64, 2)
    assert points.dtype == dtype
    assert jnp.all((points >= jnp.array([[-1.0, 2.0]], dtype)) & (points <= jnp.array([[1.0, 3.0]], dtype)))
    np.testing.assert_allclose(points.mean(axis=0), [0.0, 2.5], atol=0.25)


def test_sobol_points_are_more_even_than_random_ones():
    spread = {
        m: qmc.discrepancy(np.asarray(unit_points(KEY, 256, 2, m, jnp.float32))) for m in ("uniform", "sobol")
    }
    assert spread["sobol"] < 0.2 * spread["uniform"]


@pytest.mark.parametrize("method", ["uniform", "sobol"])
def test_another_key_gives_other_points(method):
    points = [unit_points(jax.random.key(seed), 16, 2, method, jnp.float32) for seed in (0, 0, 1)]
    assert jnp.array_equal(points[0], points[1])
    assert not jnp.any(points[0] == points[2])


def test_grid_takes_the_centres_of_cells():
    points = unit_points(KEY, 9, 2, "grid", jnp.float32)
    np.testing.assert_allclose(sorted({float(v) for v in points[:, 0]}), [1 / 6, 0.5, 5 / 6], rtol=1e-6)
    assert len({tuple(map(float, p)) for p in points}) == 9


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


def test_faces_of_a_box_in_three_dimensions():
    box = Box((0.0, 0.0, 0.0), (1.0, 1.0, 2.0))
    points = np.asarray(box.boundary().sample(KEY, 500, "sobol", jnp.float32))
    at_end = np.isclose(points, 0) | np.isclose(points, [1, 1, 2])
    assert np.all(at_end.any(axis=1))
    start = np.asarray(box.face(2, "lower").sample(KEY, 50, "uniform", jnp.float32))
    assert np.all(start[:, 2] == 0)
    assert np.ptp(start[:, 0]) > 0.5


def test_boundary_of_an_interval_is_its_two_ends():
    points = Poisson1D().sample(KEY)
    np.testing.assert_array_equal(points["boundary"], [[0.0], [1.0]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: unit_points(KEY, 0, 1, "uniform", jnp.float32), "at least 1"),
        (lambda: unit_points(KEY, 5, 1, "halton", jnp.float32), "method must be one of"),
        (lambda: unit_points(KEY, 5, 2, "grid", jnp.float32), r"n\^2 points, e.g. 4"),
        (lambda: Box((0.0,), (0.0,)), "lower < upper"),
        (lambda: Box((0.0,), (1.0, 2.0)), "lower < upper"),
        (lambda: Faces(BOX, ()), "faces must be pairs"),
        (lambda: BOX.face(2, "lower"), "faces must be pairs"),
        (lambda: BOX.face(0, "left"), "faces must be pairs"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
