"""What would otherwise train to a wrong answer without a word."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import (
    MLP,
    AdaptiveSampling,
    AdaptiveWeights,
    Box,
    Condition,
    FitWarning,
    FixedPoints,
    Problem,
    Unknown,
    fit,
    fit_in_slabs,
    gradient,
    second_derivatives,
)

KEY = jax.random.key(0)
LINE = Box((0.0,), (1.0,))


def problem_of(regions=None, **residuals):
    conditions = {n: Condition(r, (regions or {}).get(n, LINE), 6) for n, r in residuals.items()}
    names = {"domain": LINE, "conditions": lambda self: conditions}
    return dataclasses.dataclass(frozen=True)(type("Given", (Problem,), names))()


def train(problem, model=None, optimizer=None, num_steps=2, **options):
    model = MLP(1, [4], 1, rngs=nnx.Rngs(0)) if model is None else model
    options = {"key": KEY, "progress": False} | options
    return fit(problem, model, optimizer or optax.adam(1e-3), num_steps=num_steps, **options)


def steps():
    return implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True)


def test_statistics_of_a_linen_module_are_not_trained():
    class Network(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.BatchNorm(use_running_average=True)(linen.Dense(4)(x)[None])[0]
            return linen.Dense(1)(jnp.tanh(x))

    module = Network()
    variables = module.init(KEY, jnp.zeros(1))
    problem = problem_of(a=lambda u, x: u(x) - 1)
    with pytest.raises(TypeError, match="the variables hold batch_stats beside params"):
        train(problem, (module.apply, variables))
    rest = {"batch_stats": variables["batch_stats"]}
    apply = lambda params, x: module.apply({**rest, "params": params}, x)
    assert train(problem, (apply, variables["params"])).stop_reason == "num_steps"


def test_a_residual_that_no_parameter_changes():
    model = MLP(1, [4], 1, activation=jax.nn.relu, rngs=nnx.Rngs(0))
    problem = problem_of(a=lambda u, x: second_derivatives(u, x)[2][0] - 1, b=lambda u, x: u(x))
    with pytest.warns(FitWarning, match="condition 'a' does not depend on the network's parameters"):
        train(problem, model)


def test_a_condition_without_gradient_does_not_take_all_weight():
    problem = problem_of(a=lambda u, x: u(x) - 1, hard=lambda u, x: 0 * u(x), b=lambda u, x: u(x) - x)
    # Nor does its weight count for the others, however large.
    problem.conditions()["hard"] = dataclasses.replace(problem.conditions()["hard"], weight=100.0)
    result = train(problem, num_steps=20, weights=AdaptiveWeights(every=2, rate=0.9))
    weights = result.final["weights"]
    assert weights["hard"] == 100.0
    assert max(weights["a"], weights["b"]) == pytest.approx(1.0)
    assert min(weights["a"], weights["b"]) > 0.1


def test_data_of_another_unit():
    data = FixedPoints(1000 * np.linspace(0, 1, 5)[:, None], np.ones(5))
    problem = problem_of({"data": data}, data=lambda u, p: u(p["x"]) - p["value"], a=lambda u, x: u(x))
    with pytest.warns(
        FitWarning, match="'data' reach from 0 to 1000 along coordinate 0, the domain from 0 to 1"
    ):
        train(problem)


@dataclasses.dataclass(frozen=True)
class Delay(Problem):
    """u' = −u(t − 1), u = 1 for t ≤ 0."""

    domain = Box((0.0,), (2.0,))

    def conditions(self):
        start = Condition(self.start, self.domain.face(0, "lower"), 1)
        return {"eq": Condition(self.eq, self.domain, 40), "start": start}

    def eq(self, u, x):
        return gradient(u, x)[1][0] + jnp.where(x[0] < 1.0, 1.0, u(x - 1.0))

    def start(self, u, x):
        return u(x) - 1.0

    def exact(self, x):
        t = x[0]
        return jnp.where(t < 1, 1 - t, 1 - t + (t - 1) ** 2 / 2)[None]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:at step .* the learning rate stands at the bound")
