"""Controllers of α: their formulas, bounds and arguments, alone and with different inner solvers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import (
    LeastSquares,
    Residual,
    StepOutcome,
    gain_ratio,
    gauss_newton,
    implicit_step,
    largest_trusted,
    switched_evolution_relaxation,
)

CONTROLLERS = [gain_ratio, switched_evolution_relaxation, largest_trusted]


def outcome(ratio=1.0, *, accepted=True, learning_rate=2.0, before=4.0, predicted=2.0, at_floor=False):
    return StepOutcome(
        learning_rate=jnp.asarray(learning_rate),
        accepted=jnp.asarray(accepted),
        value_before=jnp.asarray(before),
        value_after=jnp.asarray(before - ratio * predicted),
        predicted_decrease=jnp.asarray(predicted),
        residual=jnp.asarray(0.0),
        num_inner_steps=jnp.asarray(1),
        at_floor=at_floor,
    )


def propose(controller, state):
    return float(controller.propose(state, jnp.asarray(0), jnp.asarray(1.0), jnp.asarray(1.0)))


@pytest.mark.parametrize(("ratio", "divisor"), [(1.0, 1 / 3), (0.75, 1 - 0.125), (0.5, 1.0), (0.1, 1.512)])
def test_gain_ratio_follows_nielsen(ratio, divisor):
    controller = gain_ratio(2.0)
    state = controller.update(controller.init(), outcome(ratio))
    assert propose(controller, state) == pytest.approx(2.0 / divisor, rel=1e-5)


def test_gain_ratio_backs_off_faster_and_faster_until_a_step_succeeds():
    controller = gain_ratio(64.0)
    state = controller.init()
    for expected in (32.0, 8.0, 1.0):
        state = controller.update(state, outcome(accepted=False, learning_rate=propose(controller, state)))
        assert propose(controller, state) == pytest.approx(expected)
    for result in (outcome(0.5, learning_rate=1.0), outcome(accepted=False, learning_rate=1.0)):
        state = controller.update(state, result)
    assert propose(controller, state) == pytest.approx(0.5)


def test_gain_ratio_shrinks_after_ascent_and_keeps_alpha_at_a_minimiser():
    controller = gain_ratio(2.0)
    assert propose(controller, controller.update(controller.init(), outcome(-0.1))) == 1.0
    rise = outcome(predicted=-2.0)  # that was foreseen, as momentum's may be: no success, and no minimiser
    assert propose(controller, controller.update(controller.init(), rise)) == 1.0
    idle = outcome(0.0, before=0.0, predicted=0.0)
    assert propose(controller, controller.update(controller.init(), idle)) == 2.0


def test_gain_ratio_keeps_alpha_where_only_rounding_is_left():
    controller = gain_ratio(2.0)
    noise = outcome(-1.0, before=1.0, predicted=1e-9)
    assert propose(controller, controller.update(controller.init(), noise)) == 2.0


def test_gain_ratio_survives_an_outcome_that_is_not_finite():
    controller = gain_ratio(2.0)
    bad = outcome(accepted=False)._replace(value_after=jnp.asarray(jnp.nan), predicted_decrease=jnp.inf)
    assert propose(controller, controller.update(controller.init(), bad)) == 1.0


def test_switched_evolution_relaxation_grows_as_the_residual_falls():
    controller = switched_evolution_relaxation(2.0, increment=1.0)
    state = controller.update(controller.init(), outcome(before=4.0, ratio=1.5))  # L: 4 → 1, ‖r‖ halves
    assert propose(controller, state) == pytest.approx(4.0)
    state = controller.update(state, outcome(accepted=False, learning_rate=4.0))
    assert propose(controller, state) == pytest.approx(0.4)


def test_switched_evolution_relaxation_has_exponent_and_increment():
    controller = switched_evolution_relaxation(2.0, exponent=1.0, increment=1.5)
    state = controller.update(controller.init(), outcome(before=4.0, ratio=1.5))
    assert propose(controller, state) == pytest.approx(2.0 * 4 * 1.5)
    solved = outcome(before=2.0, ratio=1.0)  # L = 0 afterwards: no ratio
    assert propose(controller, controller.update(controller.init(), solved)) == pytest.approx(2.0)


def test_largest_trusted_goes_on_with_the_alpha_taken():
    controller = largest_trusted(1.0)
    state = controller.update(controller.init(), outcome(learning_rate=30.0))
    assert propose(controller, state) == 30.0
    state = controller.update(state, outcome(learning_rate=0.9, accepted=False))
    assert propose(controller, state) == pytest.approx(0.09)


@pytest.mark.parametrize("make", CONTROLLERS)
def test_alpha_returns_to_the_last_useful_one_where_nothing_is_left_to_gain(make):
    controller = make(1.0)
    state = controller.update(controller.init(), outcome(learning_rate=30.0))
    useful = propose(controller, state)
    assert useful >= 30.0
    for accepted in (False, True):
        state = controller.update(state, outcome(accepted=False, learning_rate=0.9))
        assert propose(controller, state) < 0.9
        by_chance = outcome(learning_rate=0.09, ratio=1.0, predicted=1e-5)  # more than rounding
        state = controller.update(state, by_chance)
        state = controller.update(state, outcome(accepted=accepted, learning_rate=0.03, at_floor=True))
        assert propose(controller, state) == useful


@pytest.mark.parametrize("make", CONTROLLERS)
def test_alpha_stays_within_its_bounds(make):
    controller = make(1.0, min_learning_rate=0.5, max_learning_rate=2.0)
    state = controller.init()
    for _ in range(20):
        state = controller.update(state, outcome(1.9, learning_rate=propose(controller, state) * 30))
    assert propose(controller, state) == 2.0
    for _ in range(20):
        state = controller.update(state, outcome(accepted=False, learning_rate=propose(controller, state)))
    assert propose(controller, state) == 0.5


@pytest.mark.parametrize("make", CONTROLLERS)
@pytest.mark.parametrize("options", [{}, {"min_learning_rate": 0.0}, {"max_learning_rate": 0.5}])
def test_bad_bounds_are_refused(make, options):
    with pytest.raises(ValueError, match="learning_rate"):
        make(**{"initial_learning_rate": 1.0 if options else -1.0} | options)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (gain_ratio, {"max_growth": 1.0}, "max_growth"),
        (switched_evolution_relaxation, {"exponent": 0.0}, "exponent"),
        (switched_evolution_relaxation, {"increment": 0.9}, "increment"),
        (switched_evolution_relaxation, {"shrink": 1.0}, "shrink"),
        (largest_trusted, {"factors": (1.0,)}, "factors"),
        (largest_trusted, {"factors": (1.0, -1.0)}, "factor"),
        (largest_trusted, {"factors": (10.0, 30.0)}, "one side of 1.*only rise"),
        (largest_trusted, {"factors": (0.1, 0.5)}, "one side of 1.*only fall"),
        (largest_trusted, {"min_gain_ratio": 1.0}, "min_gain_ratio"),
    ],
)
def test_bad_options_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(1.0, **options)


@pytest.mark.parametrize("make", CONTROLLERS)
@pytest.mark.parametrize(
    ("inner", "start"),
    [(optax.lbfgs(), 1e-3), (optax.lbfgs(), 1e3), (optax.sgd(0.02), 1.0), (optax.sgd(0.02), 1e3)],
    ids=["lbfgs, 1e-3", "lbfgs, 1e3", "sgd, 1", "sgd, 1e3"],  # sgd at 0.02 needs 1/α below 100
)
def test_every_controller_works_with_every_inner_solver(x64, make, inner, start):
    curvatures = jnp.array([1.0, 40.0])
    loss = lambda p: jnp.sum(curvatures * p**2) / 2
    solver = implicit_step(inner, make(start), max_inner_steps=60)
    params = jnp.array([1.0, -1.0])

    @jax.jit
    def run(params):
        def step(carry, _):
            params, state = carry
            value, grad = jax.value_and_grad(loss)(params)
            updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, solver.init(params)), length=60)[0]

    params, state = run(params)
    assert loss(params) < 1e-5
    assert state.info.learning_rate > 1e-3


@pytest.mark.parametrize("make", [gain_ratio, switched_evolution_relaxation, largest_trusted])
def test_the_first_alpha_may_be_traced(make):
    @jax.jit
    def first(alpha):
        controller = make(alpha)
        return controller.propose(controller.init(), 0, 1.0, 1.0)

    assert float(first(jnp.float32(0.25))) == 0.25
    assert float(first(jnp.float32(4.0))) == 4.0
    assert first._cache_size() == 1


def test_controller_state_keeps_its_dtypes():
    for make in CONTROLLERS:
        controller = make(1.0)
        state = controller.init()
        new = controller.update(state, outcome())
        assert jax.tree.map(jnp.result_type, new) == jax.tree.map(jnp.result_type, state)


def bent(p, x):
    return jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]]) * x


def brute_force(loss, params, alphas, first, min_gain):
    """The rule in plain Python, without geodesic acceleration: (α, point) or None."""
    r = np.asarray(loss.residuals(params))
    jacobian = np.asarray(jax.jacobian(loss.residuals)(params))

    def attempt(alpha):
        damping = 1 / (2 * alpha)
        kernel = jacobian @ jacobian.T + damping * np.eye(r.size)
        d = -jacobian.T @ np.linalg.solve(kernel, r)
        away = damping * d @ d
        actual = r @ r - float(loss(params + d)) - away
        predicted = r @ r - np.sum((r + jacobian @ d) ** 2) - away
        return actual >= min_gain * predicted, actual >= 0, params + d

    attempts = [attempt(alpha) for alpha in alphas]
    if attempts[first][0]:
        last = first
        while last + 1 < len(alphas) and attempts[last + 1][0]:
            last += 1
        return alphas[last], attempts[last][2]
    for i in range(first, -1, -1):
        if attempts[i][0]:
            return alphas[i], attempts[i][2]
    descents = [(float(loss(p)), a, p) for a, (_, down, p) in zip(alphas, attempts, strict=True) if down]
    return min(descents[: first + 1], key=lambda t: t[0])[1:]


@pytest.mark.parametrize("start", [(-1.2, 1.0), (0.5, 3.0), (2.0, 2.0)])
@pytest.mark.parametrize("min_gain", [0.05, 0.5, 0.95])
def test_the_largest_trusted_candidate_is_taken(x64, start, min_gain):
    loss = LeastSquares(Residual(bent, jnp.ones(1)))
    params = jnp.array(start)
    factors = (1e-3, 1e-2, 0.1, 0.9, 10.0)
    controller = largest_trusted(0.3, factors=factors, min_gain_ratio=min_gain)
    solver = implicit_step(gauss_newton(max_corrections=0), controller, max_inner_steps=1)
    updates, state = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss))(
        params
    )
    alpha, point = brute_force(loss, params, [0.3 * f for f in factors], 3, min_gain)
    assert state.info.learning_rate == pytest.approx(alpha)
    np.testing.assert_allclose(params + updates, point, rtol=1e-9)
