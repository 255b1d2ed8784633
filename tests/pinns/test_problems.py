"""The paper's formulas one by one; what all problems share is tested with their equations."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinns import (
    FunctionApproximation,
    Helmholtz2D,
    PeriodicHelmholtz2D,
    Poisson1D,
    Poisson2D,
    SingularlyPerturbedODE,
    second_derivatives,
)


@pytest.mark.parametrize(
    "problem",
    [
        SingularlyPerturbedODE(1e-4),
        SingularlyPerturbedODE(1e-6),
        Helmholtz2D(1.0, a1=2.0, a2=3.0),
        PeriodicHelmholtz2D(1.0),
        PeriodicHelmholtz2D(2.5, a1=3.0, a2=2.0),
        FunctionApproximation("multiscale"),
        FunctionApproximation("discontinuous"),
    ],
    ids=str,
)
def test_exact_solution_has_no_residual_where_layers_are_thin_or_modes_differ(problem, dtype):
    layer = getattr(problem, "epsilon", 1.0)
    for name, condition in problem.conditions().items():
        points = condition.region.sample(jax.random.key(0), 400, "uniform", dtype)
        if name == "pde" and layer < 1:  # within the layer too
            points = jnp.concatenate([points, 1 - layer * points])
        residual = jax.jit(jax.vmap(lambda x, r=condition.residual: r(problem.exact, x)))(points)
        seconds = jax.jit(jax.vmap(lambda x: second_derivatives(problem.exact, x)[2]))(points)
        scale = layer * float(jnp.max(jnp.abs(seconds))) if name == "pde" else 0.0
        assert residual.dtype == dtype
        assert float(jnp.max(jnp.abs(residual))) <= 60 * jnp.finfo(dtype).eps * max(scale, 1.0)


def test_forcing_is_that_of_the_exact_solution_term_by_term(x64):
    x = jnp.array([0.3, 0.7])
    s = lambda k, z: np.sin(k * np.pi * z)
    expected = 2 * np.pi**2 * s(1, 0.3) * s(1, 0.7) + 20 * np.pi**2 * s(10, 0.3) * s(10, 0.7)
    np.testing.assert_allclose(Poisson2D().forcing(x), expected, rtol=1e-12)
    expected = (16 - 17 * np.pi**2) * s(1, 0.3) * s(4, 0.7)
    np.testing.assert_allclose(Helmholtz2D(4).forcing(x), expected, rtol=1e-12)
    expected = 4 * np.pi**2 * s(2, 0.3) + 250 * np.pi**2 * s(50, 0.3)
    np.testing.assert_allclose(Poisson1D().forcing(x[:1])[0], expected, rtol=1e-12)
    expected = 2 * (np.pi / 2) ** 2 * s(0.5, 0.3) + np.pi / 2 * np.cos(np.pi / 2 * 0.3)
    np.testing.assert_allclose(SingularlyPerturbedODE(2.0).forcing(x[:1])[0], expected, rtol=1e-12)


@pytest.mark.parametrize("epsilon", [2.0, 0.1])
def test_ode_solution_is_that_of_the_paper(epsilon, x64):
    x = np.linspace(0, 1, 11)
    expected = (1 - np.exp(x / epsilon)) / (np.exp(1 / epsilon) - 1) + np.sin(np.pi / 2 * x)
    y = jax.vmap(SingularlyPerturbedODE(epsilon).exact)(jnp.asarray(x)[:, None])[:, 0]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-15)


def test_discontinuous_function_takes_its_left_value_at_the_jump():
    exact = FunctionApproximation("discontinuous").exact
    values = [float(exact(jnp.array([x]))[0]) for x in (-1.5, -1e-6, 0.0, 1e-6, 1.5)]
    expected = [np.sin(-6.0), -4e-6, 0.0, 2.0, 2 + 1.5 * np.sin(1.5)]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def paper_poisson1d(u, points, weight):
    def residual(x):
        w = 2 * jnp.pi
        forcing = w**2 * jnp.sin(w * x[0]) + 0.1 * (25 * w) ** 2 * jnp.sin(25 * w * x[0])
        return -jax.hessian(lambda z: u(z)[0])(x)[0, 0] - forcing

    boundary = (u(jnp.zeros(1))[0] ** 2 + u(jnp.ones(1))[0] ** 2) / 2
    return weight * boundary + jnp.mean(jax.vmap(residual)(points["pde"]) ** 2)


def paper_discontinuous(u, points, weight):
    def difference(x):
        return u(x)[0] - jnp.where(x[0] > 0, 2 + x[0] * jnp.sin(x[0]), jnp.sin(4 * x[0]))

    return jnp.mean(jax.vmap(difference)(points["data"]) ** 2)


def paper_helmholtz(u, points, weight):
    exact = lambda x: jnp.sin(jnp.pi * x[0]) * jnp.sin(4 * jnp.pi * x[1])
    forcing = lambda x: (2.5**2 - 17 * jnp.pi**2) * exact(x)
    laplace = lambda x: jnp.trace(jax.hessian(lambda z: u(z)[0])(x))
    residual = lambda x: laplace(x) + 2.5**2 * u(x)[0] - forcing(x)
    boundary = jnp.mean(jax.vmap(lambda x: u(x)[0] - exact(x))(points["boundary"]) ** 2)
    return weight * boundary + jnp.mean(jax.vmap(residual)(points["pde"]) ** 2)


@pytest.mark.parametrize("weight", [1.0, 7.0])
@pytest.mark.parametrize(
    ("problem", "paper"),
    [
        (Poisson1D(num_points=20), paper_poisson1d),
        (FunctionApproximation("discontinuous", num_points=20), paper_discontinuous),
        (Helmholtz2D(2.5, num_points=20, num_boundary_points=8), paper_helmholtz),
    ],
    ids=["poisson1d", "discontinuous", "helmholtz"],
)
def test_losses_and_their_gradients_are_those_of_the_paper(problem, paper, weight, make_model, x64):
    if hasattr(problem, "boundary_weight"):
        problem = dataclasses.replace(problem, boundary_weight=weight)
    model = make_model((6, 6), dim=problem.domain.dim, dtype=jnp.float64)
    points = problem.sample(jax.random.key(0), dtype=jnp.float64)
    graphdef, params = nnx.split(model)
    by_hand = lambda params: paper(nnx.merge(graphdef, params), points, weight)
    value, grad = jax.jit(jax.value_and_grad(problem.loss(model, points)))(params)
    expected_value, expected_grad = jax.jit(jax.value_and_grad(by_hand))(params)
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    for a, b in zip(jax.tree.leaves(grad), jax.tree.leaves(expected_grad), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * float(value))


@pytest.mark.long
def test_blocks_of_the_loss_by_name(make_model):
    problem = Poisson2D(20, 8, boundary_weight=3.0)
    model = make_model(dim=2)
    params = nnx.state(model, nnx.Param)
    loss = problem.loss(model, problem.sample(jax.random.key(0)))
    assert loss.names == ("pde", "boundary")
    assert [block.num_points for block in loss.blocks] == [20, 8]
    blocks = loss.losses(params)
    np.testing.assert_allclose(loss(params), blocks["pde"] + 3 * blocks["boundary"], rtol=1e-6)
    np.testing.assert_allclose(jnp.sum(loss.residuals(params) ** 2), loss(params), rtol=1e-5)


def test_points_of_one_problem_are_the_same_for_the_same_key_only(assert_equal, ode):
    first, again, other = (ode.sample(jax.random.key(seed)) for seed in (1, 1, 2))
    assert_equal(first, again)
    assert not jnp.any(first["pde"] == other["pde"])


def test_the_paper_sizes_are_the_default():
    points = Helmholtz2D().sample(jax.random.key(0))
    assert {name: len(p) for name, p in points.items()} == {"pde": 4000, "boundary": 400}
    assert len(SingularlyPerturbedODE().sample(jax.random.key(0))["pde"]) == 400
    assert len(Poisson1D().sample(jax.random.key(0))["pde"]) == 1000


@pytest.mark.parametrize("names", [("pde",), ("pde", "boundary", "initial"), ("data",)])
def test_points_of_other_conditions_are_refused(names, ode, make_model):
    with pytest.raises(ValueError, match=r"\['boundary', 'pde'\], got"):
        ode.loss(make_model(), dict.fromkeys(names, jnp.zeros((2, 1))))
