"""Regions and samplers of a user, and a grid of more points than were asked for."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import (
    MLP,
    Ball,
    Box,
    Condition,
    Difference,
    Domain,
    FixedPoints,
    PeriodicHelmholtz2D,
    PeriodicMLP,
    Poisson2D,
    Problem,
    Sampling,
    Sphere,
    fit,
    gradient,
    unit_points,
)

KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True)
class Wall:
    """A circle with its normals, as a mesh gives them."""

    form: str

    def sample(self, key, num_points, method, dtype):
        angle = 2 * jnp.pi * unit_points(key, num_points, 1, method, dtype)
        normal = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=1)
        return {"named": {"x": 0.3 * normal, "normal": normal}, "pair": (0.3 * normal, normal)}[self.form]


@dataclasses.dataclass(frozen=True)
class Flux(Problem):
    form: str = "named"
    domain = Box((-1.0, -1.0), (1.0, 1.0))

    def conditions(self):
        return {"flux": Condition(self.flux, Wall(self.form), 20)}

    def flux(self, u, point):
        x, normal = (point["x"], point["normal"]) if self.form == "named" else point
        return gradient(u, x)[1][:, 0] @ normal - 1.0


def train(problem, dim=2, **options):
    model = MLP(dim, [8], 1, rngs=nnx.Rngs(0))
    return fit(problem, model, optax.adam(1e-2), num_steps=20, key=KEY, progress=False, **options)


@pytest.mark.parametrize("form", ["named", "pair"])
def test_a_region_may_give_any_arrays_of_a_point(form):
    result = train(Flux(form))
    assert result.final["loss"] < result.history[0]["loss"]


def test_an_error_in_a_residual_names_what_its_region_gives():
    class Wrong(Flux):
        def flux(self, u, point):
            return u(point)

    with pytest.raises(TypeError, match="matmul") as caught:
        train(Wrong("pair"))
    assert "what its region has for one point, of shapes ((2,), (2,))" in caught.value.__notes__[0]


def test_corners_and_centres_may_be_lists_or_arrays():
    listed = Difference(Box([-3.0, -3.0], np.array([3.0, 3.0])), Ball(jnp.zeros(2), 1.0))
    assert listed == Difference(Box((-3.0, -3.0), (3.0, 3.0)), Ball((0.0, 0.0), 1.0))
    assert listed.sample(KEY, 10, "sobol", jnp.float32).shape == (10, 2)
    assert hash(Sphere([0, 0], 1)) == hash(Sphere((0, 0), 1))


def strips(key, num_points, dim, dtype):
    """One point in each of num_points strips across the first coordinate, in their order."""
    points = jax.random.uniform(key, (num_points, dim), dtype)
    return points.at[:, 0].set((jnp.arange(num_points) + points[:, 0]) / num_points)


def test_ordered_points_are_not_cut_off_at_the_end():
    domain = Difference(Box((0.0, 0.0), (1.0, 1.0)), Ball((0.5, 0.5), 0.2))
    ends = [float(domain.sample(jax.random.key(i), 100, strips, jnp.float32)[:, 0].max()) for i in range(8)]
    assert max(ends) > 0.97  # the first hundred of those accepted end below 0.9


@pytest.mark.long
def test_no_part_of_a_region_is_cut_off():
    ring = Difference(Ball((0.0, 1.0), 0.9), Ball((0.0, 1.0), 0.5))
    walls = Difference(Box((0.0, 0.0), (2.0, 2.0)), ring).inner  # of half a ring: two half circles
    points = [walls.sample(jax.random.key(i), 40, "sobol", jnp.float32) for i in range(8)]
    distances = np.linalg.norm(np.concatenate(points) - [0.0, 1.0], axis=1)
    np.testing.assert_allclose(np.mean(distances < 0.7), 5 / 14, atol=0.04)


@pytest.mark.long
def test_grids_of_balls_in_four_dimensions():
    shell = Difference(Ball((0.0,) * 4, 1.0), Ball((0.0,) * 4, 0.5))
    points = np.asarray(shell.sample(KEY, 20, "grid", jnp.float32))
    assert points.shape == (20, 4)
    assert np.all(np.linalg.norm(points, axis=1) >= 0.5)


@pytest.mark.parametrize("width", [12, 13, 14])
@pytest.mark.parametrize("num_points", ["auto", None])
def test_a_grid_has_as_many_points_as_a_network_needs(num_points, width):
    problem = PeriodicHelmholtz2D(num_points=100)
    model = PeriodicMLP((2.0, 2.0), [width] * 2, 1, rngs=nnx.Rngs(0))
    result = fit(
        problem, model, optax.sgd(0.0), num_steps=1, key=KEY, progress=False,
        sampling=Sampling(method="grid", num_points=num_points),
    )  # fmt: skip
    number = result.loss.blocks[0].num_points
    parameters = sum(leaf.size for leaf in jax.tree.leaves(result.params))
    assert number == 100 if num_points is None else 2 * parameters <= number == round(number**0.5) ** 2


def test_of_a_grid_each_region_is_enlarged_in_its_own_dimension():
    result = train(
        Poisson2D(num_points=25, num_boundary_points=8), sampling=Sampling(method="grid", num_points="auto")
    )
    inside, boundary = (block.num_points for block in result.loss.blocks)
    assert inside >= 50
    assert round(inside**0.5) ** 2 == inside
    assert boundary % 8 == 0


def test_given_points_stay_as_many_beside_a_grid():
    @dataclasses.dataclass(frozen=True)
    class Data(Flux):
        def conditions(self):
            data = Condition(lambda u, point: u(point["x"]) - point["value"], POINTS, 3)
            return {"a": Condition(self.inside, self.domain, 16), "data": data}

        def inside(self, u, x):
            return u(x) - 1.0

    result = train(Data(), sampling=Sampling(method="grid", num_points="auto"))
    assert [block.num_points for block in result.loss.blocks][1] == 3


POINTS = FixedPoints(np.eye(3, 2), np.ones(3))


@dataclasses.dataclass(frozen=True)
class _OwnDisk(Domain):
    """A disk whose radius is written in the file, as in the cell of a notebook."""

    radius = 0.5
    lower, upper = (-1.0, -1.0), (1.0, 1.0)

    def contains(self, x):
        return jnp.sum(x**2) < self.radius**2

    def sample(self, key, num_points, method, dtype):
        return unit_points(key, num_points, 2, method, dtype)

    def boundary(self):
        return Sphere((0.0, 0.0), self.radius)


@pytest.mark.long
def test_a_hole_of_ones_own_may_change(monkeypatch):
    """In a notebook another cell is run again: the object is the same, where its points lie is not."""
    square = Difference(Box((-1.0, -1.0), (1.0, 1.0)), _OwnDisk())
    for radius in (0.5, 0.8):
        monkeypatch.setattr(_OwnDisk, "radius", radius)
        assert square.share == pytest.approx(1 - jnp.pi * radius**2 / 4, abs=2e-3)
        points = square.sample(KEY, 100, "sobol", jnp.float32)
        assert jnp.linalg.norm(points, axis=1).min() >= radius


@pytest.mark.long
def test_a_hole_of_ones_own_is_looked_at_once_however_deep_it_lies(monkeypatch):
    seen = []
    sample = _OwnDisk.sample
    monkeypatch.setattr(_OwnDisk, "sample", lambda self, *args: seen.append(args) or sample(self, *args))
    plate = Difference(Box((-1.0, -1.0), (1.0, 1.0)), _OwnDisk())
    for k in range(4):
        plate = Difference(plate, Ball((0.9, -0.9 + 0.6 * k), 0.05))
    share = plate.share  # kept from now on
    seen.clear()
    assert plate.share == share
    assert len(seen) == 1


class _OnlyNames(_OwnDisk):
    """Which knows samplers by their names alone."""

    def sample(self, key, num_points, method, dtype):
        return super().sample(key, num_points, {"uniform": "uniform", "sobol": "sobol"}[method], dtype)


def test_a_domain_that_knows_names_of_samplers_alone_may_have_a_hole():
    disk = Difference(_OnlyNames(), Ball((0.0, 0.0), 0.2))
    assert jnp.linalg.norm(disk.sample(KEY, 20, "uniform", jnp.float32), axis=1).min() >= 0.2
