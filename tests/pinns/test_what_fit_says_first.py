"""Weights, predictions and coordinates are looked at before a training, not after it."""

import dataclasses
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import MLP, Box, Condition, FitWarning, Normalize, Problem, fit


@dataclasses.dataclass(frozen=True)
class Line(Problem):
    """u = 1 on an interval."""

    weight: Any = 1.0
    width: float = 1.0
    divides: bool = False

    @property
    def domain(self):
        return Box((0.0,), (self.width,))

    def conditions(self):
        return {"pde": Condition(self.pde, self.domain, 20, weight=self.weight)}

    def pde(self, u, x):
        return u(x) - 1

    def exact(self, x):
        return jnp.ones(1)

    def predict(self, u, x):
        return u(x) * x / x if self.divides else u(x)


def network(embedding=None):
    return MLP(1, [3], 1, embedding=embedding, rngs=nnx.Rngs(0))


def train(problem, model):
    return fit(problem, model, optax.sgd(0.1), num_steps=1, key=jax.random.key(0), progress=False)


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (
            lambda x: x[0] - 0.5,
            r"'pde' must be finite and at least 0 everywhere, and is -0\.\d+ at \d+ of its 20",
        ),
        (lambda x: jnp.log(x[0] - 0.5), "'pde' must be finite"),
    ],
    ids=["negative", "nan"],
)
def test_a_weight_that_is_none_ends_nothing_that_has_been_trained(weight, told, monkeypatch):
    monkeypatch.setattr("pinns._runner.Runner.run", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match=told):
        train(Line(weight), network())


def test_a_prediction_that_is_none_at_a_point_is_told():
    with pytest.warns(FitWarning, match=r"not finite at 1 of the points of evaluation, e\.g\. at \[0\.0\]"):
        result = train(Line(divides=True), network())
    assert np.isnan(result.final["rel_l2"])
    assert np.isfinite(result.final["loss"])


class Holder(nnx.Module):
    """A network of a user's, around one of ours."""

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, x):
        return self.inner(x)


@pytest.mark.long
def test_coordinates_are_told_of_networks_that_see_them():
    long = Line(width=6000.0)
    embedded = lambda: network(Normalize((0.0,), (6000.0,)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train(long, embedded())
        train(long, result)
        train(long, Holder(embedded()))
    with pytest.warns(FitWarning, match=r"reach 6000.*train scaled\(problem"):
        train(long, Holder(network()))


@dataclasses.dataclass(frozen=True)
class Two(Line):
    """Of two networks, which cannot be scaled together."""

    def pde(self, u, x):
        return u["a"](x) + u["b"](x) - 1


def test_several_networks_are_not_told_to_be_scaled():
    long, embedded = Two(width=6000.0), lambda: network(Normalize((0.0,), (6000.0,)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(long, {"a": embedded(), "b": embedded()})
    with pytest.warns(FitWarning, match="reach 6000") as told:
        train(long, {"a": embedded(), "b": network()})
    assert not any("scaled(" in str(warning.message) for warning in told)
