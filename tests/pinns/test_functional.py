"""Any network as a function of its parameters: NNX, Equinox, Linen, plain functions, several at once."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from isgd_optax import diagnostics, gauss_newton, implicit_step, largest_trusted
from pinns import (
    MLP,
    Box,
    Condition,
    Problem,
    SingularlyPerturbedODE,
    Unknown,
    fit,
    functional,
    laplacian,
    num_parameters,
)
from pinns._inputs import check_model

PROBLEM = SingularlyPerturbedODE(epsilon=2.0, num_points=64)
KEY = jax.random.key(0)


class Dense(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(1)(jnp.tanh(linen.Dense(10)(x)))


def plain():
    keys = jax.random.split(KEY, 2)
    params = {
        "in": jax.random.normal(keys[0], (1, 10)),
        "bias": jnp.linspace(-1, 1, 10),
        "out": jax.random.normal(keys[1], (10, 1)),
    }
    return lambda params, x: jnp.tanh(x @ params["in"] + params["bias"]) @ params["out"], params


def linen_pair():
    module = Dense()
    return module.apply, module.init(KEY, jnp.zeros(1))


MODELS = {
    "nnx": lambda: MLP(1, [10], 1, rngs=nnx.Rngs(0)),
    "equinox": lambda: eqx.nn.MLP(1, 1, 10, 1, activation=jnp.tanh, key=KEY),
    "linen": linen_pair,
    "plain": plain,
}


def gauss_newton_steps():
    return implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True)


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_any_network_is_trained_and_comes_back_in_its_form(name):
    model = MODELS[name]()
    result = fit(PROBLEM, model, gauss_newton_steps(), num_steps=25, key=KEY, progress=False)
    assert result.final["rel_l2"] < 1e-2
    assert type(result.model) is type(model)
    x = jnp.linspace(0, 1, 5)[:, None]
    exact = jax.vmap(PROBLEM.exact)(x)
    np.testing.assert_allclose(jax.vmap(result.solution)(x), exact, atol=2e-2)
    again, params = PROBLEM.functional(result.model)
    np.testing.assert_array_equal(jax.vmap(again(params))(x), jax.vmap(result.solution)(x))


@pytest.mark.parametrize("name", MODELS)
def test_the_kernel_of_any_network_is_read_by_layers(name):
    model = MODELS[name]()
    loss = PROBLEM.loss(model, PROBLEM.sample(KEY))
    _, params = PROBLEM.functional(model)
    layers = diagnostics.gram_matrix(loss, params, kernel="layers")
    np.testing.assert_allclose(
        layers, diagnostics.gram_matrix(loss, params, kernel="rows"), rtol=2e-4, atol=1e-5 * layers.max()
    )


def test_function_and_parameters_are_the_network():
    for make in MODELS.values():
        model = make()
        function, params = functional(model)
        x = jnp.asarray([0.3])
        expected = model[0](model[1], x) if isinstance(model, tuple) else model(x)
        np.testing.assert_allclose(function(params)(x), expected, rtol=1e-6)
        assert num_parameters(model) == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_parameters_of_an_nnx_module_are_its_state():
    model = MODELS["nnx"]()
    params = functional(model)[1]
    assert jax.tree.structure(params) == jax.tree.structure(nnx.state(model, nnx.Param))


class Noisy(nnx.Module):
    def __init__(self, layer):
        self.inside, self.layer = nnx.Linear(1, 8, rngs=nnx.Rngs(0)), layer
        self.outside = nnx.Linear(8, 1, rngs=nnx.Rngs(1))

    def __call__(self, x):
        return self.outside(self.layer(jnp.tanh(self.inside(x))))


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (Dense(), TypeError, r"\(module.apply, module.init"),
        (lambda x: x, TypeError, "holds no parameters"),
        (jax.tree_util.Partial(lambda a, b, x: x, jnp.ones(2), 1j * jnp.ones(2)), TypeError, "real and imag"),
        (3.0, TypeError, "is no network"),
        ((lambda p, x: x, {"a": 1}), TypeError, "must be arrays of real numbers; the tree holds int"),
        ((lambda p, x: x, {"a": jnp.ones(2, int)}), TypeError, "must be arrays of real numbers"),
        ((lambda p, x: x, {}), TypeError, "the tree is empty"),
        ({"unknowns": MODELS["nnx"]()}, TypeError, "none of them 'unknowns'"),
        (Noisy(nnx.Dropout(0.5, rngs=nnx.Rngs(0))), ValueError, r"changes when it is called .*count"),
        (Noisy(nnx.BatchNorm(8, rngs=nnx.Rngs(0))), ValueError, r"changes when it is called .*mean"),
    ],
    ids=["linen", "function", "complex", "number", "ints", "int array", "empty", "name", "dropout", "norm"],
)
def test_other_models_are_refused_in_words(model, error, message):
    with pytest.raises(error, match=message):
        fit(PROBLEM, model, optax.adam(1e-3), num_steps=2, key=KEY, progress=False)


def test_a_network_in_evaluation_mode_is_trained():
    model = Noisy(nnx.BatchNorm(8, use_running_average=True, rngs=nnx.Rngs(0)))
    result = fit(PROBLEM, model, optax.adam(1e-2), num_steps=5, key=KEY, progress=False)
    assert result.final["loss"] < result.history[0]["loss"]


def test_a_network_that_changes_is_taken_once_it_is_told_what_its_refusal_advises():
    rngs = nnx.Rngs(0)
    model = Noisy(nnx.Sequential(nnx.BatchNorm(8, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)))
    with pytest.raises(ValueError, match=r"Call model\.eval\(\) of an nnx"):
        check_model(PROBLEM, *functional(model), jnp.float32)
    model.eval()
    check_model(PROBLEM, *functional(model), jnp.float32)


@dataclasses.dataclass(frozen=True)
class Coefficient(Problem):
    """u' = q u with u = exp(sin x) given: q = cos x."""

    domain = Box((0.0,), (1.0,))

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 60),
            "data": Condition(self.data, self.domain, 60),
        }

    def pde(self, u, x):
        value, first, _ = laplacian(u, x)
        return first[0] - u["q"](x) * value

    def data(self, u, x):
        return u(x) - jnp.exp(jnp.sin(x))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:at step .* the learning rate stands at the bound")
