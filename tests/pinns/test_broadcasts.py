"""Residuals in which one output meets several numbers, and slips that are told in words."""

import dataclasses
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import MLP, Box, Condition, FitWarning, FixedPoints, Problem, functional, gradient, laplacian

SGD = optax.sgd(0.0)


@dataclasses.dataclass(frozen=True)
class One(Problem):
    """A residual and nothing else."""

    residual: object
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self):
        return {"pde": Condition(self.pde, self.domain, 40), "data": Condition(self.value, self.domain, 4)}

    def pde(self, u, x):
        return self.residual(u, x)

    def value(self, u, x):
        return u(x) - x[:1]


@pytest.fixture
def told(train, make_model):
    """``told(residual)``: what a training says of adding one to several."""

    def run(residual, outputs=1):
        model = MLP(2, [8], outputs, rngs=nnx.Rngs(0)) if outputs > 1 else make_model(dim=2)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            train(SGD, 1, problem=One(residual), model=model, fresh_loss=False)
        return [
            str(w.message) for w in said if issubclass(w.category, FitWarning) and "adds" in str(w.message)
        ]

    return run


@pytest.mark.parametrize(
    "residual",
    [
        lambda u, x: u(x) - jnp.sin(x),
        lambda u, x: x**2 + laplacian(u, x)[2],
        lambda u, x: u(x)[0] - jnp.stack([x[0], x[1]]),
        lambda u, x: jnp.broadcast_to(u(x), (2,)) - jnp.cos(x),
    ],
    ids=["value", "laplacian", "scalar", "broadcast"],
)
def test_one_output_against_all_coordinates_is_said(told, residual):
    (message,) = told(residual)
    assert "condition 'pde' adds one output of the network to 2 numbers" in message


@pytest.mark.parametrize(
    ("residual", "outputs"),
    [
        (lambda u, x: u(x) - jnp.sin(x[:1]), 1),
        (lambda u, x: u(x) - jnp.sin(x), 2),
        (lambda u, x: u(x) + gradient(u, x)[1][:, 0], 1),  # two equations
        (lambda u, x: jnp.sum(u(x) - jnp.sin(x)) / 2, 1),  # a mean over nodes
        (lambda u, x: x * u(x), 1),
        (lambda u, x: u(x) - jnp.zeros(2), 1),
    ],
    ids=["index", "outputs", "gradient", "mean", "product", "alike"],
)
def test_what_is_meant_is_not(told, residual, outputs):
    assert told(residual, outputs) == []


def test_slips_are_told_in_words(train, make_model):
    with pytest.raises(TypeError, match="give what was given to jit"):
        functional(jax.jit(make_model()))
    with pytest.raises(TypeError, match=r"int32 \(at \['n'\]\).*close over"):
        functional((lambda p, x: p["a"] * x, {"a": jnp.ones(1), "n": jnp.array(2)}))
    with pytest.raises(TypeError, match=r"float \(at \['a'\]\).*jnp.asarray\(1.0\)"):
        functional((lambda p, x: p["a"] * x, {"a": 1.0}))
    region = Box((0.0,), (1.0,))
    with pytest.raises(ValueError, match="finite weight"):
        Condition(lambda u, x: u(x), region, 3, weight=float("inf"))
    with pytest.raises(TypeError, match="weight must be a number or a function, got 'a'"):
        Condition(lambda u, x: u(x), region, 3, weight="a")
    result = train(SGD, 1)
    with pytest.raises(KeyError, match="there are boundary, pde"):
        result.curve("losses.foo")
    with pytest.raises(TypeError, match="must be a JAX random key"):
        result.error_estimate(3)


@dataclasses.dataclass(frozen=True)
class Given(Problem):
    """Data at given points alone."""

    end: bool = False
    domain = Box((0.0,), (1.0,))

    def conditions(self):
        data = FixedPoints(np.linspace(0, 1, 5)[:, None], np.zeros((5, 1)))
        conditions = {"data": Condition(lambda u, point: u(point["x"]) - point["value"], data, 5)}
        if self.end:
            conditions["end"] = Condition(lambda u, x: u(x), self.domain.face(0, "upper"), 1)
        return conditions


@pytest.mark.parametrize("end", [False, True])  # a single point that no key moves
def test_an_estimate_needs_points_that_were_not_given(train, end):
    result = train(SGD, 1, problem=Given(end), fresh_loss=False)
    with pytest.raises(ValueError, match="all conditions are at given points"):
        result.error_estimate()


@pytest.mark.parametrize(
    ("residual", "index"),
    [
        (lambda u, x: u(x)[1], 1),
        (lambda u, x: u(x)[0] - u(x)[-2], -1),
        (lambda u, x: laplacian(u, x)[1][2], 2),
        (lambda u, x: jax.jit(lambda v: v[3])(u(x)), 3),
        (lambda u, x: u(x)[jnp.array([0, 3])], 3),
        (lambda u, x: u(x)[np.array([[0], [-2]])], -1),
        (lambda u, x: jax.jit(lambda v: v[:, jnp.array([0, 5])])(u(x)[None]), 5),
    ],
)
def test_an_index_beyond_the_outputs(residual, index, told):
    """JAX takes the last entry: a system would be trained with two equal unknowns."""
    with pytest.raises(ValueError, match=rf"index {index} in .* condition 'pde' lies beyond"):
        told(residual)


def test_indices_within_the_outputs_are_taken(told):
    told(lambda u, x: u(x)[0] - u(x)[jnp.array([0, -1, 0])] * x[0])


NODES = FixedPoints(np.linspace(0, 1, 4).reshape(1, 4, 1))
WEIGHTS = np.full(4, 0.25)


@dataclasses.dataclass(frozen=True)
class Integral(Problem):
    """∫u = 1 by nodes, which a residual sees at once."""

    integral: object
    domain = Box((0.0,), (1.0,))

    def conditions(self):
        return {"mean": Condition(lambda u, nodes: self.integral(jax.vmap(u)(nodes), nodes) - 1, NODES, 1)}


@pytest.mark.parametrize(
    ("integral", "number"),
    [
        (lambda values, nodes: jnp.sum(WEIGHTS * values), 1),
        (lambda values, nodes: jnp.mean(nodes[:, 0] * values), 1),
        (lambda values, nodes: jnp.sum(WEIGHTS * values[:, 0]), 0),
        (lambda values, nodes: jnp.sum(WEIGHTS[:, None] * values), 0),
        (lambda values, nodes: jnp.sum(WEIGHTS[None] * values), 0),  # written so
        (lambda values, nodes: jnp.sum(values * jnp.ones(1)), 0),
    ],
)
def test_weights_that_meet_every_value_are_said(train, integral, number):
    with warnings.catch_warnings(record=True) as said, jax.numpy_rank_promotion("allow"):
        warnings.simplefilter("always")
        train(SGD, 1, problem=Integral(integral), fresh_loss=False)
    found = [str(w.message) for w in said if "each number with each" in str(w.message)]
    assert len(found) == number
    assert all(re.search(r"'mean' combines arrays of shapes \(4,\) and \(4, 1\)", text) for text in found)
