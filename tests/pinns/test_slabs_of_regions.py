"""Regions that do not follow a slab of time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import MLP, Box, Condition, Faces, Problem, fit_in_slabs
from pinns._closures import Closures
from pinns._slabs_regions import check_regions, unmoved

BOX = Box((0.0, 0.0), (1.0, 4.0))
WALLS = ((0, "lower"), (0, "upper"))


class At:
    """A region of a user's, without equality, at one time."""

    def __init__(self, time):
        self.time = time

    def sample(self, key, num_points, method, dtype):
        x = jax.random.uniform(key, (num_points,), dtype)
        return jnp.stack([x, jnp.full_like(x, self.time)], axis=1)


@dataclasses.dataclass(frozen=True)
class Heat(Problem):
    """With walls and a start that a subclass may give elsewhere."""

    domain = BOX
    axis_names = ("x", "t")

    def conditions(self):
        value = lambda u, x: u(x)
        named = {"pde": self.domain, "walls": self.walls(), "start": self.start()}
        return {name: Condition(value, region, 4) for name, region in named.items()}

    def walls(self):
        return Faces(self.domain, WALLS)

    def start(self):
        return At(self.domain.lower[1])


class Still(Heat):
    def walls(self):
        return Faces(BOX, WALLS)


class Begun(Heat):
    def start(self):
        return At(0.0)


class Remembered(Heat):
    """A history before time begins is the same in all slabs, as it should be."""

    def walls(self):
        return Box((0.0, -0.4), (1.0, 0.0))


@dataclasses.dataclass(frozen=True)
class Sensors:
    """A region that holds an array, which dataclasses cannot compare."""

    x: np.ndarray

    def sample(self, key, num_points, method, dtype):
        return jnp.asarray(self.x, dtype)


class Measured(Heat):
    """Sensors in the walls' place, and a pulse in the first times alone."""

    def walls(self):
        return Sensors(np.array([[0.5, t] for t in (self.domain.lower[1], self.domain.upper[1], 0.1, 0.2)]))

    def conditions(self):
        pulse = {"pulse": Condition(lambda u, x: u(x) - 1, self.domain, 4)}
        return super().conditions() | (pulse if self.domain.lower[1] == 0 else {})


@pytest.mark.parametrize("slabs", [2, 4])
def test_regions_that_stay_in_part_are_refused(slabs):
    model = MLP(2, [4], 1, rngs=nnx.Rngs(0))
    options = {"slabs": slabs, "num_steps": 1, "key": jax.random.key(0), "initial": ["start"]}
    for problem, name in ((Still(), "walls"), (Begun(), "start")):
        with pytest.raises(ValueError, match=rf"'{name}' .*from self\.domain"):
            fit_in_slabs(problem, model, optax.sgd(0.1), **options)


def test_regions_that_follow_and_histories_are_not():
    for problem, same in ((Heat(), set()), (Remembered(), {"walls"}), (Measured(), set())):
        edges = (0.0, 1.0, 2.5, 4.0)
        assert unmoved(problem, 1, edges) == same
        check_regions(problem, 1, ["start"], edges, same, Closures())