@pytest.mark.usefixtures("x64")
def test_two_networks_find_a_coefficient_function():
    models = {
        name: MLP(1, [12, 12], 1, dtype=jnp.float64, rngs=nnx.Rngs(i)) for i, name in enumerate(("u", "q"))
    }
    result = fit(Coefficient(), models, gauss_newton_steps(), num_steps=60, key=KEY, progress=False)
    assert set(result.model) == {"u", "q"}
    x = jnp.linspace(0, 1, 11)[:, None]
    np.testing.assert_allclose(jax.vmap(result.solution["q"])(x), jnp.cos(x), atol=1e-3)
    np.testing.assert_allclose(jax.vmap(result.model["u"])(x), jnp.exp(jnp.sin(x)), atol=1e-4)
    with pytest.raises(KeyError, match="the model holds"):
        result.solution["p"]


@dataclasses.dataclass(frozen=True)
class Decay(Problem):
    """y' = −k y + c with k and c unknown, y given."""

    positive: bool = False
    domain = Box((0.0,), (1.0,))

    def unknowns(self):
        return {"k": Unknown(0.5, positive=self.positive), "c": 0.0}

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 60),
            "data": Condition(self.data, self.domain, 60),
        }

    def pde(self, u, x):
        value, first, _ = laplacian(u, x)
        return first[0] + u.unknowns["k"] * value - u.unknowns["c"]

    def data(self, u, x):
        return u(x) - self.exact(x)

    def exact(self, x):
        return 2 * jnp.exp(-3 * x) + 0.5


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "positive"),
    [
        ("nnx", True),
        ("equinox", False),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("nnx", False), ("equinox", True), ("plain", False), ("plain", True))
        ),
    ],
)
def test_unknowns_are_found_and_kept_in_the_history(name, positive):
    result = fit(Decay(positive), MODELS[name](), gauss_newton_steps(), num_steps=40, key=KEY, progress=False)
    assert result.final["unknowns"]["k"] == pytest.approx(3.0, rel=1e-2)
    assert result.final["unknowns"]["c"] == pytest.approx(1.5, rel=1e-2)
    steps, course = result.curve("unknowns.k")
    assert len(course) == len(steps) == len(result.history)
    assert course[0] == pytest.approx(0.5)
    assert result.solution.unknowns["k"] == pytest.approx(result.final["unknowns"]["k"])


@pytest.mark.parametrize("options", [{"start": jnp.inf}, {"start": -1.0, "positive": True}])
def test_unfit_starts_of_unknowns_are_refused(options):
    with pytest.raises(ValueError, match="an unknown needs a finite start"):
        Unknown(**options)


def test_the_first_of_several_networks_stays_the_first():
    """JAX sorts the keys of dictionaries whenever a tree is built anew."""
    models = {"u": plain(), "a": linen_pair()}
    loss = PROBLEM.loss(models, PROBLEM.sample(KEY))
    params = PROBLEM.functional(models)[1]
    expected = loss(params)
    np.testing.assert_allclose(jax.jit(lambda loss, params: loss(params))(loss, params), expected, rtol=1e-6)
    assert jax.tree.map(lambda leaf: leaf, loss)(params) == expected
    np.testing.assert_allclose(expected, PROBLEM.loss(plain(), PROBLEM.sample(KEY))(plain()[1]), rtol=1e-6)
