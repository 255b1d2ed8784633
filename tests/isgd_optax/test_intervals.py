"""Confidence intervals: Student's quantiles, and how often they cover what they are of."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

from isgd_optax import (
    LeastSquares,
    Residual,
    diagnostics,
    gauss_newton,
    implicit_step,
    largest_trusted,
)

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("freedom", [0.5, 1.0, 3.7, 38.0, 1e6])
@pytest.mark.parametrize("level", [0.1, 0.95, 0.9999])
def test_intervals_have_students_quantiles(freedom, level):
    known = diagnostics.Covariance(jnp.zeros(()), jnp.ones(()), jnp.ones((1, 1)), {}, jnp.asarray(freedom))
    np.testing.assert_allclose(
        known.intervals(level)[1], scipy.stats.t.ppf((1 + level) / 2, freedom), rtol=1e-8
    )
    normal = known._replace(degrees_of_freedom=jnp.asarray(jnp.inf))
    np.testing.assert_allclose(normal.intervals(level)[1], scipy.stats.norm.ppf((1 + level) / 2), rtol=1e-8)
    with pytest.raises(ValueError, match="between 0 and 1"):
        known.intervals(95)


@pytest.mark.slow
def test_intervals_of_a_decay_rate_cover_it_in_95_of_100_draws():
    """y' = −k y with y(0) unknown, a network and 40 data; against the ODE's own least squares."""
    x = jnp.linspace(0.0, 2.0, 40)

    def y(net, x):
        h = jnp.tanh(jnp.tanh((x - 1) * net["w0"] + net["b0"]) @ net["w1"] + net["b1"])
        return h @ net["w2"]

    k0, k1, k2 = jax.random.split(jax.random.key(1), 3)
    net = {
        "w0": jax.random.normal(k0, (16,)),
        "b0": jnp.zeros(16),
        "w1": jax.random.normal(k1, (16, 16)) / 4,
        "b1": jnp.zeros(16),
        "w2": jax.random.normal(k2, (16,)) / 4,
    }
    ode = lambda p, x: jax.grad(y, argnums=1)(p["net"], x) + p["k"] * y(p["net"], x)
    solver = implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True)
    values = jnp.exp(-1.5 * x)

    def fitted(params, values, num_steps):
        data = Residual(lambda p, q: y(p["net"], q[0]) - q[1], jnp.stack([x, values], axis=1), name="data")
        loss = LeastSquares(Residual(ode, jnp.linspace(0.0, 2.0, 100), weight=100.0, name="ode"), data)

        def step(carry, _):
            params, state = carry
            value, grad = optax.value_and_grad_from_state(loss)(params, state=state)
            updates, state = solver.update(grad, state, params, value_fn=loss, value=value)
            return (optax.apply_updates(params, updates), state), None

        params, _ = jax.lax.scan(step, (params, solver.init(params)), length=num_steps)[0]
        return params, diagnostics.covariance(loss, params, select=lambda p: p["k"], noisy=["data"])

    start, _ = jax.jit(fitted, static_argnums=2)({"net": net, "k": jnp.asarray(1.0)}, values, 300)

    @jax.jit
    def draw(key):
        noisy = values + 0.01 * jax.random.normal(key, x.shape)
        result = fitted(start, noisy, 50)[1]
        low, high = result.intervals()
        return (low < 1.5) & (high > 1.5), result.standard_error

    covers, errors = zip(*[draw(key) for key in jax.random.split(jax.random.key(2), 100)], strict=True)
    assert 90 <= sum(covers) <= 99
    sensitivity = np.stack([np.exp(-1.5 * x), -x * np.exp(-1.5 * x)], axis=1)
    bound = 0.01 * np.sqrt(np.linalg.inv(sensitivity.T @ sensitivity)[1, 1])
    assert np.median(errors) == pytest.approx(bound, rel=0.05)
