"""Networks that know their coordinates, and coordinates of whole numbers."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pinns
from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import (
    MLP,
    Ball,
    Box,
    Burgers,
    Chain,
    Condition,
    FitWarning,
    Interpolated,
    Normalize,
    PeriodicEmbedding,
    Polygon,
    Problem,
    fit,
    fit_in_slabs,
    gradient,
    scaled,
    second_derivatives,
)
from pinns._embeddings import holds_units

KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True)
class Periodic(Problem):
    """−u'' + u = f with the period of its domain."""

    length: float = 1.0

    @property
    def domain(self):
        return Box((0.0,), (self.length,))

    def conditions(self):
        return {"pde": Condition(self.pde, self.domain, 60)}

    def pde(self, u, x):
        value, _, second = second_derivatives(u, x)
        wave = 2 * jnp.pi / self.length
        return value - second[0] - (wave**2 + 1) * jnp.sin(wave * x)

    def exact(self, x):
        return jnp.sin(2 * jnp.pi * x / self.length)


def train(problem, model, num_steps=30):
    optimizer = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    return fit(problem, model, optimizer, num_steps=num_steps, key=KEY, sampling="sobol", progress=False)


@pytest.mark.long
@pytest.mark.parametrize(
    "embedding",
    [
        lambda length: PeriodicEmbedding((length,)),
        pytest.param(
            lambda length: Chain(Normalize((0.0,), (length,)), PeriodicEmbedding((2.0,))),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["periodic", "normalized"],
)
def test_scaling_leaves_a_period_in_the_unit_of_the_problem(x64, embedding):
    model = MLP(1, [8], 1, embedding=embedding(3.0), dtype=jnp.float64, rngs=nnx.Rngs(0))
    problem = scaled(Periodic(3.0), model, KEY)
    solution = train(problem, model).solution
    points = jnp.linspace(0.0, 3.0, 7)[:, None]
    np.testing.assert_allclose(jax.vmap(solution)(points), jax.vmap(problem.exact)(points), atol=1e-5)


def test_scaling_maps_the_other_axes():
    problem = Burgers()
    model = MLP(2, [4], 1, embedding=PeriodicEmbedding((2.0, None)), rngs=nnx.Rngs(0))
    function, params = pinns.Scaled(problem, (1.0,), ()).functional(model)
    seen = model(jnp.array([0.3, 2 * 0.75 - 1]))
    np.testing.assert_allclose(function(params)(jnp.array([0.3, 0.75])), seen, rtol=1e-6)


class Clamped(MLP):
    """Zero at 0 and 3, whatever the parameters."""

    def __call__(self, x):
        return super().__call__(x) * x * (3.0 - x)


def test_conditions_built_into_a_network_are_said_to_be_mapped():
    model = Clamped(1, [4], 1, rngs=nnx.Rngs(0))
    with pytest.warns(FitWarning, match="inputs=False"):
        scaled(Periodic(3.0), model, KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem = scaled(Periodic(3.0), model, KEY, inputs=False)
    function, params = problem.functional(model)
    ends = [float(function(params)(jnp.array([end]))[0]) for end in (0.0, 3.0)]
    assert ends == [0.0, 0.0]


class Positive(nnx.Module):
    """A network around another."""

    def __init__(self, network):
        self.network = network

    def __call__(self, x):
        return jax.nn.softplus(self.network(x))


class Features(nnx.Module):
    """Features of coordinates, before the layers of a network or as its embedding."""

    in_features, out_features = 1, 2

    def __init__(self, then=None):
        self.features, self.then = pinns.PeriodicEmbedding((3.0,)), then

    def __call__(self, x):
        return self.features(x) if self.then is None else self.then(self.features(x))


def test_an_embedding_inside_of_another_network_is_said():
    for network in (
        Features(MLP(2, [4], 1, rngs=nnx.Rngs(0))),
        MLP(1, [4], 1, embedding=Features(), rngs=nnx.Rngs(0)),
    ):
        assert holds_units(network)
    periodic = MLP(1, [4], 1, embedding=pinns.PeriodicEmbedding((3.0,)), rngs=nnx.Rngs(0))
    with pytest.warns(FitWarning, match=r"Positive holds .*inputs=False"):
        scaled(Periodic(3.0), Positive(periodic), KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled(Periodic(3.0), Positive(periodic), KEY, inputs=False)
        scaled(Periodic(3.0), Positive(MLP(1, [4], 1, rngs=nnx.Rngs(0))), KEY)
        scaled(Periodic(3.0), periodic, KEY)


@dataclasses.dataclass(frozen=True)
class UnknownStart(Problem):
    """y' = −y from an unknown value, which data of the first half tell."""

    domain = Box((0.0,), (2.0,))
    axis_names = ("t",)

    def unknowns(self):
        return {"start": 1.0}

    def conditions(self):
        times = np.linspace(0.1, 0.9, 9)[:, None]
        data = pinns.FixedPoints(times, 2 * np.exp(-times))
        return {
            "pde": Condition(self.pde, self.domain, 40),
            "initial": Condition(self.initial, self.domain.face(0, "lower"), 1),
            "data": Condition(self.data, data, 9, noisy=True),
        }

    def pde(self, u, x):
        value, first = gradient(u, x)
        return first[0] + value

    def initial(self, u, x):
        return u(x) - u.unknowns["start"]

    def data(self, u, point):
        return u(point["x"]) - point["value"]

    def exact(self, x):
        return 2 * jnp.exp(-x)


