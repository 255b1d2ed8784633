"""On quadratics the implicit step has a closed form, whatever the step size and the conditioning."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import implicit_step

NUM_UNKNOWNS = 12


def quadratic(seed, condition):
    """A, b of L(θ) = ½θᵀAθ − bᵀθ with eigenvalues from 1/√condition to √condition, and a start θ."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(NUM_UNKNOWNS, NUM_UNKNOWNS)))
    eigenvalues = np.logspace(-0.5, 0.5, NUM_UNKNOWNS) ** np.log10(condition)
    return (rotation * eigenvalues) @ rotation.T, *rng.normal(size=(2, NUM_UNKNOWNS))


def one_step(inner, **options):
    """A compiled function of A, b, θ and α that makes one implicit step."""

    @jax.jit
    def step(a, b, params, alpha):
        loss = lambda p: p @ (a @ p) / 2 - b @ p
        solver = implicit_step(inner, alpha, **options)
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, solver.init(params), params, value=value, value_fn=loss)
        return params + updates, state.info

    return step


def closed_form(a, b, params, alpha):
    return np.linalg.solve(np.eye(len(b)) + alpha * a, params + alpha * b)


@pytest.fixture(scope="module")
def lbfgs_step():
    return one_step(optax.lbfgs(memory_size=20), max_inner_steps=540, rtol=1e-8)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("alpha", [1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3])
@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4, 1e6, 1e8])
def test_lbfgs_solves_any_step_size_and_conditioning(lbfgs_step, condition, alpha):
    for seed in range(6):
        problem = quadratic(seed, condition)
        exact = closed_form(*problem, alpha)
        params, info = lbfgs_step(*problem, alpha)
        assert info.accepted
        assert info.num_inner_steps < 540
        assert info.residual <= 1e-8
        assert np.linalg.norm(params - exact) <= 1e-6 * np.linalg.norm(exact)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "inner",
    [optax.sgd(0.2), optax.sgd(0.05, momentum=0.8), optax.adam(0.02)],
    ids=["sgd", "momentum", "adam"],
)
def test_first_order_solvers_reach_the_closed_form_on_a_well_conditioned_loss(inner):
    problem = quadratic(0, 10.0)
    params, info = one_step(inner, max_inner_steps=5000, rtol=1e-7)(*problem, 1.0)
    assert info.accepted
    assert info.num_inner_steps < 5000
    np.testing.assert_allclose(params, closed_form(*problem, 1.0), rtol=1e-6, atol=1e-7)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("alpha", [1e-4, 1e-3, 1e-2, 1.0, 1e2, 1e4])
def test_every_mode_decays_by_equation_8_where_gradient_descent_diverges(lbfgs_step, alpha):
    curvatures = np.zeros(NUM_UNKNOWNS)
    curvatures[:2] = 1e-4, 1e4
    start = np.zeros(NUM_UNKNOWNS)
    start[:2] = 1.0
    params, info = lbfgs_step(np.diag(curvatures), np.zeros(NUM_UNKNOWNS), start, alpha)
    assert info.accepted
    factors = 1 / (1 + alpha * curvatures[:2]) ** 2
    np.testing.assert_allclose(params[:2] ** 2, factors, rtol=1e-6)
    loss = lambda p: np.sum(curvatures * np.square(p)) / 2
    assert loss(params) <= loss(start) * max(factors) * (1 + 1e-6)

    explicit = start * (1 - alpha * curvatures) ** 10
    assert (loss(explicit) > loss(start)) == (alpha > 2 / 1e4)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "inner", [optax.sgd(1e-7), optax.sgd(3e-8), optax.lbfgs()], ids=["sgd(α)", "sgd(0.3α)", "lbfgs"]
)
def test_small_step_size_gives_gradient_descent(inner):
    a, b, start = quadratic(1, 10.0)
    params, info = one_step(inner, rtol=1e-6)(a, b, start, 1e-7)
    assert info.accepted
    np.testing.assert_allclose(params - start, 1e-7 * (b - a @ start), rtol=1e-5)


@pytest.mark.parametrize("rtol", [1e-3, 0.0], ids=["until solved", "fixed number of inner steps"])
def test_minimiser_is_a_fixed_point(inner, rtol):
    target = jnp.array([1.0, -2.0, 3.0])
    loss = lambda p: jnp.sum((p - target) ** 2)
    solver = implicit_step(inner, 10.0, rtol=rtol, max_inner_steps=3)
    updates, state = jax.jit(
        lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value=loss(p), value_fn=loss)
    )(target)
    np.testing.assert_array_equal(updates, jnp.zeros(3))
    assert state.info.accepted
    assert state.info.residual == 0
    if rtol:
        assert state.info.num_inner_steps == 0
        assert state.num_gradients == 0


@pytest.mark.usefixtures("x64")
def test_pytrees_equal_flat_arrays(inner, make_step, rosenbrock, assert_close):
    tree = {"w": jnp.linspace(-1, 1, 6).reshape(3, 2), "b": (jnp.array(0.5), jnp.array([0.1, -0.3]))}
    flat, unravel = jax.flatten_util.ravel_pytree(tree)
    solver = implicit_step(inner, 0.3, max_inner_steps=20, rtol=1e-9)
    tree_step = make_step(solver, lambda p: rosenbrock(jax.flatten_util.ravel_pytree(p)[0]))
    flat_step = make_step(solver, rosenbrock)
    tree_state, flat_state = solver.init(tree), solver.init(flat)
    for _ in range(3):
        tree, tree_state = tree_step(tree, tree_state)
        flat, flat_state = flat_step(flat, flat_state)
    assert flat_state.info.accepted
    assert_close(tree, unravel(flat), rtol=1e-8, atol=1e-10)
    assert tree_state.info.num_inner_steps == flat_state.info.num_inner_steps
