"""Gauss–Newton steps and their corrections against dense linear algebra, each other and optimistix."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest
from jax.flatten_util import ravel_pytree

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step
from isgd_optax._gauss_newton._jacobian import ResidualJacobian

pytestmark = pytest.mark.usefixtures("x64")
SOLVERS = {
    "dual": {},
    "dual, rows": {"linear_solver": "dual", "kernel": "rows", "row_block": 2},
    "primal": {"linear_solver": "primal", "row_block": 2},
    "qr": {"linear_solver": "qr", "row_block": 3},
    "cg": {"linear_solver": "cg", "cg_rtol": 1e-14},
    "cg, no preconditioner": {"linear_solver": "cg", "cg_rtol": 1e-14, "preconditioner_rank": 0},
}


@pytest.mark.parametrize("num_points", [1, 2, 6])  # fewer, about as many, and more residuals than parameters
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [1e-2, 10.0, 1e4])
def test_one_step_is_a_dense_levenberg_marquardt_step(
    solver, num_points, alpha, make_problem, one_step, dense, damped
):
    loss, params = make_problem(num_points)
    updates, state = one_step(loss, params, alpha, **SOLVERS[solver])
    r, jacobian, _ = dense(loss, params)
    expected = damped(r, jacobian, 1 / (2 * alpha))
    np.testing.assert_allclose(ravel_pytree(updates)[0], expected, rtol=1e-10, atol=1e-10)
    assert state.info.accepted
    assert state.info.num_inner_steps == 1


def test_one_step_is_the_levenberg_marquardt_step_of_optimistix(make_problem, one_step):
    loss, params = make_problem(6)
    updates, _ = one_step(loss, params, 0.5)  # λ = 1/(2α) = 1, optimistix's first damping
    solver = optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-12)
    solution = optimistix.least_squares(
        lambda p, _: loss.residuals(p), solver, params, max_steps=2, throw=False
    )
    theirs = optax.tree.sub(solution.value, params)
    np.testing.assert_allclose(ravel_pytree(updates)[0], ravel_pytree(theirs)[0], rtol=1e-10, atol=1e-12)


def test_the_linear_model_contracts_as_the_paper_says(make_problem, one_step, dense):
    loss, params = make_problem(6)
    updates, _ = one_step(loss, params, 3.0)
    r, jacobian, _ = dense(loss, params)
    after = r + jacobian @ np.asarray(ravel_pytree(updates)[0])
    contraction = np.linalg.inv(np.eye(r.size) + 2 * 3.0 * jacobian @ jacobian.T)
    np.testing.assert_allclose(after, contraction @ r, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("max_corrections", [10, 0])
@pytest.mark.parametrize("alpha", [0.1, 5.0])
def test_many_steps_reach_the_backward_euler_point(alpha, max_corrections, make_problem):
    loss, params = make_problem(6)
    inner = gauss_newton(max_corrections=max_corrections)
    solver = implicit_step(inner, alpha, max_inner_steps=60, rtol=1e-9)
    updates, state = jax.jit(lambda g, s, p: solver.update(g, s, p, value_fn=loss))(
        jax.grad(loss)(params), solver.init(params), params
    )
    new = optax.apply_updates(params, updates)
    equation = jax.tree.map(lambda d, g: d + alpha * g, updates, jax.grad(loss)(new))
    assert optax.tree.norm(equation) <= 1e-8 * optax.tree.norm(updates)
    assert state.info.residual <= 1e-9
    assert state.info.accepted
    assert 1 < state.info.num_inner_steps < 60


@pytest.mark.long
@pytest.mark.parametrize("num_points", [pytest.param(2, marks=pytest.mark.slow), 6])
@pytest.mark.parametrize("solver", SOLVERS)
def test_corrections_are_simplified_newton_iterations(
    solver, num_points, make_problem, one_step, dense, damped
):
    """q ← argmin ‖r(q) + J (q' − q)‖² + λ‖q' − θ‖² with the J of the start."""
    loss, params = make_problem(num_points)
    alpha = 0.5
    r, jacobian, flat = dense(loss, params)
    unravel = ravel_pytree(params)[1]
    at = lambda d: np.asarray(loss.residuals(unravel(flat + d)))
    proximal = lambda d: np.sum(at(d) ** 2) + np.sum(d**2) / (2 * alpha)
    expected, worth = damped(r, jacobian, 1 / (2 * alpha)), True
    for count in range(4):
        updates, _ = one_step(loss, params, alpha, max_corrections=count, **SOLVERS[solver])
        if "cg" not in solver or count < 2:  # its corrections end by their products
            np.testing.assert_allclose(ravel_pytree(updates)[0], expected, rtol=1e-9)
        new = damped(at(expected) - jacobian @ expected, jacobian, 1 / (2 * alpha))
        gain = proximal(expected) - proximal(new)
        assert count > 0 or gain > 0
        before, expected = expected, new if worth and gain > 0 else expected
        worth &= gain > 0.01 * np.sum(at(before) ** 2)


def test_the_first_correction_is_the_geodesic_acceleration_to_leading_order(
    make_problem, one_step, dense, damped
):
    loss, params = make_problem(6)
    r, jacobian, flat = dense(loss, params)
    unravel = ravel_pytree(params)[1]
    apart = []
    for alpha in (0.02, 0.01):
        velocity = damped(r, jacobian, 1 / (2 * alpha))
        along = lambda t, velocity=velocity: loss.residuals(unravel(flat + t * velocity))
        bend = damped(np.asarray(jax.jacfwd(jax.jacfwd(along))(0.0)) / 2, jacobian, 1 / (2 * alpha))
        updates, _ = one_step(loss, params, alpha, max_corrections=1)
        apart.append(np.linalg.norm(ravel_pytree(updates)[0] - velocity - bend) / np.linalg.norm(bend))
    assert apart[1] < 0.6 * apart[0] < 0.1


def test_a_curved_valley_wants_several_corrections(one_step):
    """The nearer the frozen equation is to solved, the lower the proximal objective, at one linearisation."""
    loss = LeastSquares(Residual(lambda p, x: jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]]), jnp.zeros(1)))
    params, alpha = jnp.array([-0.5, 0.25]), 1.0
    reached = []
    for max_corrections in (0, 1, 3, 10):
        new = params + one_step(loss, params, alpha, max_corrections=max_corrections)[0]
        reached.append(loss(new) + jnp.sum((new - params) ** 2) / (2 * alpha))
    assert np.all(np.diff(reached) < 0)


def test_corrections_are_left_out_where_they_raise_the_objective(one_step):
    # A way that bends away: what the linear step leaves is not to be had in its direction.
    loss = LeastSquares(Residual(lambda p, x: 1 - p + x * p**2, jnp.array([0.9])))
    params = jnp.asarray(0.0)
    plain, _ = one_step(loss, params, 1e4)
    found, _ = one_step(loss, params, 1e4, max_corrections=10)
    assert loss(params + plain) < loss(params)
    np.testing.assert_array_equal(found, plain)


def test_corrections_of_an_iterative_solver_end_by_their_products(make_problem, one_step):
    loss, params = make_problem(6)
    plain, few, many = (
        one_step(loss, params, 100.0, linear_solver="cg", preconditioner_rank=0, max_corrections=count)[1]
        for count in (0, 3, 10)
    )
    assert (
        few.num_gradients <= plain.num_gradients + 1 + 10
    )  # one correction of CG is more than three products
    assert many.num_gradients >= few.num_gradients


def test_the_name_of_before_is_said_to_be_old(make_problem, one_step):
    with pytest.warns(DeprecationWarning, match="max_corrections: 0 for False"):
        inner = gauss_newton(geodesic_acceleration=False)
    loss, params = make_problem(6)
    updates, _ = implicit_step(inner, 0.5, max_inner_steps=1, safeguard=False).update(
        jax.grad(loss)(params), implicit_step(inner, 0.5).init(params), params, value_fn=loss
    )
    expected = one_step(loss, params, 0.5)[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), updates, expected)


def test_momentum_is_spring(make_problem, one_step, dense):
    """φ ← μφ − Jᵀ(JJᵀ + λ)⁻¹(r + μJφ), the update of Goldshlager et al. 2024."""
    loss, params = make_problem(2)
    alpha, mu = 0.3, 0.8
    phi, state, p = 0.0, None, params
    for _ in range(3):
        r, jacobian, flat = dense(loss, p)
        phi = phi * np.ones_like(flat)
        kernel = jacobian @ jacobian.T + np.eye(r.size) / (2 * alpha)
        phi = mu * phi - jacobian.T @ np.linalg.solve(kernel, r + mu * jacobian @ phi)
        updates, state = one_step(loss, p, alpha, state=state, momentum=mu)
        np.testing.assert_allclose(ravel_pytree(updates)[0], phi, rtol=1e-9, atol=1e-12)
        p = optax.apply_updates(p, updates)


def test_momentum_is_left_out_where_the_last_step_has_raised_the_loss(make_problem, one_step):
    """As points drawn anew may show: what it learned from too few of them is not gone on with."""
    loss, params = make_problem(2)
    updates, state = one_step(loss, params, 0.3, momentum=0.8)
    there = optax.apply_updates(params, updates)
    for factor, restarts in ((0.1, False), (100.0, True)):
        other = jax.tree.map(lambda leaf, factor=factor: leaf * factor, loss)
        assert (other(there) > loss(params)) == restarts
        found, _ = one_step(other, there, 0.3, state=state, momentum=0.8)
        plain, _ = one_step(other, there, 0.3)
        difference = optax.tree.norm(optax.tree.sub(found, plain))
        assert (difference < 1e-12) == restarts


@pytest.mark.long
def test_single_precision_parameters_are_solved_for_in_double(make_problem, one_step, dense, damped):
    loss, params = make_problem(6)
    params = optax.tree.cast(params, jnp.float32)
    loss = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), loss)
    assert ResidualJacobian(loss, params, row_block=8).gram().dtype == jnp.float64
    updates, _ = one_step(loss, params, 1e4)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(updates))
    r, jacobian, _ = dense(loss, params)
    expected = damped(r.astype(float), jacobian.astype(float), 1 / 2e4)
    np.testing.assert_allclose(ravel_pytree(updates)[0], expected, rtol=1e-4)


def test_automatic_choice_without_memory_is_conjugate_gradients(make_problem, one_step):
    loss, params = make_problem(6)
    automatic, state = one_step(loss, params, 1.0, memory_limit=1, cg_rtol=1e-14)
    exact, exact_state = one_step(loss, params, 1.0)
    assert state.num_gradients > exact_state.num_gradients
    np.testing.assert_allclose(ravel_pytree(automatic)[0], ravel_pytree(exact)[0], rtol=1e-9)
