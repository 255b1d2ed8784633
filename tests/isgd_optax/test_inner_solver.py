"""The protocol of inner solvers: optax solvers, a user's own, and searches over α with either."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import (
    Evaluation,
    InnerSolver,
    LearningRateController,
    Proposal,
    ProximalProblem,
    as_inner_solver,
    from_optax,
    gauss_newton,
    implicit_step,
    isgd_adam,
    largest_trusted,
    step_info,
    switch_after,
)
from isgd_optax._inner_solver import complete

START = np.array([-0.7, 0.4, 0.9])


def quadratic(p):
    return jnp.sum(jnp.array([1.0, 10.0, 100.0]) * (p - 1) ** 2) / 2


def run(solver, loss, num_steps):
    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        return optax.apply_updates(params, updates), state

    params = jnp.asarray(START)
    state = solver.init(params)
    losses, infos = [float(loss(params))], []
    for _ in range(num_steps):
        params, state = step(params, state)
        losses.append(float(loss(params)))
        infos.append(jax.device_get(step_info(state)))
    return params, state, losses, infos


def newton(search=None):
    """One step to the proximal minimiser of ``quadratic``, as a user would write it."""

    def step(alpha, query):
        evaluation, decided = query
        damping = 1 / (alpha if decided is None else decided)
        move = -evaluation.grad / (jnp.array([1.0, 10.0, 100.0]) + damping)
        return Proposal(evaluation.params + move, alpha, 2, ())

    own = {} if search is None else {"search": search}
    return InnerSolver(
        init=lambda params: (),
        query=lambda problem, evaluation, state: (evaluation, problem.learning_rate),
        step=step,
        name="newton",
        num_query_gradients=lambda query: 5,
        **own,
    )


def test_an_optax_solver_and_its_inner_solver_take_the_same_steps(inner, rosenbrock):
    wrapped = from_optax(inner)
    assert as_inner_solver(wrapped) is wrapped
    ends = [run(implicit_step(x, 0.5, max_inner_steps=4), rosenbrock, 3)[0] for x in (inner, wrapped)]
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("wrong", [lambda p: p, 1.0, "adam"])
def test_what_is_no_solver_is_an_error(wrong):
    with pytest.raises(TypeError, match=r"optax\.adam\(1e-3\) or optax\.lbfgs\(\), or an InnerSolver"):
        as_inner_solver(wrong)


@pytest.mark.usefixtures("x64")
def test_a_users_solver_reaches_the_proximal_minimiser_and_its_work_is_counted():
    alpha, curvature = 0.3, np.array([1.0, 10.0, 100.0])
    solver = implicit_step(newton(), alpha, max_inner_steps=4, rtol=1e-10)
    params, state, _, (info,) = run(solver, quadratic, 1)
    expected = (START / alpha + curvature) / (1 / alpha + curvature)
    np.testing.assert_allclose(params, expected, rtol=1e-12)
    assert info.accepted
    assert info.num_inner_steps == 1
    assert info.residual < 1e-12
    assert state.num_gradients == 5 + 2 + 1  # the query, the proposal, and value and gradient at its point


@pytest.mark.usefixtures("x64")
def test_a_users_search_is_asked_and_its_alpha_reported():
    """It takes the better of α and α/4 with respect to L; here that is α, and α/4 if told so."""

    def search(prefer):
        def choose(alpha, trial, start):
            first, second = trial(alpha), trial(alpha / 4)
            both = first.num_gradients + second.num_gradients
            better = (second.loss < first.loss) ^ prefer
            return optax.tree.where(better, second, first)._replace(num_gradients=both)

        return choose

    curvature = np.array([1.0, 10.0, 100.0])
    for prefer, rate in ((False, 0.3), (True, 0.3 / 4)):
        solver = implicit_step(newton(search(prefer)), 0.3, max_inner_steps=1)
        params, state, _, (info,) = run(solver, quadratic, 1)
        assert info.learning_rate == rate
        assert state.num_gradients == 5 + 2 * (2 + 1)
        if not prefer:
            expected = (START / rate + curvature) / (1 / rate + curvature)
            np.testing.assert_allclose(params, expected, rtol=1e-12)


def test_a_search_of_the_controller_works_with_a_users_solver():
    _, _, losses, infos = run(implicit_step(newton(), largest_trusted(), max_inner_steps=1), quadratic, 4)
    assert np.all(np.diff(losses) <= 0)
    assert losses[-1] < 1e-6 * losses[0]
    # The model is exact: every factor is trusted and the largest taken.
    np.testing.assert_allclose([info.learning_rate for info in infos[:2]], [30.0, 900.0], rtol=1e-6)


def test_largest_trusted_searches_with_lbfgs(rosenbrock):
    solver = implicit_step(optax.lbfgs(memory_size=5), largest_trusted(1e-3), max_inner_steps=5)
    _, _, losses, infos = run(solver, rosenbrock, 12)
    rates = np.array([info.learning_rate for info in infos])
    assert np.all(np.diff(losses) <= 1e-6 * losses[0])
    assert losses[-1] < 0.2 * losses[0]
    assert rates[0] > 1e-3
    assert len(np.unique(rates)) > 1
    factors = (0.03, 0.2, 1.0, 3.0, 10.0, 30.0)
    np.testing.assert_allclose(np.min(np.abs(np.array(factors) - rates[0] / 1e-3)), 0, atol=1e-4)


def test_a_search_that_rejects_everything_leaves_the_parameters_alone():
    nothing = LearningRateController(
        init=lambda: (),
        propose=lambda state, count, value, grad_norm: jnp.asarray(1.0),
        update=lambda state, outcome: state,
        search=lambda alpha, trial, start: trial(alpha)._replace(accepted=False),
    )
    params, _, _, (info,) = run(implicit_step(newton(), nothing, max_inner_steps=1), quadratic, 1)
    np.testing.assert_array_equal(params, jnp.asarray(START))
    assert not info.accepted


@pytest.mark.parametrize("controller", [1.0, largest_trusted()], ids=["no search", "search"])
def test_a_point_that_its_solver_does_not_accept_is_not_taken(controller):
    refused = lambda alpha, query: Proposal(jnp.zeros(3), alpha, 0, (), accepted=False)
    inner = InnerSolver(lambda p: (), lambda problem, evaluation, state: (), refused)
    solver = implicit_step(inner, controller, max_inner_steps=2, safeguard=False)
    params, _, _, (info,) = run(solver, quadratic, 1)
    np.testing.assert_array_equal(params, jnp.asarray(START))
    assert not info.accepted


def test_what_a_solver_knows_of_its_proposal_is_not_computed():
    """Nothing but what is None, and the flags that say no."""
    start = Evaluation(jnp.ones(2), jnp.asarray(2.0), jnp.asarray(2.0), 2 * jnp.ones(2))
    problem = ProximalProblem(lambda p: jnp.sum(p**2), None, None, None)
    point = Proposal(0.5 * jnp.ones(2), jnp.asarray(1.0), 0, (), loss=jnp.asarray(0.5))
    told = lambda p: (p.decrease, p.predicted_decrease, p.at_floor, p.too_small)
    given = point._replace(decrease=3.0, predicted_decrease=4.0, at_floor=True)
    found = jax.jit(lambda: [told(complete(problem, start, p)) for p in (given, point)])()
    assert found == [(3, 4, True, False), (1.25, 1, False, False)]


@pytest.mark.parametrize(
    ("wrap", "rate"),
    [
        (lambda tx: optax.chain(tx, optax.clip(1.0)), 0.5),
        (lambda tx: optax.apply_if_finite(tx, 3), 0.5),
        (lambda tx: switch_after(1, tx, optax.adam(0.1)), 0.5),
    ],
    ids=["chain", "apply_if_finite", "switch_after"],
)
def test_step_info_finds_the_step_in_wrappers(wrap, rate):
    _, state, _, infos = run(wrap(implicit_step(optax.sgd(0.005), rate, max_inner_steps=2)), quadratic, 1)
    assert infos[0].learning_rate == rate
    assert infos[0].num_inner_steps == 2
    assert infos[0].accepted
    assert step_info(state) is not None


def test_step_info_of_no_step_and_of_several():
    assert step_info(optax.chain(optax.adam(0.1), optax.clip(1.0)).init(START)) is None
    assert step_info(isgd_adam(0.5, num_implicit_steps=1, num_inner_steps=1).init(START)) is not None
    several = optax.chain(implicit_step(optax.adam(0.1), 1.0), implicit_step(gauss_newton(), 1.0))
    with pytest.raises(ValueError, match="2 implicit steps"):
        step_info(several.init(START))
