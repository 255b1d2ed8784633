import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import implicit_step, isgd_adam, isgd_lbfgs
from pinns import MLP, FunctionApproximation, Sampling, SingularlyPerturbedODE, data_key, fit
from pinns._points import PointSource
from pinns._train_step import make_chunk, start
from pinns._weights import WeightRule

KEY = jax.random.key(0)
PROBLEM = SingularlyPerturbedODE(epsilon=2.0, num_points=24)


def small_model(**options):
    return MLP(1, [8, 8], 1, rngs=nnx.Rngs(0), **options)


@pytest.mark.long
def test_adam_is_that_of_a_hand_written_loop(train):
    result = train(optax.adam(1e-2), 50)
    model = small_model()
    params = nnx.state(model, nnx.Param)
    loss = PROBLEM.loss(model, PROBLEM.sample(data_key(KEY)))
    adam = optax.adam(1e-2)
    state = adam.init(params)

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = adam.update(grad, state, params)
        return optax.apply_updates(params, updates), state, value

    for _ in range(50):
        params, state, _ = step(params, state)
    for ours, theirs in zip(jax.tree.leaves(result.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(result.final["loss"], loss(result.params), rtol=1e-5)


OPTIMIZERS = {
    "adam": (optax.adam(1e-2), 30),
    "lbfgs": (optax.lbfgs(), 20),
    "isgd_adam": (isgd_adam(0.5, num_implicit_steps=3, num_inner_steps=10, safeguard=False), 20),
    "isgd_lbfgs": (isgd_lbfgs(0.5, num_implicit_steps=3, num_inner_steps=10), 10),
    "implicit sgd": (implicit_step(optax.sgd(1e-3), 0.5, max_inner_steps=5, store_grad=True), 10),
}


@pytest.mark.long
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_reduces_the_loss(train, name):
    optimizer, num_steps = OPTIMIZERS[name]
    result = train(optimizer, num_steps)
    assert result.stop_reason == "num_steps"
    assert result.num_steps == num_steps
    assert result.final["loss"] < 0.9 * result.history[0]["loss"]
    loss = PROBLEM.loss(small_model(), PROBLEM.sample(data_key(KEY)))
    np.testing.assert_allclose(result.final["loss"], loss(result.params), rtol=1e-5)


@pytest.mark.long
def test_gradients_are_counted(train):
    assert train(optax.adam(1e-2), 30).final["num_gradients"] == 30
    assert train(*OPTIMIZERS["isgd_adam"]).final["num_gradients"] == 3 * (1 + 10) + 17
    # One gradient at the start; then at least one per line search, whose last one the next step reuses.
    assert train(*OPTIMIZERS["lbfgs"]).final["num_gradients"] >= 1 + 20


@pytest.mark.long
def test_history_has_a_row_per_evaluation_and_tells_of_implicit_steps(train):
    result = train(*OPTIMIZERS["isgd_adam"], evaluate_every=[1, 3, 12])
    assert [row["step"] for row in result.history] == [0, 1, 3, 12, 20]
    assert result.history[1]["learning_rate"] == 0.5
    assert result.history[1]["num_inner_steps"] == 10
    assert result.history[2]["accepted"] == 1.0
    assert "learning_rate" not in result.history[4]
    steps, errors = result.curve("rel_l2")
    assert steps.tolist() == [0, 1, 3, 12, 20]
    assert np.isfinite(errors).all()
    assert np.isnan(result.curve("residual")[1]).tolist() == [True, False, False, True, True]
    seconds = result.curve("seconds")[1]
    assert np.all(np.diff(seconds) > 0)
    assert result.train_seconds == seconds[-1]
    assert result.compile_seconds > 0


def test_error_is_measured_against_the_exact_solution(train):
    result = train(optax.adam(1e-2), 10)
    x = jnp.linspace(0, 1, 1001)[:, None]
    difference = result.model(x) - jax.vmap(PROBLEM.exact)(x)
    exact = jax.vmap(PROBLEM.exact)(x)
    np.testing.assert_allclose(
        result.final["rel_l2"], jnp.linalg.norm(difference) / jnp.linalg.norm(exact), rtol=1e-4
    )
    np.testing.assert_allclose(result.final["max_error"], jnp.max(jnp.abs(difference)), rtol=1e-4)


def test_model_passed_in_is_left_alone():
    model = small_model()
    before = jax.tree.map(np.array, nnx.state(model, nnx.Param))
    result = fit(PROBLEM, model, optax.adam(1e-2), num_steps=3, key=KEY, progress=False)
    after = nnx.state(model, nnx.Param)
    assert all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    )
    assert not np.array_equal(result.model.layers[0].kernel[...], model.layers[0].kernel[...])


@pytest.mark.usefixtures("x64")
def test_float64_network_trains_in_float64():
    result = fit(
        PROBLEM, small_model(dtype=jnp.float64), optax.adam(1e-2), num_steps=3, key=KEY, progress=False
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(result.params)} == {np.dtype("float64")}


def batches(batch_size, num_steps, resample_every=None, num_points=10):
    """The points that every step of a run sees, as recorded by an optimiser."""
    problem = FunctionApproximation(num_points=num_points)
    model = small_model()
    seen = []

    def update(updates, state, params, *, value_fn, **extra_args):
        jax.debug.callback(lambda x: seen.append(np.sort(x[:, 0])), value_fn.blocks[0].points, ordered=True)
        return jax.tree.map(jnp.zeros_like, updates), state

    optimizer = optax.GradientTransformationExtraArgs(lambda params: (), update)
    plan = Sampling(batch_size=batch_size, resample_every=resample_every)
    params = nnx.state(model, nnx.Param)
    loss = lambda points, weights=None: problem.loss(model, points, weights)
    source = PointSource(problem, plan, loss, params, KEY, jnp.float32)
    rule = WeightRule(problem, None, loss)
    state = start(params, optimizer, source, rule, KEY)
    chunk = jax.jit(make_chunk(loss, optimizer, source, rule), static_argnums=1)
    jax.block_until_ready(chunk(state, num_steps))
    jax.effects_barrier()
    return seen, np.sort(np.asarray(state.points["data"])[:, 0])


def test_mini_batches_visit_every_point_once_an_epoch():
    seen, points = batches(batch_size=5, num_steps=6)
    epochs = [np.sort(np.concatenate(seen[i : i + 2])) for i in (0, 2, 4)]
    for epoch in epochs:
        np.testing.assert_array_equal(epoch, points)
    assert not np.array_equal(seen[0], seen[2])


def test_points_stay_unless_resampled():
    seen, points = batches(batch_size=None, num_steps=4)
    assert all(np.array_equal(batch, points) for batch in seen)
    seen, _ = batches(batch_size=None, num_steps=6, resample_every=2)
    assert [np.array_equal(a, b) for a, b in itertools.pairwise(seen)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_one_mini_batch_serves_the_whole_inner_loop(train):
    problem = FunctionApproximation(num_points=10)
    seen = []

    def spy(updates, state, params, *, value_fn, **extra_args):
        points = value_fn.value_fn.blocks[0].points
        jax.debug.callback(lambda x: seen.append(np.array(x)), points, ordered=True)
        return jax.tree.map(lambda u: -1e-3 * u, updates), state

    inner = optax.GradientTransformationExtraArgs(lambda params: (), spy)
    train(implicit_step(inner, 0.5, max_inner_steps=3, rtol=0.0), 2, problem=problem, batch_size=5)
    jax.effects_barrier()
    assert len(seen) == 6
    assert all(np.array_equal(seen[0], x) for x in seen[:3])
    assert all(np.array_equal(seen[3], x) for x in seen[3:])
    assert not np.array_equal(seen[0], seen[3])


def test_chunks_of_one_length_are_compiled_once(train):
    traces = []

    def update(updates, state, params=None, **extra_args):
        traces.append(1)
        return updates, state

    optimizer = optax.chain(optax.GradientTransformationExtraArgs(lambda p: (), update), optax.sgd(1e-4))
    train(optimizer, 40, evaluate_every=10)
    assert len(traces) == 1


def test_target_ends_training(train):
    result = train(optax.adam(1e-2), 500, evaluate_every=10, target=0.45)
    assert result.stop_reason == "target"
    assert result.final["rel_l2"] <= 0.45
    assert result.num_steps < 500


def test_time_limit_ends_training(train):
    result = train(optax.adam(1e-2), 10_000, evaluate_every=10, time_limit=1e-6)
    assert result.stop_reason == "time_limit"
    assert result.num_steps == 10


def test_divergence_keeps_the_last_good_parameters(train):
    result = train(optax.sgd(1e6), 100, evaluate_every=1)
    assert result.stop_reason == "diverged"
    assert result.num_steps < 100
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params))
    assert result.final["step"] == result.num_steps
    assert np.isfinite(result.final["loss"])


def test_progress_can_be_shown_and_turned_off(train, capsys):
    train(optax.adam(1e-2), 10, progress=False)
    assert capsys.readouterr().err == ""
    train(*OPTIMIZERS["isgd_adam"], progress=True, description="my run", evaluate_every=2)
    shown = capsys.readouterr().err
    for word in ("my run", "20/20", "loss", "error", "α 0.5, 10 inner steps, residual"):
        assert word in shown


def test_on_evaluation_gets_the_history(train):
    lengths = []
    train(optax.adam(1e-2), 30, evaluate_every=10, on_evaluation=lambda history: lengths.append(len(history)))
    assert lengths == [2, 3, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1"),
        ({"evaluate_every": 0}, "evaluate_every must be at least 1"),
        ({"resample_every": 0}, "resample_every must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": {"pde": 25}}, "between 1 and its 24 points"),
        ({"batch_size": {"interior": 5}}, "the conditions are"),
        ({"sampling": "halton"}, "method must be one of"),
    ],
)
def test_bad_input_is_refused(train, options, message):
    options = {"num_steps": 2} | options
    with pytest.raises(ValueError, match=message):
        train(optax.adam(1e-2), options.pop("num_steps"), **options)
