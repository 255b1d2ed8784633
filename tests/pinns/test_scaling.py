"""Scaling of inputs, outputs and residuals, from the domain and the equation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from isgd_optax import diagnostics, gauss_newton, implicit_step, largest_trusted
from pinns import (
    MLP,
    AdaptiveWeights,
    Box,
    Condition,
    FunctionApproximation,
    Problem,
    fit,
    gradient,
    laplacian,
    scaled,
)

KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True)
class Beam(Problem):
    """M'' = −1, M(0) = M(L) = 0: in millimetres L = 6,000 and the moment reaches 4.5e6."""

    length: float = 6000.0

    @property
    def domain(self):
        return Box((0.0,), (self.length,))

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 60),
            "boundary": Condition(self.end, self.domain.boundary(), 2),
        }

    def pde(self, u, x):
        return laplacian(u, x)[2] + 1

    def end(self, u, x):
        return u(x)

    def exact(self, x):
        return x * (self.length - x) / 2


def network(**options):
    return MLP(1, [12, 12], 1, rngs=nnx.Rngs(0), **options)


@pytest.mark.long
@pytest.mark.parametrize("length", [6e-3, *(pytest.param(x, marks=pytest.mark.slow) for x in (6.0, 6e3))])
def test_a_beam_is_solved_in_any_unit(length):
    problem = scaled(Beam(length), network(), KEY)
    optimizer = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    result = fit(problem, network(), optimizer, num_steps=40, key=KEY, progress=False)
    assert result.final["rel_l2"] < 1e-3
    x = jnp.array([length / 3])
    np.testing.assert_allclose(result.solution(x), Beam(length).exact(x), rtol=1e-2)


@pytest.mark.long
def test_weights_that_adapt_balance_scaled_residuals():
    weights = AdaptiveWeights(every=1, rate=1.0)
    problem = scaled(Beam(), network(), KEY)
    result = fit(problem, network(), optax.sgd(0.0), num_steps=2, key=KEY, weights=weights, progress=False)
    pde, ends = (
        block.weight * optax.tree.norm(jax.grad(block)(result.params)) for block in result.loss.blocks
    )
    np.testing.assert_allclose(ends / pde, 1, rtol=1e-4)


def test_sizes_follow_the_units():
    sizes = [scaled(Beam(length), network(), KEY).outputs[0] for length in (1.0, 1000.0)]
    assert sizes[1] / sizes[0] == pytest.approx(1e6, rel=1e-3)


def test_residuals_of_the_untrained_network_have_size_one():
    problem, model = scaled(Beam(), network(), KEY), network()
    loss = problem.loss(model, problem.sample(jax.random.key(1)))
    for block in loss.blocks:
        assert 0.2 < block.weight * block(nnx.state(model, nnx.Param)) < 5


def test_data_set_the_size_of_an_output():
    @dataclasses.dataclass(frozen=True)
    class Large(FunctionApproximation):
        def exact(self, x):
            return 1e5 * super().exact(x)

    problem = scaled(Large(), network(), KEY)
    values = 1e5 * np.sqrt(np.mean(np.square(FunctionApproximation().exact(np.linspace(-3, 3, 500)))))
    network_size = np.sqrt(np.mean(np.square(network()(jnp.linspace(-1, 1, 500)[:, None]))))
    assert problem.outputs[0] * network_size == pytest.approx(values, rel=0.1)


def test_the_kernel_is_read_by_layers():
    problem, model = scaled(Beam(), network(), KEY), network()
    loss = problem.loss(model, problem.sample(KEY))
    _, params = problem.functional(model)
    layers = diagnostics.gram_matrix(loss, params, kernel="layers")
    rows = diagnostics.gram_matrix(loss, params, kernel="rows")
    np.testing.assert_allclose(layers, rows, rtol=1e-3, atol=1e-5 * rows.max())


def test_several_networks_are_refused():
    with pytest.raises(TypeError, match="scale each inside of the residuals"):
        scaled(Beam(), {"a": network(), "b": network()}, KEY)


@dataclasses.dataclass(frozen=True)
class Driven(Problem):
    """u'' = −10⁶ sin πx, v' = 10⁻¹² u: no source gives v its size, but u does."""

    domain = Box((0.0,), (1.0,))

    def conditions(self):
        start = self.domain.face(0, "lower")
        return {
            "u": Condition(self.first, self.domain, 40),
            "v": Condition(self.second, self.domain, 40),
            "ends": Condition(lambda u, x: u(x)[0], self.domain.boundary(), 2),
            "start": Condition(lambda u, x: u(x)[1], start, 1),
        }

    def first(self, u, x):
        return laplacian(u, x)[2][0] + 1e6 * jnp.sin(jnp.pi * x[0])

    def second(self, u, x):
        value, slope = gradient(u, x)
        return slope[0, 1] - 1e-12 * value[0]

    def exact(self, x):
        u, v = jnp.sin(jnp.pi * x[0]) * 1e6, 1e-6 * (1 - jnp.cos(jnp.pi * x[0])) / jnp.pi
        return jnp.stack([u, v]) / jnp.pi**2


@pytest.mark.slow
def test_an_output_gets_its_size_from_what_drives_it(x64):
    model = MLP(1, [10], 2, dtype=jnp.float64, rngs=nnx.Rngs(0))
    problem = scaled(Driven(), model, KEY)
    optimizer = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    result = fit(problem, model, optimizer, num_steps=40, key=KEY, progress=False)
    assert max(result.final["rel_l2_by_output"].values()) < 1e-3