@pytest.mark.parametrize("edge", [pytest.param(1.0, marks=pytest.mark.slow), 1.5])
def test_what_came_before_a_slab_is_seen_by_a_residual_that_looks_back(edge, x64):
    model = MLP(1, [12], 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
    result = fit_in_slabs(
        Delay(), model, steps(), num_steps=40, slabs=[edge], key=KEY, sampling="sobol", progress=False
    )
    assert all(part.final["loss"] < 1e-5 for part in result.results)
    assert result.errors().rel_l2 < 2e-3  # 0.14 to 0.7 where each slab knows itself alone


@pytest.mark.long
def test_bfloat16_beside_a_stored_gradient():
    """Optax reads a stored value in the dtype of the loss alone."""
    model = MLP(1, [4], 1, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    result = train(problem_of(a=lambda u, x: u(x) - x), model, steps(), num_steps=5)
    assert result.final["loss"] < result.history[0]["loss"]


@dataclasses.dataclass(frozen=True)
class Decay(Problem):
    """y' = −k y with k = 3, from data with noise of 0.02."""

    domain = Box((0.0,), (1.0,))

    def unknowns(self):
        return {"k": 1.0}

    def conditions(self):
        t = np.linspace(0.0, 1.0, 40)
        noise = 0.02 * np.random.default_rng(0).normal(size=40)
        data = FixedPoints(t[:, None], 2 * np.exp(-3 * t) + noise)
        return {
            "eq": Condition(self.eq, self.domain, 60, weight=100.0),
            "data": Condition(self.data, data, 40, noisy=True),
        }

    def eq(self, u, x):
        value, first = gradient(u, x)
        return first[0] + u.unknowns["k"] * value

    def data(self, u, p):
        return u(p["x"]) - p["value"]


@pytest.mark.long
def test_intervals_of_a_training_that_has_not_arrived_are_doubted(x64):
    model = MLP(1, [8], 1, dtype=jnp.float64, rngs=nnx.Rngs(0))
    early = train(Decay(), model, steps(), num_steps=2)
    with pytest.warns(FitWarning, match="moves k by more than a standard error"):
        early.intervals()
    result = train(Decay(), model, steps(), num_steps=60)
    low, high = result.intervals()["k"]
    assert low < 3 < high
    known = result.intervals(noise_std={"data": 0.02})["k"]
    twice = result.intervals(noise_std={"data": 0.04})["k"]
    assert known[1] - known[0] == pytest.approx(high - low, rel=0.4)
    assert twice[1] - twice[0] == pytest.approx(2 * (known[1] - known[0]))


def test_a_callback_measures_and_ends_the_training():
    seen = []

    def watch(history, model):
        seen.append((history[-1]["step"], float(model(jnp.zeros(1))[0])))
        return len(seen) == 3

    result = train(problem_of(a=lambda u, x: u(x) - 1), num_steps=10, evaluate_every=1, on_evaluation=watch)
    assert [step for step, _ in seen] == [1, 2, 3]
    assert result.stop_reason == "on_evaluation"
    assert len({value for _, value in seen}) == 3


def test_nothing_is_lost_where_a_callback_fails(tmp_path):
    def fails(history):
        raise KeyError("metric")

    problem, options = problem_of(a=lambda u, x: u(x) - 1), {"num_steps": 4, "evaluate_every": 2}
    options |= {"checkpoint_dir": tmp_path, "checkpoint_seconds": 0.0}
    with pytest.raises(KeyError, match="metric"):
        train(problem, on_evaluation=fails, **options)
    assert [row["step"] for row in train(problem, **options).history] == [0, 2, 4]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Box((0.0,), (jnp.inf,)), ValueError, "finite corners.*cut the domain off"),
        (lambda: FixedPoints(np.zeros((2, 1)), [1.0, np.nan]), ValueError, "1 of 2 rows.*the first is row 1"),
        (lambda: FixedPoints(np.array([["2020-01-01"]], "datetime64[D]")), ValueError, "divide by a unit"),
        (lambda: gradient(lambda x: x, jnp.zeros((5, 1))), ValueError, r"shape \(5, 1\).*jax.vmap"),
        (lambda: gradient(lambda x: x, [0.0]), ValueError, "got a list"),
        (lambda: gradient(lambda x: x, jnp.zeros(2), axes=1), ValueError, r"axes=\(1,\)"),
        (lambda: Condition(lambda u, x: x, LINE, 40.0), TypeError, "num_points must be an integer"),
        (lambda: Condition(lambda u, x: x, LINE, 4, weight=[1.0, 2.0]), TypeError, "multiply the residual"),
        (lambda: Unknown("1"), TypeError, "a real number to start from"),
        (lambda: AdaptiveSampling(conditions="pde"), TypeError, r"conditions=\('pde',\)"),
        (lambda: train(problem_of()), TypeError, "got none"),
    ],
)
def test_messages(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("residual", "note"),
    [
        (lambda u, x: u.unknowns["k"] * u(x), "def unknowns"),
        (lambda u, x: u["v"](x), "as a dictionary"),
        (lambda u, x: u(jnp.concatenate([x, x])), "take as many inputs"),
    ],
)
def test_what_a_failing_residual_most_often_lacks(residual, note):
    with pytest.raises((AttributeError, TypeError)) as caught:
        train(problem_of(a=residual))
    assert note in caught.value.__notes__[0]
