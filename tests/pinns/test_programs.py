"""Compiled programs that are shared between functions which differ in arrays alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import MLP, SingularlyPerturbedODE, data_key, fit, fit_in_slabs, functional
from pinns._programs import Program


@pytest.fixture
def compilations(monkeypatch):
    """A list that grows by one with every program that is compiled."""
    done = []
    compile = jax.stages.Lowered.compile

    def counted(self, *args, **kwargs):
        done.append(self)
        return compile(self, *args, **kwargs)

    monkeypatch.setattr(jax.stages.Lowered, "compile", counted)
    return done


def _shifted(by):
    array = jnp.asarray(by)
    return Program(lambda x: {"sum": x + array, "product": (x * jnp.asarray((1.0, 2.0, 3.0)),)})


def test_arrays_that_a_function_closes_over_do_not_part_programs(compilations):
    x = jnp.arange(3.0)
    for by in (1.5, 2.5):
        result = _shifted([by] * 3)(x)
        np.testing.assert_array_equal(result["sum"], x + by)
        np.testing.assert_array_equal(result["product"][0], [0, 2, 6])
    assert len(compilations) == 1


def test_another_shape_dtype_or_structure_is_another_program(compilations):
    program = Program(lambda x: jax.tree.map(lambda y: 2 * y, x))
    for x in (jnp.ones(4), jnp.ones(5), jnp.ones(4, jnp.int32), [jnp.ones(4)], jnp.ones(4)):
        result = program(x)
        assert jax.tree.structure(result) == jax.tree.structure(x)
        assert jax.tree.leaves(result)[0].dtype == jax.tree.leaves(x)[0].dtype
    assert len(compilations) == 3  # a list of an array compiles to the same as the array


def test_a_scalar_written_into_a_function_parts_programs():
    assert [float(Program(lambda x, by=by: x + by)(jnp.zeros(()))) for by in (7.25, 8.25)] == [7.25, 8.25]


@pytest.mark.devices(2)
def test_another_device_is_another_program():
    first, second = jax.devices()[:2]
    for device in (first, second):
        result = _shifted([0.125] * 3)(jax.device_put(jnp.ones(3), device))
        assert result["sum"].devices() == {device}


def test_another_setting_of_the_compiler_is_another_program(compilations):
    for disabled in (False, True):
        jax.config.update("jax_disable_most_optimizations", disabled)
        try:
            Program(lambda x: jnp.cos(x) + 3)(jnp.ones(7))
        finally:
            jax.config.update("jax_disable_most_optimizations", True)
    assert len(compilations) == 2


def test_functions_that_call_python_are_not_shared():
    seen = []

    def logged(name):
        def fn(x):
            jax.debug.callback(lambda value: seen.append((name, float(value))), x)
            return x

        return Program(fn)

    for name in ("first", "second"):
        jax.block_until_ready(logged(name)(jnp.ones(())))
    jax.effects_barrier()
    assert seen == [("first", 1.0), ("second", 1.0)]


def test_donated_arguments_are_gone():
    x = jnp.ones(1000)
    Program(lambda x: x + 1, donate=True)(x)
    assert x.is_deleted()


def _train(seed, **options):
    return fit(
        SingularlyPerturbedODE(num_points=30),
        MLP(1, [7], 1, rngs=nnx.Rngs(seed)),
        optax.adam(1e-3),
        num_steps=4,
        key=jax.random.key(seed),
        progress=False,
        evaluate_every=2,
        **options,
    )


@pytest.mark.long
def test_a_second_training_of_the_same_form_compiles_nothing(compilations):
    first = _train(0)
    programs = len(compilations)
    second = _train(1)
    assert programs > 0
    assert len(compilations) == programs
    # Its own points and its own network, not those of the first.
    assert first.final["loss"] != second.final["loss"]
    assert second.history[0]["loss"] == pytest.approx(float(_loss_at_start(1)), rel=1e-5)


def _loss_at_start(seed):
    problem = SingularlyPerturbedODE(num_points=30)
    function, params = functional(MLP(1, [7], 1, rngs=nnx.Rngs(seed)))
    points = problem.sample(data_key(jax.random.key(seed)))
    return problem.loss(function, points)(params)


@pytest.mark.long
def test_slabs_after_the_second_compile_nothing(compilations):
    """The first has other initial data; from the second on only times and networks differ."""
    programs = []
    fit_in_slabs(
        SingularlyPerturbedODE(num_points=30),
        MLP(1, [7], 1, rngs=nnx.Rngs(0)),
        optax.adam(1e-3),
        num_steps=2,
        key=jax.random.key(0),
        slabs=4,
        initial=["boundary"],
        progress=False,
        on_evaluation=lambda history: programs.append(len(compilations)),
    )
    assert len(programs) >= 8
    assert programs[-1] == programs[len(programs) // 2 - 1]
