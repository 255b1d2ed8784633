"""Values that are computed once and kept, and first asked for while a program is traced."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax
import pytest

from pinns import Box, Condition, Problem, gradient


@dataclasses.dataclass(frozen=True)
class Material(Problem):
    """A part of problems."""

    @functools.cached_property
    def decay(self):
        return jnp.exp(-self.rate)


@dataclasses.dataclass(frozen=True)
class Decay(Material):
    """u' = −k u with coefficients that are computed once."""

    rate: float = 1.0
    of: object = None
    domain = Box((0.0,), (1.0,))

    @functools.cached_property
    def coefficient(self):
        return jnp.asarray(self.rate) * 2

    def conditions(self):
        return {"pde": Condition(self.pde, self.domain, 10)}

    def pde(self, u, x):
        value, first = gradient(u, x)
        coefficient = self.coefficient + self.decay if self.of is None else self.of(self.rate)
        return first[0] + coefficient * value


def test_cached_properties_are_numbers(make_model):
    """Those of its bases too; of a problem whose fields are traced they are part of the trace."""
    problem, model = Decay(), make_model((2,))
    points = problem.sample(jax.random.key(0))
    function, params = problem.functional(model)
    jax.eval_shape(problem.loss(function, points), params)
    assert (float(problem.coefficient), float(problem.decay)) == (2.0, float(jnp.exp(-1.0)))
    assert float(dataclasses.replace(problem, rate=3.0).coefficient) == 6.0
    assert jax.grad(lambda rate: Decay(rate).coefficient)(1.0) == 2.0


def test_what_else_is_kept_is_told(train, make_model, tmp_path):
    @functools.cache
    def kept(rate):
        return jnp.asarray(rate) * 2

    told = r"computed at .*test_cached\.py.*kept\) is kept.*in __post_init__"
    for options in ({}, {"checkpoint_dir": tmp_path}):
        kept.cache_clear()
        with pytest.raises(ValueError, match=told):
            train(optax.adam(1e-2), 2, problem=Decay(of=kept), model=make_model((2,)), **options)
