"""Gauss–Newton inner steps against dense linear algebra, against each other and against optimistix."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest
from jax.flatten_util import ravel_pytree

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, largest_trusted, switch_after
from isgd_optax._gauss_newton._jacobian import ResidualJacobian

pytestmark = pytest.mark.usefixtures("x64")
PLAIN = {"max_corrections": 0}
SOLVERS = {
    "dual": {},
    "dual, rows": {"linear_solver": "dual", "kernel": "rows", "row_block": 2},
    "primal": {"linear_solver": "primal", "row_block": 2},
    "qr": {"linear_solver": "qr", "row_block": 3},
    "cg": {"linear_solver": "cg", "cg_rtol": 1e-14},
    "cg, no preconditioner": {"linear_solver": "cg", "cg_rtol": 1e-14, "preconditioner_rank": 0},
}


def curve(p, x):
    """Two residuals per point."""
    fit = p["a"] * jnp.sin(p["b"][0] * x) + p["b"][1] * x**2 - jnp.cos(3 * x)
    return jnp.stack([fit, p["b"][2] * x - jnp.exp(-p["a"] * x)])


def make_problem(num_points):
    x = jnp.linspace(0.1, 1.0, num_points)
    prior = Residual(lambda p, x: p["a"] - x, jnp.array([1.1]), weight=0.3, name="prior")
    loss = LeastSquares(Residual(curve, x, weight=2.0, name="curve"), prior)
    return loss, {"a": jnp.asarray(0.5), "b": jnp.array([2.0, 1.0, -0.7])}


def dense(loss, params):
    flat, unravel = ravel_pytree(params)
    return (
        np.asarray(loss.residuals(params)),
        np.asarray(jax.jacobian(lambda v: loss.residuals(unravel(v)))(flat)),
        np.asarray(flat),
    )


def damped(r, jacobian, damping, offset=0.0):
    """The minimiser d of ‖r + J d‖² + λ‖d + offset‖², by an augmented least-squares solve."""
    size = jacobian.shape[1]
    matrix = np.vstack([jacobian, np.sqrt(damping) * np.eye(size)])
    data = np.concatenate([-r, -np.sqrt(damping) * (np.zeros(size) + offset)])
    return np.linalg.lstsq(matrix, data, rcond=None)[0]


def one_step(loss, params, alpha, *, state=None, momentum=None, **options):
    solver = implicit_step(
        gauss_newton(**PLAIN | options), alpha, max_inner_steps=1, momentum=momentum, safeguard=False
    )
    state = solver.init(params) if state is None else state
    update = jax.jit(lambda g, s, p, loss: solver.update(g, s, p, value_fn=loss))
    return update(jax.grad(loss)(params), state, params, loss)


@pytest.mark.parametrize("num_points", [1, 2, 6])  # fewer, about as many, and more residuals than parameters
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [1e-2, 10.0, 1e4])
def test_one_step_is_a_dense_levenberg_marquardt_step(solver, num_points, alpha):
    loss, params = make_problem(num_points)
    updates, state = one_step(loss, params, alpha, **SOLVERS[solver])
    r, jacobian, _ = dense(loss, params)
    expected = damped(r, jacobian, 1 / (2 * alpha))
    np.testing.assert_allclose(ravel_pytree(updates)[0], expected, rtol=1e-10, atol=1e-10)
    assert state.info.accepted
    assert state.info.num_inner_steps == 1


def test_one_step_is_the_levenberg_marquardt_step_of_optimistix():
    loss, params = make_problem(6)
    updates, _ = one_step(loss, params, 0.5)  # λ = 1/(2α) = 1, optimistix's first damping
    solver = optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-12)
    solution = optimistix.least_squares(
        lambda p, _: loss.residuals(p), solver, params, max_steps=2, throw=False
    )
    theirs = optax.tree.sub(solution.value, params)
    np.testing.assert_allclose(ravel_pytree(updates)[0], ravel_pytree(theirs)[0], rtol=1e-10, atol=1e-12)


def test_the_linear_model_contracts_as_the_paper_says():
    loss, params = make_problem(6)
    updates, _ = one_step(loss, params, 3.0)
    r, jacobian, _ = dense(loss, params)
    after = r + jacobian @ np.asarray(ravel_pytree(updates)[0])
    contraction = np.linalg.inv(np.eye(r.size) + 2 * 3.0 * jacobian @ jacobian.T)
    np.testing.assert_allclose(after, contraction @ r, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("max_corrections", [10, 0])
@pytest.mark.parametrize("alpha", [0.1, 5.0])
def test_many_steps_reach_the_backward_euler_point(alpha, max_corrections):
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


@pytest.mark.parametrize("num_points", [2, 6])
@pytest.mark.parametrize("solver", SOLVERS)
def test_corrections_are_simplified_newton_iterations(solver, num_points):
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


def test_the_first_correction_is_the_geodesic_acceleration_to_leading_order():
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


def test_a_curved_valley_wants_several_corrections():
    """The nearer the frozen equation is to solved, the lower the proximal objective, at one linearisation."""
    loss = LeastSquares(Residual(lambda p, x: jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]]), jnp.zeros(1)))
    params, alpha = jnp.array([-0.5, 0.25]), 1.0
    reached = []
    for max_corrections in (0, 1, 3, 10):
        new = params + one_step(loss, params, alpha, max_corrections=max_corrections)[0]
        reached.append(loss(new) + jnp.sum((new - params) ** 2) / (2 * alpha))
    assert np.all(np.diff(reached) < 0)


def test_corrections_are_left_out_where_they_raise_the_objective():
    # A way that bends away: what the linear step leaves is not to be had in its direction.
    loss = LeastSquares(Residual(lambda p, x: 1 - p + x * p**2, jnp.array([0.9])))
    params = jnp.asarray(0.0)
    plain, _ = one_step(loss, params, 1e4)
    found, _ = one_step(loss, params, 1e4, max_corrections=10)
    assert loss(params + plain) < loss(params)
    np.testing.assert_array_equal(found, plain)


def test_corrections_of_an_iterative_solver_end_by_their_products():
    loss, params = make_problem(6)
    plain, few, many = (
        one_step(loss, params, 100.0, linear_solver="cg", preconditioner_rank=0, max_corrections=count)[1]
        for count in (0, 3, 10)
    )
    assert (
        few.num_gradients <= plain.num_gradients + 1 + 10
    )  # one correction of CG is more than three products
    assert many.num_gradients >= few.num_gradients


def test_the_name_of_before_is_said_to_be_old():
    with pytest.warns(DeprecationWarning, match="max_corrections: 0 for False"):
        inner = gauss_newton(geodesic_acceleration=False)
    loss, params = make_problem(6)
    updates, _ = implicit_step(inner, 0.5, max_inner_steps=1, safeguard=False).update(
        jax.grad(loss)(params), implicit_step(inner, 0.5).init(params), params, value_fn=loss
    )
    expected = one_step(loss, params, 0.5)[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), updates, expected)


def test_momentum_is_spring():
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


def test_single_precision_parameters_are_solved_for_in_double():
    loss, params = make_problem(6)
    params = optax.tree.cast(params, jnp.float32)
    loss = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), loss)
    assert ResidualJacobian(loss, params, row_block=8).gram().dtype == jnp.float64
    updates, _ = one_step(loss, params, 1e4)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(updates))
    r, jacobian, _ = dense(loss, params)
    expected = damped(r.astype(float), jacobian.astype(float), 1 / 2e4)
    np.testing.assert_allclose(ravel_pytree(updates)[0], expected, rtol=1e-4)


def test_new_points_of_the_same_shape_do_not_compile_again():
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    calls = []

    @jax.jit
    def step(params, state, loss):
        calls.append(None)
        return solver.update(jax.grad(loss)(params), state, params, value_fn=loss)

    loss, params = make_problem(6)
    _, state = step(params, solver.init(params), loss)
    step(params, state, jax.tree.map(lambda leaf: leaf * 1.1, loss))
    assert len(calls) == 1


def test_an_ensemble_is_trained_by_vmap():
    loss, params = make_problem(6)
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    step = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss)[0])
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 1.2, leaf - 0.3]), params)
    together = jax.vmap(step)(several)
    for i in range(3):
        alone = step(jax.tree.map(lambda leaf, i=i: leaf[i], several))
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-7)


def test_another_loss_is_refused():
    params = jnp.ones(2)
    solver = implicit_step(gauss_newton(), 1.0)
    with pytest.raises(TypeError, match="LeastSquares"):
        solver.update(params, solver.init(params), params, value_fn=lambda p: jnp.sum(p**2))


def test_use_outside_an_implicit_step_is_refused():
    loss, params = make_problem(2)
    solver = gauss_newton()
    with pytest.raises(TypeError, match="inner solver"):
        solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"linear_solver": "lu"}, "linear_solver"),
        ({"kernel": "columns"}, "kernel"),
        ({"row_block": 0}, "row_block"),
        ({"cg_rtol": 0.0}, "cg_rtol"),
        ({"cg_max_steps": 0}, "cg_max_steps"),
        ({"preconditioner_rank": -1}, "preconditioner_rank"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        gauss_newton(**options)


def test_layers_name_the_parameters_that_have_none():
    loss, params = make_problem(2)
    with pytest.raises(ValueError, match=r"params\['a'\] \(.*mul.*\) in 'curve'|params\['a'\] \(.*\)"):
        one_step(loss, params, 1.0, kernel="layers")


@pytest.mark.parametrize(("linear_solver", "limit"), [("dual", 4000), ("primal", 1700), ("qr", 2000)])
def test_what_does_not_fit_is_refused_with_alternatives(linear_solver, limit):
    loss, params = make_problem(6)
    with pytest.raises(ValueError, match=r"GiB.*cg.*memory_limit"):
        one_step(loss, params, 1.0, linear_solver=linear_solver, memory_limit=limit, preconditioner_rank=0)


def test_automatic_choice_without_memory_is_conjugate_gradients():
    loss, params = make_problem(6)
    automatic, state = one_step(loss, params, 1.0, memory_limit=1, cg_rtol=1e-14)
    exact, exact_state = one_step(loss, params, 1.0)
    assert state.num_gradients > exact_state.num_gradients
    np.testing.assert_allclose(ravel_pytree(automatic)[0], ravel_pytree(exact)[0], rtol=1e-9)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda solver: optax.chain(solver, optax.clip_by_global_norm(1e6)),
        lambda solver: switch_after(1, optax.adam(1e-3), solver),
        lambda solver: optax.apply_if_finite(solver, 3),
        lambda solver: optax.inject_hyperparams(implicit_step)(gauss_newton(), learning_rate=1.0),
    ],
    ids=["chain", "switch_after", "apply_if_finite", "inject_hyperparams"],
)
def test_it_works_inside_other_transformations(wrap):
    loss, params = make_problem(6)
    solver = optax.with_extra_args_support(wrap(implicit_step(gauss_newton(), largest_trusted())))

    @jax.jit
    def run(params):
        def step(carry, _):
            params, state = carry
            value, grad = jax.value_and_grad(loss)(params)
            updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
            return (optax.apply_updates(params, updates), state), value

        return jax.lax.scan(step, (params, solver.init(params)), length=30)[1]

    values = run(params)
    assert values[-1] < 0.2 * values[0]


def test_the_stored_gradient_is_that_of_the_new_parameters():
    loss, params = make_problem(6)
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True)
    update = jax.jit(lambda g, s, p: solver.update(g, s, p, value_fn=loss))
    updates, state = update(jax.grad(loss)(params), solver.init(params), params)
    new = optax.apply_updates(params, updates)
    value, grad = optax.value_and_grad_from_state(loss)(new, state=state)
    np.testing.assert_allclose(value, loss(new), rtol=1e-12)
    for ours, theirs in zip(jax.tree.leaves(grad), jax.tree.leaves(jax.grad(loss)(new)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_step_that_overshoots_is_damped_around_the_iterate(rosenbrock_residual):
    """Far from the centre, damping towards the centre would not help; damping towards the iterate does."""
    loss, params = rosenbrock_residual
    for alpha in (1.0, 1e4):
        solver = implicit_step(gauss_newton(**PLAIN), alpha, max_inner_steps=100, rtol=1e-8)
        updates, state = jax.jit(
            lambda p, s=solver: s.update(jax.grad(loss)(p), s.init(p), p, value_fn=loss)
        )(params)
        new = params + updates
        equation = updates + alpha * jax.grad(loss)(new)
        assert optax.tree.norm(equation) <= 1e-7 * optax.tree.norm(updates)
        assert state.info.num_inner_steps < 100


@pytest.fixture
def rosenbrock_residual():
    loss = LeastSquares(
        Residual(lambda p, x: jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]]) * x, jnp.ones(1))
    )
    return loss, jnp.array([-1.2, 1.0])


def test_a_damped_step_reports_the_alpha_that_was_used(rosenbrock_residual):
    loss, params = rosenbrock_residual
    updates, state = one_step(loss, params, 1e4)
    assert state.info.learning_rate < 1e4
    r, jacobian, _ = dense(loss, params)
    expected = damped(r, jacobian, 1 / (2 * float(state.info.learning_rate)))
    np.testing.assert_allclose(updates, expected, rtol=1e-8)
    assert loss(params + updates) + jnp.sum(updates**2) / 2e4 <= loss(params)


def test_a_step_to_where_the_loss_is_nan_is_damped():
    loss = LeastSquares(Residual(lambda p, x: jnp.log(p) * x, jnp.ones(1)))
    params = jnp.asarray(4.0)  # the full Gauss–Newton step leads to 4 − 4 log 4 < 0
    updates, state = one_step(loss, params, 1e6)
    assert state.info.accepted
    assert loss(params + updates) < loss(params)


def test_candidates_stay_within_the_controllers_bounds():
    loss, params = make_problem(6)
    solver = implicit_step(gauss_newton(), largest_trusted(1.0, max_learning_rate=2.0), max_inner_steps=1)
    _, state = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss))(params)
    assert state.info.learning_rate == 2.0


def test_masked_parameters_are_refused():
    loss, params = make_problem(2)
    inner = optax.partition({"a": gauss_newton(), "b": optax.set_to_zero()}, {"a": "a", "b": "b"})
    solver = implicit_step(inner, 1.0)
    with pytest.raises(TypeError, match="clos"):
        solver.update(jax.grad(loss)(params), solver.init(params), params, value_fn=loss)


def test_a_changed_incoming_gradient_does_not_change_the_trust(rosenbrock_residual):
    loss, params = rosenbrock_residual
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1)
    update = jax.jit(lambda g, p: solver.update(g, solver.init(p), p, value_fn=loss))
    grad = jax.grad(loss)(params)
    whole, clipped = update(grad, params), update(1e-3 * grad, params)
    np.testing.assert_allclose(clipped[0], whole[0], rtol=1e-12)