@pytest.mark.long
def test_slabs_go_on_from_an_unknown_start(x64):
    """Its value is found where the data are, and moves no later slab."""
    model = MLP(1, [8], 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
    optimizer = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    result = fit_in_slabs(
        UnknownStart(), model, optimizer, num_steps=40, key=KEY, slabs=2, sampling="sobol", progress=False
    )
    first, second = (part(jnp.array([1.0]))[0] for part in result.results)
    np.testing.assert_allclose([first, second], 2 * np.exp(-1.0), rtol=1e-6)
    assert float(result.errors().rel_l2) < 1e-6


TRIANGLE = Polygon(((0.5, 0.0), (3.5, 0.0), (3.5, 3.5)))
CUBIC = Interpolated((np.linspace(0, 2, 21),), np.exp(-np.linspace(0, 2, 21)))
PERIODIC = PeriodicEmbedding((3.0,))


def square_of(x):
    return x[:1] ** 2 * x[1:] ** 3


@pytest.mark.parametrize(
    ("function", "point"),
    [
        (CUBIC, [1]),
        (PERIODIC, [1]),
        (Burgers().exact, [0, 1]),
        (pinns.KdV().exact, [1, 1]),
        (pinns.LorenzInverse().exact, [1]),
        (Box((-0.5, 0.5), (2.5, 2.5)).contains, [1, 0]),
        (TRIANGLE.contains, [0, 0]),
        (TRIANGLE.boundary().normal, [2, 1]),
        (Ball((0.5, 0.0), 1.3).boundary().normal, [2, 1]),
        (Box((-0.4, -0.3), (2.4, 2.6)).boundary().normal, [2, 1]),
        (lambda x: pinns.mixed_derivative(square_of, x)[2], [2, 3]),
        (lambda x: pinns.biharmonic(square_of, x), [2, 3]),
        (lambda x: pinns.derivatives(square_of, x, order=2)[2], [2, 3]),
    ],
    ids=lambda value: getattr(value, "__qualname__", type(value).__name__),
)
def test_whole_numbers_are_numbers(function, point):
    """Constants that are cast to the type of such a point would be rounded."""
    np.testing.assert_allclose(
        np.asarray(function(jnp.array(point)), float), np.asarray(function(jnp.array(point, float)), float)
    )


def test_derivatives_of_a_network_at_whole_numbers():
    model = MLP(2, [5], 1, rngs=nnx.Rngs(0))
    for operator in (lambda u, x: pinns.mixed_derivative(u, x)[2], pinns.biharmonic):
        whole, floating = (operator(model, jnp.array([2, 3], dtype)) for dtype in (int, float))
        np.testing.assert_allclose(whole, floating)


@pytest.mark.long
def test_a_result_is_asked_at_points_of_the_domain():
    result = train(Periodic(), MLP(1, [4], 1, rngs=nnx.Rngs(0)), num_steps=1)
    np.testing.assert_allclose(result(jnp.array([1])), result(jnp.array([1.0])))
    np.testing.assert_allclose(result.at(np.array([[0], [1]]))[1], result(jnp.array([1.0])), rtol=1e-6)
    with pytest.raises(ValueError, match=r"points have shape \(N, 1\) \(points\[:, None\]\), got \(5,\)"):
        result.at(np.linspace(0, 1, 5))
    with pytest.raises(ValueError, match=r"points have shape \(N, 1\), got \(5, 2\)"):
        result.at(np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"one point has shape \(1,\), got \(\)"):
        result(0.5)
