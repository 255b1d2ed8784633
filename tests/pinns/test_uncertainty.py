"""Standard errors and intervals of unknowns, and the estimate of the error."""

import dataclasses
import functools
import warnings

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
    Poisson1D,
    Problem,
    Unknown,
    fit,
    laplacian,
)
from pinns._uncertainty import covariance
from pinns._warnings import warn_at_caller

KEY = jax.random.key(0)
NOISE = 0.02
TIMES = np.linspace(0.0, 1.0, 40)


@dataclasses.dataclass(frozen=True)
class Measurements:
    """Times and measured values of y' = −3y, y(0) = 2."""

    seed: int

    def sample(self, key, num_points, method, dtype):
        noise = NOISE * np.random.default_rng(self.seed).normal(size=TIMES.shape)
        return jnp.asarray(np.stack([TIMES, 2 * np.exp(-3 * TIMES) + noise], axis=1), dtype)


@dataclasses.dataclass(frozen=True)
class Decay(Problem):
    positive: bool = True
    seed: int = 0
    domain = Box((0.0,), (1.0,))

    def unknowns(self):
        return {"k": Unknown(1.0, positive=self.positive)}

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 100, weight=100.0),
            "data": Condition(self.data, Measurements(self.seed), len(TIMES), noisy=True),
        }

    def pde(self, u, x):
        value, first, _ = laplacian(u, x)
        return first[0] + u.unknowns["k"] * value

    def data(self, u, point):
        return u(point[:1]) - point[1:]


def solve(problem, dtype=jnp.float64, num_steps=60):
    optimizer = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    model = MLP(1, [10, 10], 1, dtype=dtype, rngs=nnx.Rngs(0))
    return fit(problem, model, optimizer, num_steps=num_steps, key=KEY, sampling="sobol", progress=False)


@pytest.mark.long
def test_values_are_told_where_a_loss_has_no_variance(x64):
    @dataclasses.dataclass(frozen=True)
    class Robust(Decay):
        def conditions(self):
            found = super().conditions()
            return found | {"data": dataclasses.replace(found["data"], loss=optax.huber_loss)}

    result = solve(Robust(), num_steps=2)
    value, error = result.unknowns["k"]
    assert value == result.final["unknowns"]["k"]
    assert np.isnan(error)
    with pytest.raises(TypeError, match="no sum of squares"):
        result.intervals()


def cramer_rao():
    """Standard error of k in y = a e^{−kt}, a and k unknown."""
    decay = np.exp(-3 * TIMES)
    jacobian = np.stack([decay, -2 * TIMES * decay], axis=1)
    return NOISE * np.sqrt(np.linalg.inv(jacobian.T @ jacobian)[1, 1])


@pytest.mark.long
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("positive", [pytest.param(False, marks=pytest.mark.slow), True])
def test_errors_of_unknowns_are_near_the_bound_of_statistics(positive):
    result = solve(Decay(positive))
    value, error = result.unknowns["k"]
    assert abs(value - 3.0) < 4 * cramer_rao()
    assert 0.6 < error / cramer_rao() < 1.6  # the noise is estimated from 40 values
    low, high = result.intervals()["k"]
    assert low < value < high
    assert (high - low) / (2 * error) == pytest.approx(2.02, abs=0.1)  # Student's with some 38 degrees
    assert low > 0


@pytest.mark.long
def test_float32_has_no_errors_and_says_so():
    result = solve(Decay(), dtype=jnp.float32, num_steps=3)
    assert np.isnan(result.unknowns["k"][1])
    with pytest.raises(ValueError, match="intervals need parameters of float64"):
        result.intervals()


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_a_problem_without_unknowns_has_none():
    result = solve(Poisson1D("smooth", num_points=20), num_steps=2)
    assert result.unknowns == {}
    assert result.intervals() == {}


@pytest.mark.long
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("num_steps", [8, 40])
def test_the_error_is_estimated_without_an_exact_solution(num_steps):
    result = solve(Poisson1D("smooth", num_points=40), num_steps=num_steps)
    assert 0.1 < result.error_estimate() / result.final["rel_l2"] < 10


