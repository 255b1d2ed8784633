"""Numbers, answers and settings that users give to fit, and what comes of those that are unfit."""

import dataclasses
import itertools
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import (
    MLP,
    AdaptiveSampling,
    AdaptiveWeights,
    Box,
    Burgers,
    FunctionApproximation,
    OscillatorInverse,
    PeriodicHelmholtz2D,
    PoissonND,
    Sampling,
    Stop,
    data_key,
    fit_in_slabs,
    num_parameters,
    plot_history,
    scaled,
)
from pinns._interrupt import Interrupt
from pinns._train_step import _added, as_number

SGD = optax.sgd(0.0)


@pytest.mark.slow
def test_many_dimensions_cost_no_more_points_than_asked_for(train, make_model):
    """Grids have 2⁴⁰ points there at the least."""
    for sampling in ("uniform", "sobol"):
        problem = PoissonND(40, num_points=5, num_boundary_points=5)
        result = train(SGD, 2, problem=problem, model=make_model(dim=40), sampling=sampling)
        assert result.num_steps == 2


def test_a_sampler_of_ones_own_is_asked_for_the_points_of_the_training_only(train):
    asked = []

    def halves(key, num_points, dim, dtype):
        asked.append(num_points)
        return jnp.full((num_points, dim), 0.5, dtype)

    with pytest.raises(ValueError, match="gives the same points every time"):
        train(SGD, 2, sampling=Sampling(method=halves, resample_every=1))
    problem = FunctionApproximation(num_points=20)
    asked.clear()
    train(SGD, 2, problem=problem, sampling=Sampling(method=halves), fresh_loss=False)
    assert set(asked) == {20}


@pytest.mark.slow
def test_auto_counts_what_is_given_apart(train, make_model):
    problem, model = OscillatorInverse(), make_model((20, 20))
    result = train(SGD, 1, problem=problem, model=model, sampling=Sampling(num_points="auto"))
    residuals = sum(block.residuals(result.params).size for block in result.loss.blocks)
    wanted = 2 * (num_parameters(model) + len(problem.unknowns()))
    assert wanted <= residuals < 1.3 * wanted


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sampling(resample_every=2.5),
        lambda: Sampling(batch_size={"pde": 2.5}),
        lambda: Sampling(batch_size=2.5),
        lambda: Sampling(num_points={"pde": 2.5}),
        lambda: AdaptiveSampling(every=1.5),
        lambda: AdaptiveSampling(pool=2.5),
        lambda: AdaptiveWeights(every=1.5),
    ],
)
def test_counts_are_whole_numbers(make):
    with pytest.raises(TypeError, match=r"must be a whole number, got [12]\.5"):
        make()


@pytest.mark.long
def test_only_true_ends_a_training(train):
    assert train(SGD, 4, evaluate_every=1, on_evaluation=lambda history: np.False_).num_steps == 4
    for yes in (True, np.True_, jnp.asarray(True)):
        assert train(SGD, 4, evaluate_every=1, on_evaluation=lambda history, yes=yes: yes).num_steps == 1
    with pytest.raises(TypeError, match="on_evaluation must return True"):
        train(SGD, 4, evaluate_every=1, on_evaluation=len)


def test_a_run_that_did_not_measure_what_a_stop_looks_at_goes_on(train, tmp_path):
    train(optax.adam(1e-2), 4, checkpoint_dir=tmp_path, fresh_loss=False)
    stop = Stop(fresh_loss=1e-9)
    result = train(optax.adam(1e-2), 8, checkpoint_dir=tmp_path, stop=stop, evaluate_every=4)
    assert [row["step"] for row in result.history if "fresh_loss" in row] == [4, 8]


def test_names_that_fit_records_are_taken(train, tmp_path):
    with pytest.raises(ValueError, match="identity: key are what fit itself records"):
        train(SGD, 2, checkpoint_dir=tmp_path, identity={"key": "mine"})


def slabs(**options):
    model = MLP(1, [8], 1, rngs=nnx.Rngs(0))
    settings = {"num_steps": 6, "slabs": [0.5], "initial": ["data"], "progress": False, "evaluate_every": 3}
    settings |= {"model": model} | options
    problem = settings.pop("problem", FunctionApproximation(num_points=20))
    return fit_in_slabs(problem, settings.pop("model"), SGD, key=jax.random.key(0), **settings)


