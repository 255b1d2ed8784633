"""What is said of comparisons with measured values, and what a point may hold beside them."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import MLP, Box, Condition, FixedPoints, Problem, gradient, scaled, unit_points
from pinns._inputs import check_model

SGD = optax.sgd(0.0)


@dataclasses.dataclass(frozen=True)
class Compared(Problem):
    """A comparison with measured values."""

    residual: object
    columns: int
    domain = Box((0.0, 0.0), (1.0, 1.0))

    def conditions(self):
        data = FixedPoints(np.ones((3, 2)), np.ones((3, self.columns)))
        return {"data/1": Condition(lambda u, p: self.residual(u, p["x"], p["value"]), data, 3)}


@pytest.mark.parametrize(
    ("residual", "outputs", "columns", "slip"),
    [
        (lambda u, x, v: u(x) - v, 1, 3, "1 output of the network with 3 values"),
        (lambda u, x, v: u(x) - v, 3, 1, "3 outputs of the network with 1 value,"),
        (lambda u, x, v: 2 * v[1] - u(x), 3, 3, "3 outputs of the network with 1 value,"),
        (lambda u, x, v: jax.jit(lambda a: a[:2] - v)(u(x)), 3, 1, "2 outputs of the network with 1 value,"),
        (lambda u, x, v: u(x) - v, 3, 3, ""),
        (lambda u, x, v: u(x)[1] - v[2], 3, 3, ""),
        (lambda u, x, v: jnp.sum(u(x) - v, keepdims=True), 3, 1, ""),
        (lambda u, x, v: u(x) - jnp.sin(x[:1]), 3, 1, ""),
        (lambda u, x, v: gradient(u, x)[1][:, 0] - v, 1, 2, ""),  # a velocity of its potential
    ],
)
def test_outputs_and_measured_values_that_do_not_belong_together_are_said(residual, outputs, columns, slip):
    problem, model = Compared(residual, columns), MLP(2, [4], outputs, rngs=nnx.Rngs(0))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check_model(problem, *problem.functional(model), jnp.float32)
    found = [str(w.message) for w in said]
    assert len(found) == (slip != "")
    assert all(f"condition 'data/1' compares {slip}" in text for text in found)


def test_a_network_of_other_coordinates_is_compared_with_data(make_model):
    radial = Compared(lambda u, x, v: u(jnp.linalg.norm(x)[None]) - v, 1)
    check_model(radial, *radial.functional(make_model((4,))), jnp.float32)
    with pytest.raises(TypeError) as caught:
        scaled(radial, make_model((4,)), jax.random.key(0))
    assert "one of other coordinates (predict) cannot be scaled" in caught.value.__notes__[-1]


@dataclasses.dataclass(frozen=True)
class Perturbed:
    """Points with a random key each."""

    def sample(self, key, num_points, method, dtype):
        points = unit_points(key, num_points, 1, method, dtype)
        return {"x": points, "key": jax.random.split(key, num_points)}


@dataclasses.dataclass(frozen=True)
class Weak(Problem):
    """u = 1 in the mean around each point."""

    domain = Box((0.0,), (1.0,))

    def conditions(self):
        return {"mean": Condition(self.mean, Perturbed(), 8)}

    def mean(self, u, point):
        beside = point["x"] + 0.1 * jax.random.normal(point["key"])
        return (u(point["x"]) + u(beside)) / 2 - 1.0


def test_points_may_have_random_keys(train, make_model):
    result = train(SGD, 2, problem=Weak(), model=make_model((4,)), batch_size=4, fresh_loss=False)
    assert result.final["loss"] > 0
