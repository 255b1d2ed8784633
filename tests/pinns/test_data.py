"""Measured data as they come: with outliers, masked, as NumPy arrays."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, gauss_newton, implicit_step, largest_trusted
from pinns import (
    AdaptiveWeights,
    Box,
    Condition,
    FixedPoints,
    FunctionApproximation,
    Interpolated,
    Problem,
    Unknown,
    derivatives,
    scaled,
)

TIMES = np.linspace(0.0, 1.0, 40)[:, None]
VALUES = 2 * np.exp(-3 * TIMES)
VALUES[::8] += 3.0
MEASURED = FixedPoints(TIMES, VALUES)
HUBER = functools.partial(optax.huber_loss, delta=0.05)


@dataclasses.dataclass(frozen=True)
class Decay(Problem):
    """y' = −k y, y measured, an eighth of the values far off."""

    robust: bool = True
    domain = Box((0.0,), (1.0,))

    def unknowns(self):
        return {"k": Unknown(1.0)}

    def conditions(self):
        loss = HUBER if self.robust else None
        return {
            "equation": Condition(self.equation, self.domain, 60, weight=100.0),
            "data": Condition(self.data, MEASURED, 40, noisy=True, loss=loss),
        }

    def equation(self, u, x):
        value, first = derivatives(u, x, order=1)
        return first[0] + u.unknowns["k"] * value

    def data(self, u, point):
        return u(point["x"]) - point["value"]


def steps():
    return implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)


@pytest.mark.slow
def test_huber_loss_of_the_data_leaves_outliers_aside(train, make_model, x64):
    found = {}
    for robust in (False, True):
        model = make_model((10,), dtype=jnp.float64)
        found[robust] = train(steps(), 80, problem=Decay(robust), model=model, sampling="sobol")
    assert abs(found[False].final["unknowns"]["k"] - 3) > 0.2
    assert abs(found[True].final["unknowns"]["k"] - 3) < 0.05
    residuals = np.asarray(found[True].loss.blocks[1].residuals(found[True].params))
    np.testing.assert_allclose(
        found[True].final["losses"]["data"], np.mean(HUBER(jnp.asarray(residuals))), rtol=1e-10
    )
    with pytest.raises(TypeError, match=r"'data' has a loss that is no sum of squares"):
        found[True].intervals()


def test_another_loss_is_another_run_and_weights_can_follow_it(train, make_model, tmp_path):
    settings = {"model": make_model((10,)), "checkpoint_dir": tmp_path}
    train(optax.adam(1e-3), 4, problem=Decay(True), weights=AdaptiveWeights(every=2), **settings)
    with pytest.raises(ValueError, match="conditions"):
        train(optax.adam(1e-3), 4, problem=Decay(False), weights=AdaptiveWeights(every=2), **settings)


def test_a_loss_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="loss must be a function of the residual, got 'huber'"):
        Condition(lambda u, x: u(x), Box((0.0,), (1.0,)), 3, loss="huber")  # pyright: ignore[reportArgumentType]


def test_masked_numbers_are_missing():
    masked = np.ma.array([1.0, -9999.0, 2.0], mask=[False, True, False])
    points = [[0.0], [0.5], [1.0]]
    with pytest.raises(ValueError, match="1 of 3 numbers are masked"):
        FixedPoints(points, masked)
    with pytest.raises(ValueError, match="1 of 3 numbers are masked"):
        FixedPoints(masked[:, None])
    table = np.ma.array(np.arange(5.0), mask=[0, 0, 0, 0, 1])
    with pytest.raises(ValueError, match="1 of 5 numbers are masked"):
        Interpolated((np.linspace(0, 1, 5),), table)
    kept = FixedPoints(points, np.ma.array([1.0, 3.0, 2.0], mask=False))
    np.testing.assert_array_equal(kept.values, [[1.0], [3.0], [2.0]])


@dataclasses.dataclass(frozen=True)
class Nodes:
    """A region of its own that gives NumPy arrays."""

    def sample(self, key, num_points, method, dtype):
        return np.linspace(0.0, 1.0, num_points, dtype=dtype)[:, None]


@dataclasses.dataclass(frozen=True)
class Line(FunctionApproximation):
    domain = Box((0.0,), (1.0,))
    weight: float = 1.0

    def conditions(self):
        return {"line": Condition(lambda u, x: u(x) - x, Nodes(), 20, weight=lambda x: self.weight * x[0])}


def test_a_region_may_give_numpy_arrays(train):
    result = train(steps(), 10, problem=Line())
    assert isinstance(result.loss, LeastSquares)
    assert result.final["loss"] < 1e-2


def test_a_negative_weight_names_its_condition(make_model):
    problem = Line(weight=-1.0)
    with pytest.raises(ValueError, match="weight") as caught:
        problem.loss(make_model(), problem.sample(jax.random.key(0)))
    assert "This is of the condition 'line'." in caught.value.__notes__


@pytest.mark.long
def test_scaled_weighs_another_loss_by_its_size(make_model):
    """By the square of its residual it would count for next to nothing."""

    @dataclasses.dataclass(frozen=True)
    class Large(Decay):
        def data(self, u, point):
            return u(point["x"]) - 1e3 * point["value"]

    model = make_model((10,))
    problem = scaled(Large(), model, jax.random.key(0))
    loss = problem.loss(model, problem.sample(jax.random.key(1)))
    losses = loss.losses(problem.functional(model)[1])
    weights = {block.name: block.weight for block in loss.blocks}
    assert 0.1 < weights["data"] * losses["data"] < 10
