import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from pinns import (
    MLP,
    Box,
    Condition,
    Faces,
    FunctionApproximation,
    Helmholtz2D,
    Poisson1D,
    Poisson2D,
    Problem,
    SingularlyPerturbedODE,
    fit,
    second_derivatives,
)

PROBLEMS = [
    SingularlyPerturbedODE(2.0),
    SingularlyPerturbedODE(0.01),
    SingularlyPerturbedODE(1e-3),
    Poisson1D("multiscale"),
    Poisson1D("smooth"),
    Poisson2D(),
    Helmholtz2D(1.0),
    Helmholtz2D(4.0),
    Helmholtz2D(2.5, a1=1.5),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_exact_solution_satisfies_every_condition(problem, dtype):
    points = problem.sample(jax.random.key(0), dtype=dtype)
    for name, condition in problem.conditions().items():
        residual = jax.jit(jax.vmap(lambda x, r=condition.residual: r(problem.exact, x)))(points[name])
        scale = 1.0
        if name == "pde":  # rounding is relative to the largest term of the equation
            u = jax.jit(jax.vmap(lambda x: second_derivatives(problem.exact, x)[2]))(points[name])
            epsilon = getattr(problem, "epsilon", 1.0)
            scale = float(epsilon * jnp.max(jnp.abs(u)))
        assert residual.dtype == dtype
        assert float(jnp.max(jnp.abs(residual))) <= 60 * jnp.finfo(dtype).eps * max(scale, 1.0)


@pytest.mark.parametrize("epsilon", [1e-6, 1e-2, 1.0, 1e3])
def test_ode_solution_is_finite_for_any_epsilon(epsilon):
    problem = SingularlyPerturbedODE(epsilon)
    x = jnp.linspace(0, 1, 1001)[:, None]
    y = jax.vmap(problem.exact)(x)
    assert jnp.isfinite(y).all()
    np.testing.assert_allclose(y[[0, -1], 0], 0, atol=1e-6)
    exact = (np.exp(-1 / epsilon) - np.exp((x - 1) / epsilon)) / -np.expm1(-1 / epsilon) + np.sin(
        np.pi / 2 * x
    )
    np.testing.assert_allclose(y, exact, atol=2e-4 if epsilon > 1 else 2e-6)


def nested(u, x):
    hessian = jax.hessian(lambda z: u(z)[0])(x)
    return u(x)[0], jax.grad(lambda z: u(z)[0])(x), jnp.diagonal(hessian)


def ode_paper(u, points, eps=0.3):
    def residual(x):
        _, first, second = nested(u, x)
        f = eps * (jnp.pi / 2) ** 2 * jnp.sin(jnp.pi * x[0] / 2) + jnp.pi / 2 * jnp.cos(jnp.pi * x[0] / 2)
        return -eps * second[0] + first[0] - f

    boundary = 0.5 * (u(jnp.zeros(1))[0] ** 2 + u(jnp.ones(1))[0] ** 2)
    return boundary + jnp.mean(jax.vmap(residual)(points["pde"]) ** 2)


def poisson2d_paper(u, points):
    s = lambda x, k: jnp.sin(k * jnp.pi * x[0]) * jnp.sin(k * jnp.pi * x[1])
    f = lambda x: 2 * jnp.pi**2 * s(x, 1) + 20 * jnp.pi**2 * s(x, 10)
    residual = lambda x: -jnp.sum(nested(u, x)[2]) - f(x)
    boundary = jnp.mean(jax.vmap(lambda x: u(x)[0])(points["boundary"]) ** 2)
    return boundary + jnp.mean(jax.vmap(residual)(points["pde"]) ** 2)


def helmholtz_paper(u, points):
    exact = lambda x: jnp.sin(jnp.pi * x[0]) * jnp.sin(4 * jnp.pi * x[1])
    residual = lambda x: jnp.sum(nested(u, x)[2]) + 16 * u(x)[0] - (16 - 17 * jnp.pi**2) * exact(x)
    boundary = jnp.mean(jax.vmap(lambda x: u(x)[0] - exact(x))(points["boundary"]) ** 2)
    return boundary + jnp.mean(jax.vmap(residual)(points["pde"]) ** 2)


def regression_paper(u, points):
    def target(x):
        return (x**3 - x) * jnp.sin(4 * x) / 4 + jnp.sin(12 * x) / (x**2 + 1)

    return jnp.mean(jax.vmap(lambda x: u(x)[0] - target(x[0]))(points["data"]) ** 2)


@pytest.mark.parametrize(
    ("problem", "paper"),
    [
        (SingularlyPerturbedODE(0.3, num_points=20), ode_paper),
        (Poisson2D(30, 10), poisson2d_paper),
        (Helmholtz2D(4, num_points=30, num_boundary_points=10), helmholtz_paper),
        (FunctionApproximation(num_points=20), regression_paper),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_losses_are_those_of_the_paper(problem, paper, x64):
    model = MLP(problem.domain.dim, [10, 10], 1, dtype=jnp.float64, rngs=nnx.Rngs(1))
    points = problem.sample(jax.random.key(0), dtype=jnp.float64)
    loss = jax.jit(problem.loss(model, points))(nnx.state(model, nnx.Param))
    expected = jax.jit(lambda points: paper(model, points))(points)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_boundary_weight_multiplies_its_block():
    model = MLP(1, [4], 1, rngs=nnx.Rngs(1))
    params = nnx.state(model, nnx.Param)
    values = []
    for weight in (0.0, 1.0, 10.0):
        problem = Poisson1D("smooth", 10, boundary_weight=weight)
        loss = problem.loss(model, problem.sample(jax.random.key(0)))
        values.append(float(loss(params)))
    blocks = loss.losses(params)
    np.testing.assert_allclose(
        values[1:], [float(blocks["pde"] + w * blocks["boundary"]) for w in (1, 10)], rtol=1e-6
    )
    np.testing.assert_allclose(values[0], blocks["pde"], rtol=1e-6)


def test_new_points_do_not_recompile():
    problem = Poisson1D("smooth", 10)
    model = MLP(1, [4], 1, rngs=nnx.Rngs(1))
    traces = []

    @jax.jit
    def evaluate(loss, params):
        traces.append(1)
        return loss(params)

    values = set()
    for seed in range(3):
        equal_problem = dataclasses.replace(problem)
        loss = equal_problem.loss(model, equal_problem.sample(jax.random.key(seed)))
        values.add(float(evaluate(loss, nnx.state(model, nnx.Param))))
    assert len(traces) == 1
    assert len(values) == 3


@dataclasses.dataclass(frozen=True)
class Burgers(Problem):
    """u_t + u u_x = ν u_xx on [−1, 1] × [0, 1], without a known solution."""

    viscosity: float = 0.05
    domain: ClassVar[Box] = Box((-1.0, 0.0), (1.0, 1.0))

    def conditions(self):
        ends = Faces(self.domain, ((0, "lower"), (0, "upper")))
        return {
            "pde": Condition(self.pde, self.domain, 60),
            "boundary": Condition(lambda u, x: u(x), ends, 10),
            "initial": Condition(self.initial, self.domain.face(1, "lower"), 20),
        }

    def pde(self, u, x):
        value, first, second = second_derivatives(u, x)
        return first[1] + value * first[0] - self.viscosity * second[0]

    def initial(self, u, x):
        return u(x) + jnp.sin(jnp.pi * x[0])


@pytest.mark.long
def test_a_time_dependent_equation_of_ones_own_trains():
    model = MLP(2, [16, 16], 1, rngs=nnx.Rngs(0))
    result = fit(Burgers(), model, optax.adam(1e-2), num_steps=200, key=jax.random.key(0), progress=False)
    assert result.final["loss"] < 0.3 * result.history[0]["loss"]
    assert "rel_l2" not in result.final
    assert set(result.final["losses"]) == {"pde", "boundary", "initial"}
    with pytest.raises(ValueError, match="exact solution"):
        fit(Burgers(), model, optax.adam(1e-2), num_steps=2, key=jax.random.key(0), target=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SingularlyPerturbedODE(0.0), "epsilon must be positive"),
        (lambda: Poisson1D("rough"), "'multiscale' or 'smooth'"),
        (lambda: FunctionApproximation("rough"), "'multiscale' or 'discontinuous'"),
        (lambda: Condition(lambda u, x: x, Box((0.0,), (1.0,)), 0), "num_points"),
        (lambda: Poisson2D().loss(MLP(2, [2], 1, rngs=nnx.Rngs(0)), {}), "points must be given for"),
        (lambda: Problem().conditions(), "must define conditions"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
