"""The trajectory of a training: what fit computes, and how often it evaluates and compiles."""

import collections
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import implicit_step, isgd_adam, isgd_lbfgs, switch_after
from pinns import Box, Condition, Problem, SingularlyPerturbedODE, data_key

SOLVERS = {
    "adam": lambda: optax.adam(1e-2),
    "momentum": lambda: optax.sgd(1e-3, momentum=0.9),
    "lbfgs": lambda: optax.lbfgs(memory_size=5),
    "backtracking": lambda: optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(60)),
    "implicit": lambda: implicit_step(optax.sgd(1e-3), 0.1, max_inner_steps=5),
    "isgd_adam": lambda: isgd_adam(0.5, num_implicit_steps=6, num_inner_steps=4),
    "isgd_lbfgs": lambda: isgd_lbfgs(0.5, num_implicit_steps=6, num_inner_steps=4),
}


def step_by_hand(problem, model, optimizer, points, num_steps):
    """The training loop that optax's users write; gives the parameters after every step."""
    loss = problem.loss(model, points)
    optimizer = optax.with_extra_args_support(optimizer)

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(params, updates), state

    params = nnx.state(model, nnx.Param)
    state = optimizer.init(params)
    trajectory = [params]
    for _ in range(num_steps):
        params, state = step(params, state)
        trajectory.append(params)
    return trajectory


@pytest.mark.long
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * ("lbfgs" in n)) for n in SOLVERS]
)
def test_fit_is_the_loop_one_writes_by_hand(name, ode, make_model, train, x64):
    model = make_model(dtype=jnp.float64)
    result = train(SOLVERS[name](), model=model, evaluate_every=4)
    points = ode.sample(data_key(jax.random.key(0)), dtype=jnp.float64)
    trajectory = step_by_hand(ode, model, SOLVERS[name](), points, 12)
    for a, b in zip(jax.tree.leaves(result.params), jax.tree.leaves(trajectory[-1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
    loss = ode.loss(model, points)
    assert [row["step"] for row in result.history] == [0, 4, 8, 12]
    for row in result.history:
        np.testing.assert_allclose(row["loss"], loss(trajectory[row["step"]]), rtol=1e-7)
    assert result.final["loss"] < result.history[0]["loss"]


@pytest.mark.long
def test_adam_solves_the_smooth_ode(make_model, train):
    problem = SingularlyPerturbedODE(2.0, num_points=50)
    schedule = optax.cosine_decay_schedule(1e-2, 1500)
    result = train(optax.adam(schedule), problem=problem, model=make_model((16, 16)), num_steps=1500)
    assert result.final["loss"] < 1e-3 * result.history[0]["loss"]
    assert result.final["rel_l2"] < 0.02
    assert result.stop_reason == "num_steps"
    assert result.num_steps == 1500
    assert len(result.history) == 101  # a hundred chunks and the start


def test_everything_is_float64_where_the_network_is(make_model, train, x64):
    model = make_model((6,), dtype=jnp.float64)
    result = train(optax.adam(1e-3), model=model)
    assert {leaf.dtype for leaf in jax.tree.leaves(result.params)} == {np.dtype("float64")}
    np.testing.assert_allclose(sum(result.final["losses"].values()), result.final["loss"], rtol=1e-14)


def test_the_given_network_is_left_as_it_is(make_model, train, assert_equal):
    model = make_model()
    before = jax.tree.map(np.array, nnx.state(model))
    result = train(optax.adam(1e-2), model=model)
    assert_equal(jax.tree.map(np.asarray, nnx.state(model)), before)
    assert_equal(nnx.state(result.model, nnx.Param), result.params)
    assert result.model is not model
    assert any(jnp.any(a != b) for a, b in zip(*map(jax.tree.leaves, (before, result.params)), strict=True))


COUNTS = collections.Counter()


@dataclasses.dataclass(frozen=True)
class Counting(Problem):
    """One point; every evaluation of its residual is counted where it runs."""

    name: str
    domain = Box((0.0,), (1.0,))

    def conditions(self):
        return {"data": Condition(self.data, self.domain, 1)}

    def data(self, u, x):
        COUNTS[self.name, "traced"] += 1
        jax.debug.callback(lambda: COUNTS.update([self.name]))
        return u(x) - 1 - x**2


@pytest.mark.long
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: optax.adam(1e-2), 12),
        (lambda: isgd_adam(0.5, num_implicit_steps=6, num_inner_steps=4), 6 * (1 + 4) + 6),
        (lambda: optax.lbfgs(), None),
        (lambda: isgd_lbfgs(0.5, num_implicit_steps=6, num_inner_steps=4), None),
        (lambda: switch_after(4, optax.lbfgs(), optax.adam(1e-3)), None),
        (lambda: implicit_step(optax.sgd(1e-2), 0.5, max_inner_steps=7, rtol=1e-2), None),
        (lambda: implicit_step(optax.sgd(1e-2), 0.5, max_inner_steps=7, store_grad=True), None),
    ],
    ids=["adam", "isgd_adam", "lbfgs", "isgd_lbfgs", "lbfgs then adam", "implicit", "implicit, stored"],
)
def test_gradients_are_counted_as_they_are_evaluated(make, expected, train, request):
    problem = Counting(request.node.name)
    result = train(make(), problem=problem, evaluate_every=4)
    jax.effects_barrier()
    evaluations = COUNTS[problem.name] - 4 * len(result.history)  # loss and its blocks, on two sets of points
    evaluations -= 2  # and at other parameters, to see whether they matter
    if "stored" in problem.name:
        # The loss alone, by which each step sees whether what is stored is current.
        evaluations -= result.num_steps
    assert result.final["num_gradients"] == evaluations
    if expected is not None:
        assert evaluations == expected


def test_a_stored_gradient_is_counted_in_the_step_that_evaluates_it(train):
    search = optax.scale_by_backtracking_linesearch(30, store_grad=True)
    result = train(optax.chain(optax.sgd(1.0), search), 20)
    assert result.final["num_gradients"] == 21  # and one at the start


def test_chunks_of_one_length_are_compiled_once(train):
    traces = {}
    for num_steps in (10, 100):
        problem = Counting(f"compiled {num_steps}")
        result = train(optax.adam(1e-3), problem=problem, num_steps=num_steps, evaluate_every=5)
        traces[num_steps] = COUNTS[problem.name, "traced"]
        assert len(result.history) == 1 + num_steps // 5
    assert traces[10] == traces[100]
