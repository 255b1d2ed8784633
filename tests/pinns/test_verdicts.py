"""What a training says of itself: warnings with a way out, and why it ended."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import (
    AdaptiveSampling,
    Box,
    Condition,
    FitWarning,
    FunctionApproximation,
    Poisson1D,
    Problem,
    Sampling,
    Stop,
    fit,
    gradient,
)
from pinns._options import Options
from pinns._verdicts import Watch


def steps(**options):
    return implicit_step(gauss_newton(), largest_trusted(**options), max_inner_steps=1)


def said(train, *args, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = train(*args, **options)
    return result, [str(w.message) for w in caught if issubclass(w.category, FitWarning)]


def test_few_residuals_are_named_before_the_training(train):
    _, messages = said(train, optax.adam(1e-3), 2)
    assert any("26 residuals and the model has 97 parameters" in message for message in messages)
    _, messages = said(train, optax.adam(1e-3), 2, sampling="sobol", problem=Poisson1D(num_points=100))
    assert not messages


@pytest.mark.long
def test_a_loss_that_hides_the_error_is_noticed_once(train, make_model):
    problem = FunctionApproximation(num_points=8)
    result, messages = said(
        train, steps(), 80, problem=problem, model=make_model((20, 20)), evaluate_every=10
    )
    assert result.final["fresh_loss"] > 10 * result.final["loss"]
    assert sum("on fresh ones" in message for message in messages) == 1
    assert set(result.final["fresh_losses"]) == {"data"}


@pytest.mark.long
def test_adaptive_points_are_no_advice_where_they_are_used(train, make_model):
    problem = FunctionApproximation(num_points=8)
    settings = {"problem": problem, "model": make_model((20, 20)), "evaluate_every": 10}
    for sampling, advised in (("uniform", True), (AdaptiveSampling(every=1000), False)):
        _, messages = said(train, steps(), 80, sampling=sampling, **settings)
        [message] = [message for message in messages if "on fresh ones" in message]
        assert ("AdaptiveSampling" in message) == advised


@dataclasses.dataclass(frozen=True)
class Logistic(Problem):
    """y' = y(1 − y), which y = 0 solves too."""

    initial: bool = True
    domain = Box((0.0,), (20.0,))

    def conditions(self):
        start = self.domain.face(0, "lower") if self.initial else self.domain.boundary()
        return {"ode": Condition(self.ode, self.domain, 8), "start": Condition(self.start, start, 2)}

    def ode(self, u, x):
        y, slope = gradient(u, x)
        return slope[0] - y * (1 - y)

    def start(self, u, x):
        return u(x) - 0.01


@pytest.mark.parametrize("initial", [True, False])
def test_slabs_are_advised_where_a_solution_goes_on_from_its_beginning(initial):
    watch = Watch(Logistic(initial), Options(Sampling(), Stop()), 10, 0)
    rows = [{"step": step, "loss": 1e-12, "fresh_loss": 1e-3} for step in (0, 1)]
    with pytest.warns(FitWarning, match="on fresh ones") as caught:
        watch.warn(rows, lambda: [])
    words = ("fit_in_slabs", "error_estimate()", "another solution")
    assert {word in str(caught[0].message) for word in words} == {initial}


