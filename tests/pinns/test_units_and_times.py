"""Units, times, columns: what a user's problem may have otherwise than ours, and is told or made right."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import (
    MLP,
    Box,
    Condition,
    FitWarning,
    FixedPoints,
    PeriodicEmbedding,
    Problem,
    Unknown,
    fit,
    fit_in_slabs,
    gradient,
    scaled,
    second_derivatives,
)

KEY = jax.random.key(0)
LINE = Box((0.0,), (1.0,))
SQUARE = Box((0.0, 0.0), (1.0, 1.0))


def train(problem, model=None, optimizer=None, num_steps=2, **options):
    model = MLP(1, [4], 1, rngs=nnx.Rngs(0)) if model is None else model
    options = {"key": KEY, "progress": False} | options
    return fit(problem, model, optimizer or optax.adam(1e-3), num_steps=num_steps, **options)


def steps():
    return implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True)


@dataclasses.dataclass(frozen=True)
class Measured(Problem):
    data: FixedPoints
    column: int | None = None
    domain = LINE

    def conditions(self):
        return {"data": Condition(self.fits, self.data, 6)}

    def fits(self, u, p):
        if self.column is None:
            return u(p["x"]) - p["value"]
        return u(p["x"])[0] - p["value"][self.column]


def test_values_of_more_columns_than_outputs():
    """Three measured columns and one output: it is their mean that is fitted."""
    data = FixedPoints(np.linspace(0, 1, 8)[:, None], np.tile([1.0, 2.0, 3.0], (8, 1)))
    with pytest.warns(FitWarning, match="compares 1 output of the network with 3 values"):
        train(Measured(data))
    train(Measured(data, column=1))


def test_data_of_one_of_several_networks_that_takes_other_coordinates():
    data = FixedPoints(np.random.default_rng(0).uniform(size=(8, 2)), np.ones((8, 1)))

    @dataclasses.dataclass(frozen=True)
    class Two(Problem):
        domain = SQUARE

        def conditions(self):
            return {"data": Condition(lambda u, p: u["a"](p["x"][:1]) * u["b"](p["x"]) - p["value"], data, 8)}

        def predict(self, u, x):
            return u["b"](x)

    networks = {name: MLP(dim, [4], 1, rngs=nnx.Rngs(0)) for name, dim in (("a", 1), ("b", 2))}
    assert np.isfinite(train(Two(), networks).final["loss"])


@pytest.mark.long
def test_a_tiny_domain():
    """A network does not change over a micrometre."""

    @dataclasses.dataclass(frozen=True)
    class Film(Problem):
        domain = Box((0.0, 0.0), (1.0, 1e-3))

        def conditions(self):
            return {"pde": Condition(lambda u, x: second_derivatives(u, x)[2][0] + u(x), self.domain, 20)}

    model = MLP(2, [4], 1, rngs=nnx.Rngs(0))
    with pytest.warns(FitWarning, match=r"only 0.001 wide along a coordinate"):
        train(Film(), model)
    train(scaled(Film(), model, KEY), model)


@dataclasses.dataclass(frozen=True)
class Decay(Problem):
    """y' = −k y, y(0) = 3, with data and k to be found."""

    data: FixedPoints | None = None
    start_at: FixedPoints | None = None
    domain: Box = LINE

    def unknowns(self):
        return {"k": Unknown(0.1)} if self.data else {}

    def conditions(self):
        start = self.start_at or self.domain.face(0, "lower")
        conditions = {"eq": Condition(self.eq, self.domain, 40), "start": Condition(self.start, start, 30)}
        if self.data:
            conditions["data"] = Condition(lambda u, p: u(p["x"]) - p["value"], self.data, 50)
        return conditions

    def eq(self, u, x):
        value, slope = gradient(u, x)
        return slope[0] + (u.unknowns["k"] if self.data else 2.0) * value

    def start(self, u, x):
        return u(x if self.start_at is None else x["x"]) - 3

    def exact(self, x):
        return 3 * jnp.exp(-2 * x)


DECAYED = FixedPoints(np.linspace(0, 1, 21)[:, None], 3 * np.exp(-2 * np.linspace(0, 1, 21)))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_an_initial_value_that_the_scaled_network_has_by_chance(seed, x64):
    """One point: the balanced network may have its value, which says nothing about the residual's size."""
    model = MLP(1, [8], 1, dtype=jnp.float64, rngs=nnx.Rngs(seed))
    problem = scaled(Decay(), model, KEY)
    sizes = dict(problem.residuals)
    assert sizes["start"] >= 3
    assert train(problem, model, steps(), num_steps=30).final["rel_l2"] < 1e-3


