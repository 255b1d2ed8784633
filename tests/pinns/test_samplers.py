import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import qmc

from pinns import Box, Sampling, samplers, unit_points

KEY = jax.random.key(0)
BOX = Box((-1.0, 2.0), (1.0, 3.0))


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


@pytest.mark.parametrize("name", ["uniform", "sobol", "grid"])
def test_a_sampler_is_its_name(name, dtype):
    points = [unit_points(KEY, 16, 2, method, dtype) for method in (name, getattr(samplers, name)())]
    assert points[0].dtype == dtype
    assert jnp.array_equal(*points)
    assert Sampling(method=getattr(samplers, name)()) == Sampling(method=getattr(samplers, name)())


def corner(key, num_points, dim, dtype):
    """A sampler of one's own: points near the lower corner."""
    return jax.random.uniform(key, (num_points, dim), dtype) / 10


def test_a_sampler_may_be_a_function(train):
    points = BOX.sample(KEY, 50, corner, jnp.float32)
    assert jnp.all(points < jnp.array([[-0.8, 2.1]]))
    assert jnp.ptp(points[:, 0]) > 0.1
    result = train(optax.adam(1e-3), 2, sampling=corner)
    [pde] = [block for block in result.loss.blocks if block.name == "pde"]
    assert jnp.all(pde.points <= 0.1)


def ends(key, num_points, dim, dtype):
    """A sampler of one's own that gives the same points for every key."""
    return jnp.linspace(0.0, 1.0, num_points, dtype=dtype)[:, None] ** jnp.ones((1, dim), dtype)


@pytest.mark.parametrize("method", ["grid", samplers.grid(), ends, jax.jit(ends, static_argnums=(1, 2, 3))])
def test_the_fresh_loss_of_a_sampler_that_ignores_its_key_is_of_other_points(train, method):
    row = train(optax.adam(1e-3), 2, sampling=method).history[0]
    assert row["fresh_losses"]["pde"] != row["losses"]["pde"]


def test_points_that_cannot_be_drawn_anew_are_refused(train):
    with pytest.raises(ValueError, match=r"same points every time.*resample_every=3 changes nothing"):
        train(optax.adam(1e-3), 6, sampling="grid", resample_every=3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: unit_points(KEY, 0, 1, "uniform", jnp.float32), ValueError, "at least 1"),
        (lambda: unit_points(KEY, 5, 1, "halton", jnp.float32), ValueError, "method must be one of"),
        (lambda: unit_points(KEY, 5, 2, "grid", jnp.float32), ValueError, r"n\^2 points, e.g. 4"),
        (lambda: unit_points(KEY, 5, 2, 3, jnp.float32), TypeError, "a name or a function"),
        (lambda: unit_points(KEY, 5, 2, lambda *_: jnp.zeros(5), jnp.float32), ValueError, r"shape \(5, 2\)"),
        (lambda: Sampling(method="halton"), ValueError, "method must be one of"),
        (lambda: Sampling(method=3), TypeError, "a name or a function"),
    ],
)
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
