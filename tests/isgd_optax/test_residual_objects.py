"""Residuals that are objects, and losses and residuals of classes of the user's own."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.experimental import sparse

from isgd_optax import LeastSquares, Residual, diagnostics, gauss_newton, implicit_step

X = np.linspace(0.0, 1.0, 6, dtype=np.float32)
line = lambda p, x: p * x - 1


class Physics(eqx.Module):
    """A residual with arrays, a number and an activation, which is a leaf of Equinox's modules too."""

    weights: jax.Array
    k: float
    activation: Any

    def residual(self, p, x):
        return p * self.activation(self.weights @ self.weights * x) - self.k * x

    def __call__(self, p, x):
        return self.residual(p, x)


def test_modules_of_equinox_and_their_methods_are_residuals_everywhere():
    physics, p, traced = Physics(jnp.ones(2), 2.0, jnp.tanh), jnp.ones(()), []
    expected = diagnostics.gram_matrix(LeastSquares(Residual(lambda p, x: physics.residual(p, x), X)), p)

    @jax.jit
    def value(loss, p):
        traced.append(loss)
        return loss(p)

    for of, name in ((lambda physics: physics, "Physics"), (lambda physics: physics.residual, "residual")):
        loss = LeastSquares(Residual(of(physics), X))
        assert name in repr(loss)
        np.testing.assert_array_equal(diagnostics.gram_matrix(loss, p), expected)
        traced.clear()
        for k in (2.0, 3.0):
            changed = Physics(jnp.ones(2), k, jnp.tanh)
            found = value(LeastSquares(Residual(of(changed), X)), p)
            np.testing.assert_allclose(found, np.mean((np.tanh(2 * X) - k * X) ** 2), rtol=1e-5)
        assert len(traced) == 1  # numbers are leaves
        value(LeastSquares(Residual(of(Physics(jnp.ones(2), 2.0, jnp.sin)), X)), p)
        assert len(traced) == 2  # and functions are not


@dataclasses.dataclass
class Wave:
    """Equal to itself, whatever its frequency has become: programs for old ones were found."""

    frequency: float

    def __call__(self, p, x):
        return p * jnp.sin(self.frequency * x)


@dataclasses.dataclass
class Loss:
    factor: float

    def __call__(self, params):
        return self.factor * params**2


def test_a_residual_that_can_change_in_silence_is_refused():
    wave = Wave(1.0)
    with pytest.raises(TypeError, match=r"Wave\(frequency=1.0\) can change .* frozen"):
        Residual(wave, X)
    frozen = dataclasses.make_dataclass("Frozen", ["frequency"], frozen=True)
    frozen.__call__ = Wave.__call__
    Residual(frozen(1.0), X)
    Residual(wave.__call__, X)  # a method is compared by the identity of its object, as a function is
    solver, p = implicit_step(optax.sgd(0.1), 1.0), jnp.ones(())
    step = lambda p: solver.update(p, solver.init(p), p, value_fn=Loss(2.0))  # it is no argument of a program
    jax.eval_shape(step, p)
    leaves = jax.tree_util.register_dataclass(Wave, ["frequency"], [])
    Residual(leaves(1.0), X)


class Penalised(LeastSquares):
    def __call__(self, params):
        return super().__call__(params) + 1


class Doubled(Residual):
    def residuals(self, params):
        return 2 * super().residuals(params)


def test_classes_with_another_loss_than_their_residuals_say_are_refused():
    solver, p = implicit_step(gauss_newton(), 1.0), jnp.ones(())
    for loss in (Penalised(Residual(line, X)), LeastSquares(Doubled(line, X))):
        step = functools.partial(solver.update, value_fn=loss)
        with pytest.raises(TypeError, match=r"overrides .* A penalty is one more Residual"):
            jax.eval_shape(step, p, solver.init(p), p)
        with pytest.raises(TypeError, match=r"overrides .* A penalty is one more Residual"):
            diagnostics.gram_spectrum(loss, p)


class Scaled(LeastSquares):
    def __init__(self, *blocks, scale):
        super().__init__(*blocks)
        self.scale = scale


class Kept(Scaled):
    _leaves = (*LeastSquares._leaves, "scale")


def test_attributes_of_subclasses_are_not_lost():
    with pytest.raises(TypeError, match=r"a Scaled would lose scale .* name .* in _leaves"):
        jax.tree.map(lambda x: x, Scaled(Residual(line, X), scale=2.0))
    assert jax.tree.map(lambda x: x, Kept(Residual(line, X), scale=2.0)).scale == 2.0


def test_sparse_points_are_refused():
    rows: Any = sparse.BCOO.fromdense(jnp.eye(3))
    with pytest.raises(TypeError, match="points must be dense"):
        Residual(lambda p, row: row @ p, {"rows": rows})