@pytest.mark.long
def test_what_ends_one_slab_ends_all():
    press = lambda history: os.kill(os.getpid(), signal.SIGINT) if history[-1]["step"] == 6 else None
    result = slabs(on_evaluation=press)
    assert [r.stop_reason for r in result.results] == ["interrupted"]
    for step in (3, 6):  # with others to go, and none
        result = slabs(on_evaluation=lambda history, step=step: history[-1]["step"] == step)
        assert [r.stop_reason for r in result.results] == ["on_evaluation"]
    press = lambda history: os.kill(os.getpid(), signal.SIGINT)
    result = slabs(on_evaluation=press, stop=Stop(seconds=1e-9))
    assert [r.stop_reason for r in result.results] == ["interrupted"]


@pytest.mark.long
def test_slabs_begin_from_a_result_and_are_evaluated_at_numpy_points():
    result = slabs(model=slabs().results[0])
    assert len(result.results) == 2
    assert result.at(np.linspace(0, 1, 5)[:, None]).shape == (5, 1)


def test_a_computed_domain_is_restricted_by_the_class_alone():
    @dataclasses.dataclass(frozen=True)
    class Computed(FunctionApproximation):
        @property
        def domain(self):
            return Box((0.0,), (1.0,))

    with pytest.raises(TypeError, match=r"Computed.domain is a property: define restricted\(domain\)"):
        slabs(problem=Computed())


def test_points_of_scaled_are_not_the_weights_of_the_network():
    """As both would be, drawn from one key: the sizes would be those of this one network."""
    seen = []

    class Watched(FunctionApproximation):
        def sample(self, key, **options):
            seen.append(key)
            return super().sample(key, **options)

    key = jax.random.key(0)
    scaled(Watched(), MLP(1, [8], 1, rngs=nnx.Rngs(0)), key)
    assert seen[0] not in [key, *jax.random.split(key), *jax.random.split(key, 3)]
    assert seen[0] == jax.random.split(data_key(key))[0]


def test_histories_with_and_without_errors_are_drawn_together(train, no_open_figures):
    @dataclasses.dataclass(frozen=True)
    class Without(FunctionApproximation):
        def data(self, u, x):
            return u(x) - x

        def exact(self, x):
            return None

    figure = plot_history({"with": train(SGD, 2), "without": train(SGD, 2, problem=Without())})
    assert [len(axis.lines) for axis in figure.axes] == [4, 1]


def test_gradients_are_counted_beyond_what_float32_holds():
    count, step = jnp.array([127, 2**24 - 1], jnp.int32), jax.jit(_added)
    expected = 127 * 2**24 + 2**24 - 1
    for added in (1, 101, 2**24 + 3):
        count, expected = step(count, jnp.asarray(added)), expected + added
        assert as_number(count) == expected


def test_a_handler_from_outside_of_python_is_left_alone(monkeypatch):
    def install(number, handler):
        if handler is None:
            raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")

    monkeypatch.setattr(signal, "signal", install)
    with Interrupt() as interrupt:
        assert not interrupt.requested


def test_float32_points_of_a_face_lie_in_the_box(x64):
    for side, upper in itertools.product(("lower", "upper"), (0.1, 0.3, 0.7)):
        box = Box((-upper,), (upper,))
        points = box.face(0, side).sample(jax.random.key(0), 1, "uniform", jnp.float32)
        assert box.contains(points[0])


def test_closed_forms_are_given_where_they_hold():
    assert Burgers(1e-4).exact(jnp.zeros(2)) is None
    x, t, nu = 0.25, 0.5, 5e-4
    y = np.linspace(-2, 2, 200_001)
    exponent = -np.cos(np.pi * y) / (2 * np.pi * nu) - (x - y) ** 2 / (4 * nu * t)
    w = np.exp(exponent - exponent.max())
    expected = -np.sum(w * np.sin(np.pi * y)) / np.sum(w)
    np.testing.assert_allclose(Burgers(nu).exact(jnp.array([x, t]))[0], expected, rtol=1e-4)
    with pytest.raises(ValueError, match=r"a1 must be an integer .*got 0\.5"):
        PeriodicHelmholtz2D(a1=0.5)


@pytest.mark.slow
def test_devices_tell_meshes_apart(train):
    """Their axes and sizes do not."""
    found, cpus = [], jax.devices("cpu")
    for devices in (cpus[:2], cpus[2:4], cpus[1::-1]):
        mesh = jax.sharding.Mesh(np.array(devices), ("points",))
        found.append(train(optax.adam(1e-2), 4, mesh=mesh).final["loss"])
    np.testing.assert_allclose(found, found[0], rtol=1e-5)