@pytest.mark.long
def test_a_training_goes_on_with_the_unknowns_of_a_result(x64):
    model = MLP(1, [8], 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
    first = train(Decay(DECAYED), model, steps(), num_steps=30)
    assert first.unknowns["k"][0] == pytest.approx(2, rel=1e-3)
    second = train(Decay(DECAYED), first, optax.adam(1e-6), num_steps=1)
    assert second.curve("unknowns.k")[1][0] == first.unknowns["k"][0]
    assert second.curve("loss")[1][0] < 1e-6
    with pytest.raises(ValueError, match="other unknowns"):
        train(Decay(), first)


@pytest.mark.slow
def test_slabs_take_their_own_data_and_hand_on_the_unknowns(x64):
    model = MLP(1, [8], 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
    result = fit_in_slabs(
        Decay(DECAYED), model, steps(), num_steps=20, key=KEY, slabs=2, initial=["start"], progress=False
    )
    numbers = [len(r.loss.blocks[-1].points["x"]) for r in result.results]
    assert numbers == [10, 11]
    first, second = (r.curve("unknowns.k")[1] for r in result.results)
    assert second[0] == first[-1] != 0.1
    assert result.errors().rel_l2 < 1e-2


def test_slabs_refuse_initial_data_that_stay_where_they_are():
    at_zero = FixedPoints([[0.0]], [[3.0]])
    with pytest.raises(ValueError, match=r"given at FixedPoints.*Interpolated"):
        fit_in_slabs(
            Decay(start_at=at_zero),
            MLP(1, [4], 1, rngs=nnx.Rngs(0)),
            optax.adam(1e-3),
            num_steps=1,
            key=KEY,
            slabs=2,
            initial=["start"],
        )


@dataclasses.dataclass(frozen=True)
class TimeFirst(Problem):
    """Diffusion between two walls, its first coordinate the time."""

    domain: Box = SQUARE
    axis_names: tuple[str, str] = ("t", "x")

    def conditions(self):
        face = self.domain.face
        return {
            "pde": Condition(self.pde, self.domain, 40),
            "left": Condition(lambda u, x: u(x), face(1, "lower"), 10),
            "right": Condition(lambda u, x: u(x), face(1, "upper"), 10),
            "initial": Condition(lambda u, x: u(x) - jnp.sin(jnp.pi * x[1:]), face(0, "lower"), 10),
        }

    def pde(self, u, x):
        _, slopes, seconds = second_derivatives(u, x)
        return slopes[0] - 0.1 * seconds[1]


@pytest.mark.slow
def test_slabs_are_cut_along_the_coordinate_called_time():
    model = MLP(2, [4], 1, rngs=nnx.Rngs(0))
    options = {"num_steps": 1, "key": KEY, "slabs": 2, "progress": False}
    result = fit_in_slabs(TimeFirst(), model, optax.adam(1e-3), **options)
    assert [r.problem.domain.lower for r in result.results] == [(0.0, 0.0), (0.5, 0.0)]
    with pytest.raises(ValueError, match="'right' is given where coordinate 1 ends"):
        fit_in_slabs(TimeFirst(axis_names=("s", "x")), model, optax.adam(1e-3), **options)


def test_a_period_is_exact_in_the_dtype_of_the_coordinates(x64):
    model = MLP(
        1, [8], 1, embedding=PeriodicEmbedding((0.3,), num_harmonics=3), dtype=jnp.float64, rngs=nnx.Rngs(0)
    )
    np.testing.assert_allclose(model(jnp.zeros(1)), model(jnp.full(1, 0.3)), rtol=1e-13)


@pytest.mark.parametrize("batch_size", [25, {"eq": 25, "start": 1, "data": 10}])
def test_mini_batches_of_regions_with_fewer_points_than_were_asked_for(batch_size):
    result = train(Decay(DECAYED), batch_size=batch_size, num_steps=3)
    assert np.isfinite(result.final["loss"])


class Clamped(MLP):
    """A network that vanishes at both ends, written as one would any other."""

    def __call__(self, x):
        return jnp.sin(jnp.pi * x[..., :1]) * super().__call__(x) ** 2 / 2


@pytest.mark.long
def test_a_subclass_that_computes_otherwise_has_its_own_derivatives():
    model, x = Clamped(1, [6], 1, rngs=nnx.Rngs(0)), jnp.array([0.3])
    _, slope, second = second_derivatives(model, x)
    np.testing.assert_allclose(slope[0], jax.jacfwd(model)(x)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(second[0], jax.jacfwd(jax.jacfwd(model))(x)[:, 0, 0], rtol=1e-4)
    assert MLP(1, [6], 1, rngs=nnx.Rngs(0)).supports_jets