@pytest.mark.parametrize(
    ("fresh", "said"),
    [((1e-15, 1e-15), False), ((1e-3, 1e-15), False), ((1e-15, 1e-3), False), ((1e-3, 1e-3), True)],
    ids=["solved", "for a moment", "newly", "parted"],
)
def test_fresh_points_that_part_for_a_moment_or_by_rounding_are_no_warning(fresh, said):
    watch = Watch(Logistic(), Options(Sampling(), Stop()), 10, 0)
    rows = [{"step": 0, "loss": 1.0, "fresh_loss": 1.0}, {"step": 1, "loss": 1e-12, "fresh_loss": 2e-12}]
    rows += [{"step": k, "loss": 1e-17, "fresh_loss": loss} for k, loss in enumerate(fresh, start=2)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for length in range(1, len(rows) + 1):
            watch.warn(rows[:length], lambda: [])
    assert bool(caught) == said


def test_warnings_point_at_the_line_that_calls_fit(make_model):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(
            FunctionApproximation(num_points=8),
            make_model((20, 20)),
            steps(),
            num_steps=80,
            key=jax.random.key(0),
            evaluate_every=10,
            progress=False,
        )
    assert [w.filename for w in caught if w.category is FitWarning] == [__file__] * 2


def test_fresh_loss_tells_the_error_that_the_loss_does_not(train, make_model):
    problem = FunctionApproximation(num_points=8)
    result = train(steps(), 80, problem=problem, model=make_model((20, 20)), evaluate_every=10)
    points = problem.domain.grid(2001, jnp.float32)
    exact = problem.exact(points)
    measured = jnp.mean((result.model(points) - exact) ** 2)
    assert 0.1 < result.final["fresh_loss"] / measured < 10


def test_fresh_points_differ_between_evaluations_and_can_be_left_out(train):
    result = train(optax.sgd(0.0), 6, evaluate_every=1)
    fresh = result.curve("fresh_loss")[1]
    assert len(np.unique(fresh)) == len(fresh)
    assert len(np.unique(result.curve("loss")[1])) == 1
    assert "fresh_loss" not in train(optax.sgd(0.0), 2, fresh_loss=False).final


@pytest.mark.long
def test_a_bound_of_the_learning_rate_is_noticed(train):
    _, messages = said(train, steps(initial_learning_rate=1e-4, max_learning_rate=1e-3), 10)
    assert any("stands at the bound 1.0e-03" in message for message in messages)


@pytest.mark.long
@pytest.mark.parametrize("saturated", [False, True])
def test_a_stationary_point_far_from_a_solution_is_noticed_once(train, make_model, saturated):
    @dataclasses.dataclass(frozen=True)
    class Line(FunctionApproximation):
        def conditions(self):
            other = 1 if saturated else -1  # a contradiction
            lines = lambda u, x: jnp.concatenate([u(x) - x, u(x) - other * x])
            return {"data": Condition(lines, self.domain, 100)}

    model = make_model((4,))
    if saturated:  # every tanh is 1, to rounding
        model.layers[0].bias[...] = jnp.full((4,), 100.0)
    _, messages = said(train, steps(), 60, problem=Line(), model=model, evaluate_every=10)
    assert sum("nothing is left to gain at any learning rate" in message for message in messages) == 1


@dataclasses.dataclass(frozen=True)
class Root(Problem):
    """u' = √u, which an odd network cannot begin with."""

    domain = Box((-1.0,), (1.0,))

    def conditions(self):
        return {
            "equation": Condition(lambda u, x: jnp.sqrt(u(x)) - 1, self.domain, 20),
            "value": Condition(lambda u, x: u(x) - 1, self.domain.face(0, "lower"), 1),
        }


@pytest.mark.parametrize("optimizer", [optax.adam(1e-3), steps()], ids=["adam", "gauss_newton"])
def test_what_is_not_finite_at_the_start_is_named_before_compiling(train, optimizer):
    result, messages = said(train, optimizer, 5, problem=Root())
    assert result.stop_reason == "not_finite_at_start"
    assert "not finite at the start" in result.stop_message
    assert any("condition 'equation' is not finite at the start" in message for message in messages)
    assert result.num_steps == 0
    assert len(result.history) == 1


def test_large_coordinates_are_noticed(train):
    @dataclasses.dataclass(frozen=True)
    class Far(FunctionApproximation):
        domain = Box((0.0,), (6000.0,))

    _, messages = said(train, optax.sgd(0.0), 1, problem=Far())
    assert any("coordinates of the domain reach 6000" in message for message in messages)


def test_a_training_stops_on_the_fresh_loss(train):
    result = train(optax.adam(1e-2), 500, evaluate_every=10, stop=Stop(fresh_loss=0.5))
    assert result.stop_reason == "fresh_loss"
    assert result.final["fresh_loss"] <= 0.5
    assert result.num_steps < 500


def test_a_training_that_stands_still_stops(train):
    result = train(optax.sgd(0.0), 500, evaluate_every=1, fresh_loss=False, stop=Stop(patience=4))
    assert result.stop_reason == "stagnation"
    assert result.num_steps == 4
    assert train(optax.adam(1e-2), 20, evaluate_every=1, stop=Stop(patience=10)).stop_reason == "num_steps"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stop": Stop(fresh_loss=1.0), "fresh_loss": False}, ValueError, "needs fit"),
        ({"stop": Stop(seconds=1.0), "time_limit": 1.0}, ValueError, "not target and time_limit beside it"),
        ({"stop": Stop(rel_l2=1.0), "problem": Root()}, ValueError, "needs a problem with an exact solution"),
        ({"steps_per_epoch": 3}, TypeError, "fit has no option steps_per_epoch"),
    ],
)
def test_options_that_contradict_each_other_are_refused(train, options, error, message):
    with pytest.raises(error, match=message):
        train(optax.adam(1e-3), 2, **options)


@pytest.mark.parametrize("name", ["rel_l2", "fresh_loss", "seconds", "patience"])
def test_a_stop_needs_positive_numbers(name):
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        Stop(**{name: 0})


def test_coordinates_that_fall_together_are_noticed(train):
    """Seconds since 1970 are 128 apart in float32, in the network between scalings too."""

    @dataclasses.dataclass(frozen=True)
    class Late(FunctionApproximation):
        domain = Box((1.7e9,), (1.7e9 + 100,))
        scales_inputs = True

    _, messages = said(train, optax.sgd(0.0), 1, problem=Late())
    assert any("where numbers of type float32 are 2e+02 apart" in message for message in messages)