@dataclasses.dataclass(frozen=True)
class Slope(Problem):
    """Measured values k x, with k unknown."""

    positive: bool
    domain = Box((0.0,), (1.0,))

    def unknowns(self):
        return {"k": Unknown(0.5, positive=self.positive)}

    def conditions(self):
        x = np.linspace(0.1, 1.0, 7)[:, None]
        data = FixedPoints(x, x if self.positive else 0 * x)
        return {"data": Condition(self.data, data, 7, noisy=True)}

    def data(self, u, p):
        return u.unknowns["k"] * p["x"] - p["value"] + 0 * u(p["x"])


@pytest.mark.parametrize("positive", [True, False])  # k is 1, its logarithm 0; and 0
def test_a_coefficient_that_is_trained_as_zero_may_have_arrived(positive, x64):
    problem = Slope(positive)
    pair = (lambda params, x: params["a"] * x, {"a": jnp.ones(())})
    function, params = problem.functional(pair)
    loss = problem.loss(function, problem.sample(jax.random.key(0), dtype=jnp.float64))
    at = lambda k: params | {"unknowns": {"k": jnp.asarray(k)}}
    covariance(problem, loss, at(1e-5))  # warnings are errors
    with pytest.warns(FitWarning, match="has not reached its minimum"):
        covariance(problem, loss, at(0.1))


@dataclasses.dataclass(frozen=True)
class Arc(Problem):
    """u'' = −a through (0, 0), (½, 1) and (1, 0): a = 8, and nothing is measured."""

    noisy: bool = False
    domain = Box((0.0,), (1.0,))

    def unknowns(self):
        return {"a": 1.0}

    def conditions(self):
        top = FixedPoints(np.array([[0.5]]), np.array([[1.0]]))
        return {
            "equation": Condition(lambda u, x: laplacian(u, x)[2] + u.unknowns["a"], self.domain, 9),
            "ends": Condition(lambda u, x: u(x), self.domain.boundary(), 2),
            "top": Condition(lambda u, p: u(p["x"]) - p["value"], top, 1, noisy=self.noisy),
        }


def test_without_measurements_there_is_no_standard_error_and_it_is_said(x64):
    pair = (lambda p, x: p["c"] @ jnp.stack([jnp.ones(()), x[0], x[0] ** 2])[:, None], {"c": jnp.zeros(3)})
    for problem in (Arc(), Arc(noisy=True)):
        function, params = problem.functional(pair)
        loss = problem.loss(function, problem.sample(KEY, dtype=jnp.float64))
        solved = params | {"unknowns": {"a": jnp.asarray(8.0)}}
        solved["network"] = {"c": jnp.array([0.0, 4.0, -4.0])}
        assert loss(solved) == 0
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = covariance(problem, loss, solved)
        assert not np.isfinite(found.standard_error["a"])
        words = [str(warning.message) for warning in caught]
        assert [("no condition is declared noisy" in w) for w in words] == ([] if problem.noisy else [True])


def test_where_the_noise_is_known_or_told_nothing_is_said(x64):
    """Nor of a coefficient that no condition holds: that is no matter of noise."""
    points = jnp.linspace(0.0, 1.0, 9)[:, None]

    class Line(Problem):
        domain = Box((0.0,), (1.0,))

        def unknowns(self):
            return {"k": 2.0, "free": 1.0}

        def conditions(self):
            noise = 1e-3 * jnp.cos(50 * points)
            data = FixedPoints(points, 2 * points + noise)
            return {"data": Condition(lambda u, p: u.unknowns["k"] * p["x"] - p["value"], data, 9)}

    pair = (lambda p, x: p * x, jnp.ones(()))
    problem = Line()
    function, params = problem.functional(pair)
    loss = problem.loss(function, problem.sample(KEY, dtype=jnp.float64))
    for noise_std in (None, 1e-3):
        found = covariance(problem, loss, params, noise_std)  # warnings are errors
        assert np.isinf(found.standard_error["free"])
        assert 1e-4 < found.standard_error["k"] < 1e-2


def test_a_warning_of_a_cached_property_stands_at_the_line_that_asks_for_it():
    class Result(str):
        unknowns = functools.cached_property(warn_at_caller)

    one, two = Result("it has not arrived"), Result("it has not arrived")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        _ = one.unknowns
        _ = two.unknowns
    assert [warning.filename for warning in caught] == [__file__] * 2
    assert caught[0].lineno != caught[1].lineno
