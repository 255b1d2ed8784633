"""What a problem's conditions() may compute, and that it gives the same every time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinns import Box, Condition, FixedPoints, Problem, Scaled, Unknown
from pinns._inputs import check_model
from pinns._slabs import _slab

KEY = jax.random.key(0)
SGD = optax.sgd(0.0)
TIMES = np.linspace(0.0, 1.0, 5)[:, None]


@dataclasses.dataclass(frozen=True)
class Computed(Problem):
    """Values, nodes and a weight that jax.numpy computes where the conditions are made."""

    domain: Box = dataclasses.field(default=Box((0.0,), (1.0,)))

    def conditions(self):
        measured = FixedPoints(TIMES, jax.vmap(self.exact)(jnp.asarray(TIMES)))
        nodes = FixedPoints(jnp.linspace(0, 1, 11).reshape(1, 11, 1))
        return {
            "start": Condition(self.start, self.domain.face(0, "lower"), 1, weight=jnp.exp(-3.0)),
            "data": Condition(self.data, measured, 5),
            "mean": Condition(self.mean, nodes, 1, weight=lambda nodes: jnp.sum(nodes**2)),
        }

    def unknowns(self):
        return {"k": Unknown(jnp.exp(1.0), positive=True)}

    def start(self, u, x):
        return u(x)

    def data(self, u, point):
        return u(point["x"]) - point["value"]

    def mean(self, u, nodes):
        return jnp.mean(jax.vmap(u)(nodes)) - 1.0

    def exact(self, x):
        return jnp.sin(x)


def test_conditions_may_compute_with_jax(make_model):
    """They are asked for while programs are traced, where its results would be no numbers."""
    problem, model = Computed(), make_model((4,))
    value = jax.jit(lambda: problem.sample(KEY))()["data"]["value"]
    np.testing.assert_allclose(value, np.sin(TIMES), rtol=1e-6)
    brought = Scaled(problem, (1.0,), (("start", 2.0), ("data", 2.0), ("mean", 2.0)))
    jax.eval_shape(lambda: brought.conditions()["start"].weights(None))
    params = problem.functional(model)[1]
    slab = _slab(problem, 0, 0.0, 0.5, ("start",), problem.functional(model))
    for one in (problem, brought, slab):
        check_model(one, *one.functional(model), jnp.float32)
        jax.eval_shape(lambda params, one=one: one.loss(model, one.sample(KEY))(params), params)


class Noisy(Computed):
    def conditions(self):
        noise = np.random.default_rng().normal(size=TIMES.shape)
        return {"data": Condition(self.data, FixedPoints(TIMES, TIMES + noise), 5)}


def test_noise_without_a_seed_is_refused(train):
    """Each part of a training would have data of its own."""
    with pytest.raises(ValueError, match=r"conditions\(\) of Noisy gives other regions.*'data'.*a seed"):
        train(SGD, 1, problem=Noisy())
