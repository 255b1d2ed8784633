"""Networks of scalars and of several outputs, modules as activations, and modules that networks share."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import (
    MLP,
    Beam,
    Biharmonic,
    Box,
    Chain,
    Condition,
    Normalize,
    OscillatorInverse,
    Problem,
    Wave,
    fit_in_slabs,
    functional,
    gradient,
    num_parameters,
    predict,
    scaled,
)
from pinns._past import _Blank, _Joined, looking_back
from pinns._warnings import warn_coordinates

KEY = jax.random.key(0)


def test_an_activation_that_mixes_numbers_is_refused_as_a_module_too():
    rngs = nnx.Rngs(0)
    with pytest.raises(ValueError, match="each number by itself"):
        MLP(2, [8], 1, activation=nnx.Sequential(nnx.LayerNorm(8, rngs=rngs), jnp.tanh), rngs=rngs)
    u = MLP(2, [8], 1, activation=nnx.Sequential(nnx.PReLU(), jnp.tanh), rngs=rngs)
    x = jnp.array([0.3, -0.2])
    np.testing.assert_allclose(gradient(u, x)[1], gradient(lambda x: u(x), x)[1], rtol=1e-5)
    MLP(2, [8], 1, activation=nnx.Dropout(0.5, rngs=rngs), rngs=rngs)  # fit refuses what changes when called


@dataclasses.dataclass(frozen=True)
class Decay(Problem):
    """u' = −u(t − delay)."""

    delay: float = 0.0
    domain = Box((0.0,), (2.0,))

    def conditions(self):
        start = self.domain.face(0, "lower")
        return {"pde": Condition(self.pde, self.domain, 20), "start": Condition(self.start, start, 1)}

    def pde(self, u, x):
        return jax.grad(lambda x: jnp.sum(u(x)))(x)[0] + u(x - self.delay)

    def start(self, u, x):
        return u(x) - 1


def scalar(params, x):
    return jnp.tanh(x @ params["w"] + 0.1) @ params["o"]


SCALAR = (scalar, {"w": jnp.linspace(0.5, 1.5, 5)[None], "o": jnp.ones(5)})


class Plain(Decay):
    """With a derivative that only a scalar has."""

    def pde(self, u, x):
        return jax.grad(u)(x)[0] + u(x)


@pytest.mark.long
def test_a_scalar_stays_a_scalar_in_slabs_and_scaled():
    result = fit_in_slabs(Plain(), SCALAR, optax.adam(1e-2), slabs=2, num_steps=1, key=KEY, progress=False)
    assert len(result.results) == 2
    problem = scaled(Plain(), SCALAR, KEY)
    function, params = problem.functional(SCALAR)
    assert jnp.shape(function(params)(jnp.ones(1))) == ()
    u = lambda x: scalar(SCALAR[1], x)
    joined = _Joined([_Blank(u), u], [1.0], 0, 1)
    assert joined(jnp.array([1.5])).shape == ()
    assert jnp.isnan(joined(jnp.array([0.5])))
    assert jnp.isnan(joined(jnp.array([[0.5], [1.5]]))).tolist() == [True, False]


def test_outputs_may_come_as_a_tuple_in_slabs_and_scaled():
    both = lambda x: (x[0], 2 * x[:1])
    joined = _Joined([_Blank(both), both], [1.0], 0, 1)
    assert [jnp.isnan(value).all().item() for value in joined(jnp.array([0.5]))] == [True, True]
    assert [value.shape for value in joined(jnp.array([1.5]))] == [(), (1,)]
    pair = (
        lambda params, x: [params["a"] * x[0], params["b"] * x[0]],
        {"a": jnp.ones(()), "b": jnp.ones(())},
    )

    @dataclasses.dataclass(frozen=True)
    class Two(Decay):
        def pde(self, u, x):
            return jnp.stack([u(x)[0] - 1, u(x)[1] - 100])

        def start(self, u, x):
            return u(x)[0]

    function, params = scaled(Two(), pair, KEY).functional(pair)
    assert function(params)(jnp.ones(1)).shape == (2,)


