"""Coordinates as a network sees them, and what is done to them there."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import (
    MLP,
    Box,
    Chain,
    Condition,
    FitWarning,
    FixedPoints,
    FourierFeatures,
    ModifiedMLP,
    Normalize,
    OscillatorInverse,
    PeriodicEmbedding,
    Poisson2D,
    Problem,
    Robertson,
    Scaled,
    fit,
    fit_in_slabs,
    plot_solution,
    scaled,
)
from pinns.problems import LorenzInverse

KEY = jax.random.key(0)
SGD = optax.sgd(0.0)


@dataclasses.dataclass(frozen=True)
class Long(Problem):
    """A coordinate of large numbers beside one of small ones."""

    domain = Box((0.0, 0.0), (6000.0, 1.0))

    def conditions(self):
        return {"a": Condition(self.residual, self.domain, 12)}

    def residual(self, u, x):
        return u(x) - 1.0


def said(problem, model, **options):
    """What a training of one step warns of the coordinates."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        fit(problem, model, SGD, num_steps=1, key=KEY, progress=False, fresh_loss=False, **options)
    return [w for w in record if issubclass(w.category, FitWarning) and "saturate" in str(w.message)]


def network(embedding=None, dim=2):
    return MLP(dim, [6], 1, embedding=embedding, rngs=nnx.Rngs(0))


@pytest.mark.long
def test_large_coordinates_are_told_where_a_network_sees_them():
    assert said(Long(), network())
    assert not said(Long(), network(Normalize(Long.domain.lower, Long.domain.upper)))
    assert not said(Long(), network(PeriodicEmbedding((6000.0, None))))
    assert said(Long(), network(PeriodicEmbedding((None, 1.0))))
    assert not said(scaled(Long(), network(), KEY), network())
    assert said(scaled(Long(), network(), KEY, inputs=False), network())


def test_a_coordinate_that_an_embedding_passes_on_has_the_unit_of_the_next():
    time = Chain(PeriodicEmbedding((2.0, None)), Normalize((-1.0, -1.0, 0.0), (1.0, 1.0, 1000.0)))
    assert time.takes_units == (True, True)
    assert PeriodicEmbedding((2.0, None)).takes_units == (True, False)
    twice = Chain(PeriodicEmbedding((2.0, None, None)), PeriodicEmbedding((None, None, None, 1.0)))
    assert twice.takes_units == (True, False, True)
    assert twice.passed == {1: 4}
    assert Chain(twice, Normalize((0.0,) * 5, (1.0,) * 5)).takes_units == (True, True, True)
    features = FourierFeatures(3, 2, scale=1.0, rngs=nnx.Rngs(0))
    assert Chain(PeriodicEmbedding((2.0, None)), features).takes_units == (True, False)
    brought = Scaled(Long(), (1.0,), (("a", 1.0),))
    function, _ = brought.functional(
        network(Chain(PeriodicEmbedding((6000.0, None)), Normalize((-1,) * 3, (1,) * 3)))
    )
    np.testing.assert_array_equal(function.half, [1.0, 1.0])


def test_a_period_behind_a_normalisation_is_exact(x64):
    embedding = Chain(Normalize((0.0,), (3.0,)), PeriodicEmbedding((2.0,)))
    model = MLP(1, [16, 16], 1, embedding=embedding, dtype=jnp.float64, rngs=nnx.Rngs(0))
    x = jnp.linspace(0.0, 3.0, 20)[:, None]
    np.testing.assert_allclose(model(x + 3.0), model(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "fn", [jax.nn.softmax, jax.nn.standardize, lambda z: z / jnp.linalg.norm(z), jnp.sum]
)
@pytest.mark.parametrize("make", [MLP, ModifiedMLP])
def test_an_activation_that_mixes_numbers_is_refused(make, fn):
    with pytest.raises(ValueError, match="each number by itself"):
        make(1, [4, 4], 1, activation=fn, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    "fn", [jax.nn.gelu, jax.nn.silu, jnp.sin, lambda z: jnp.tanh(z) ** 3, jax.jit(jnp.cos)]
)
def test_one_that_does_not_is_taken(fn):
    assert MLP(1, [4], 1, activation=fn, rngs=nnx.Rngs(0))(jnp.ones(1)).shape == (1,)


@pytest.mark.long
def test_robertson_has_one_dtype(x64):
    problem, model = Robertson(num_points=8), MLP(1, [4], 3, rngs=nnx.Rngs(0))
    loss = problem.loss(model, problem.sample(KEY, dtype=jnp.float32))
    assert loss(nnx.state(model, nnx.Param)).dtype == jnp.float32


@pytest.mark.parametrize("problem", [OscillatorInverse(), LorenzInverse()])
def test_a_part_of_an_inverse_problem_has_the_measurements_of_the_whole(problem):
    (begin,), (end,) = problem.domain.lower, problem.domain.upper
    part = problem.restricted(Box((begin,), ((begin + end) / 2,)))
    assert part.conditions()["data"].region == problem.conditions()["data"].region


@pytest.mark.long
def test_slabs_share_the_measurements_of_an_inverse_problem():
    problem, model = OscillatorInverse(), MLP(1, [4], 1, rngs=nnx.Rngs(0))
    result = fit_in_slabs(
        problem, model, SGD, num_steps=1, key=KEY, slabs=4, progress=False, fresh_loss=False
    )
    times = np.concatenate([slab.loss.blocks[-1].points["x"] for slab in result.results])
    np.testing.assert_allclose(times, problem.conditions()["data"].region.points, rtol=1e-6)


@dataclasses.dataclass(frozen=True)
class Memory(Problem):
    """Nodes at the ends of three times, and at all times."""

    domain: Box = dataclasses.field(default=Box((0.0,), (6.0,)))

    def conditions(self):
        each = FixedPoints(np.linspace(0, 1, 4)[None, :, None] * np.array([1.0, 3.0, 5.0])[:, None, None])
        return {
            "pde": Condition(self.residual, self.domain, 10),
            "start": Condition(self.residual, self.domain.face(0, "lower"), 1),
            "integral": Condition(self.integral, each, 3),
        }

    def residual(self, u, x):
        return u(x) - 1.0

    def integral(self, u, nodes):
        return jnp.mean(jax.vmap(u)(nodes), axis=0) - 1.0


@pytest.mark.long
def test_nodes_belong_to_the_slab_of_their_latest_time():
    result = fit_in_slabs(Memory(), network(dim=1), SGD, num_steps=1, key=KEY, slabs=3, progress=False)
    latest = [float(slab.loss.blocks[-1].points.max()) for slab in result.results]
    assert latest == [1.0, 3.0, 5.0]
    assert all(slab.loss.blocks[-1].num_points == 1 for slab in result.results)


def test_a_solution_may_be_called_exact(no_open_figures):
    plt.close(plot_solution(Poisson2D(), {"exact": network()}))
