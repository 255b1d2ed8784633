"""Samplers and regions of a user that draw by NumPy, whose points a compiled training holds as constants."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import qmc

from pinns import AdaptiveSampling, Box, Condition, FitWarning, Problem, Sampling, SpaceTime, fit
from pinns._drawn import check_drawn

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)


def latin(key, num_points, dim, dtype):
    return jnp.asarray(qmc.LatinHypercube(dim, rng=RANDOM).random(num_points), dtype)


def seeded(key, num_points, dim, dtype):
    """The same, by a callback whose seed comes from the key."""
    draw = lambda seed: qmc.LatinHypercube(dim, rng=np.random.default_rng(seed)).random(num_points)
    form = jax.ShapeDtypeStruct((num_points, dim), dtype)
    return jax.pure_callback(lambda seed: draw(int(seed)).astype(dtype), form, jax.random.bits(key))


@dataclasses.dataclass(frozen=True)
class Ring:
    """Radii from the key, angles from NumPy."""

    by_numpy: bool = True

    def sample(self, key, num_points, method, dtype):
        radius = jax.random.uniform(key, (num_points, 1), dtype)
        angle = RANDOM.uniform(0.0, 6.0, (num_points, 1)) if self.by_numpy else np.ones((num_points, 1))
        return radius * jnp.asarray(np.concatenate([np.cos(angle), np.sin(angle)], axis=1), dtype)


@dataclasses.dataclass(frozen=True)
class Plane(Problem):
    region: object
    domain: object = Box((-1.0, -1.0), (1.0, 1.0))

    def conditions(self):
        return {"pde": Condition(self.pde, self.region, 16)}

    def pde(self, u, x):
        return u(x)


IN_BOX = Plane(Box((-1.0, -1.0), (1.0, 1.0)))
TIMES = SpaceTime(Box((-1.0, -1.0), (1.0, 1.0)), (0.0, 1.0))


@pytest.mark.parametrize(
    ("problem", "method", "named"),
    [(IN_BOX, latin, "method=<function latin"), (Plane(Ring()), "sobol", r"Ring\(by_numpy=True\)")],
)
def test_points_of_numpy_are_not_drawn_anew(make_model, problem, method, named):
    for sampling in (Sampling(method=method, resample_every=1), AdaptiveSampling(method=method)):
        with pytest.raises(ValueError, match=f"'pde' are drawn outside of JAX.*{named}.*jax.pure_callback"):
            fit(problem, make_model((4,), dim=2), optax.sgd(0.1), num_steps=1, key=KEY, sampling=sampling)


def looked_at(problem, **options):
    check_drawn(problem, Sampling(**options), {"pde": 16}, KEY, jnp.float32)


def test_points_of_numpy_that_stay_are_told():
    for problem in (Plane(Ring()), Plane(TIMES.during(Ring()), TIMES)):
        with pytest.warns(FitWarning, match="key does not determine them, and fresh_loss sees the same"):
            looked_at(problem)


def test_what_the_key_determines_is_drawn_anew():
    looked_at(Plane(Ring(by_numpy=False)), resample_every=1)
    looked_at(IN_BOX, method=seeded, resample_every=1)
    draw = jax.jit(lambda key: IN_BOX.sample(key, method=seeded)["pde"])
    first, second = draw(KEY), draw(jax.random.key(1))
    assert first.shape == (16, 2)
    assert not np.any(first == second)