def test_outputs_in_a_tuple_keep_their_form_in_scaled():
    @dataclasses.dataclass(frozen=True)
    class Two(Decay):
        def pde(self, u, x):
            v, w = u(x)
            return jnp.append(w - 100, v - 1)

        def start(self, u, x):
            return u(x)[0]

    form = {"a": jnp.ones(()), "b": jnp.ones(())}
    for first in (lambda x: x[:1], lambda x: x[0]):  # of equal shapes, and of two
        pair = (lambda params, x, first=first: (params["a"] * first(x), params["b"] * x[:1]), form)
        problem = scaled(Two(), pair, KEY)
        assert len(problem.outputs) == 2
        function, params = dataclasses.replace(problem, outputs=(2.0, 30.0), inputs=False).functional(pair)
        v, w = function(params)(jnp.ones(1))
        assert (v.shape, w.shape) == (first(jnp.ones(1)).shape, (1,))
        assert predict(function(params), jnp.ones((1, 1))).tolist() == [[2.0, 30.0]]


def test_a_short_look_back_is_found():
    model = MLP(1, [4], 1, rngs=nnx.Rngs(0))
    for delay, found in ((0.005, ("pde",)), (0.0, ())):
        slab = Decay(delay).restricted(Box((1.0,), (2.0,)))
        assert looking_back(slab, model, 0, 1.0) == found


class Head(nnx.Module):
    """A layer of its own behind one that may be shared."""

    def __init__(self, trunk, rngs):
        self.trunk, self.last = trunk, nnx.Linear(3, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(self.trunk(x))


def test_networks_that_share_a_layer_are_refused():
    rngs = nnx.Rngs(0)
    trunk, other = nnx.Linear(2, 3, rngs=rngs), nnx.Linear(2, 3, rngs=rngs)
    assert num_parameters({"u": Head(trunk, rngs), "p": Head(other, rngs)}) == 2 * (9 + 4)
    with pytest.raises(TypeError, match="'u' and 'p' share parameters"):
        functional({"u": Head(trunk, rngs), "p": Head(trunk, rngs)})


def test_problems_take_networks_of_scalars():
    for problem in (Beam(), Biharmonic(), OscillatorInverse()):
        dim = problem.domain.dim
        params = {"w": jnp.ones((dim, 5)), "o": jnp.ones(5)}
        points = jax.eval_shape(lambda problem=problem: problem.sample(KEY))
        model = (scalar, params)

        def residuals(points, problem=problem, model=model):
            return problem.loss(model, points).residuals(problem.functional(model)[1])

        assert jax.eval_shape(residuals, points).ndim == 1


def test_a_wave_that_leaves_its_ends_is_refused():
    with pytest.raises(ValueError, match="whole number"):
        Wave(beta=4.5)


class Polar(nnx.Module):
    """By code of its own, that a jet does not go through."""

    supports_jets = False
    in_features = out_features = 2

    def __call__(self, x):
        return jnp.stack([jnp.hypot(x[..., 0], x[..., 1]), jnp.arctan2(x[..., 1], x[..., 0])], axis=-1)


def test_a_chain_takes_jets_if_all_of_it_do():
    embedding = Chain(Normalize((-2.0, -2.0), (2.0, 2.0)), Polar())
    u = MLP(2, [4], 1, embedding=embedding, rngs=nnx.Rngs(0))
    x = jnp.array([0.3, 0.4])
    np.testing.assert_allclose(gradient(u, x)[1], gradient(lambda x: u(x), x)[1], rtol=1e-5)


def test_an_embedding_that_no_jet_goes_through_is_told_the_way_out():
    class Square(Polar):
        supports_jets = True

        def __call__(self, x):
            return x**2

    with pytest.raises(TypeError, match="Jet") as caught:
        gradient(MLP(2, [4], 1, embedding=Square(), rngs=nnx.Rngs(0)), jnp.ones(2))
    assert "set supports_jets = False" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match=r"of your own .* supports_jets = False where it computes otherwise"):
        MLP(2, [4], 1, embedding=jnp.square, rngs=nnx.Rngs(0))


def test_coordinates_are_not_told_of_networks_that_have_others():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedded = MLP(1, [4], 1, embedding=Normalize((0.0,), (1e5,)), rngs=nnx.Rngs(0))
        warn_coordinates(Biharmonic(), embedded, jnp.float32)
