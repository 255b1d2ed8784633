"""Spectra, loss decay and contraction against dense computations."""

import builtins

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, diagnostics, gauss_newton, implicit_step

pytestmark = pytest.mark.usefixtures("x64")
X = np.linspace(0.0, 1.0, 9)


def wave(p, x):
    return jnp.sin(p[0] * x) * p[1] - x * p[2] ** 2 - 0.3


LOSS = LeastSquares(Residual(wave, X, weight=3.0), Residual(lambda p, x: p[1] - x, np.ones(1)))
PARAMS = np.array([2.0, 0.7, 0.4])


def test_gram_spectrum_holds_the_gauss_newton_eigenvalues():
    jacobian = np.asarray(jax.jacobian(LOSS.residuals)(PARAMS))
    spectrum = diagnostics.gram_spectrum(LOSS, PARAMS)
    assert spectrum.shape == (10,)
    np.testing.assert_allclose(spectrum[-3:], np.linalg.eigvalsh(jacobian.T @ jacobian), rtol=1e-10)
    np.testing.assert_allclose(spectrum[:-3], 0, atol=1e-13)


@pytest.mark.long
def test_lanczos_finds_the_whole_spectrum_of_a_small_hessian():
    spectrum = diagnostics.hessian_spectrum(LOSS, PARAMS, jax.random.key(1), num_steps=3, num_probes=4)
    expected = np.linalg.eigvalsh(jax.hessian(LOSS)(PARAMS))
    np.testing.assert_allclose(spectrum.eigenvalues, np.tile(expected, (4, 1)), rtol=1e-9)
    assert spectrum.smallest == pytest.approx(expected[0])
    assert spectrum.largest == pytest.approx(expected[-1])
    np.testing.assert_allclose(jnp.sum(spectrum.weights, axis=1), 1.0, rtol=1e-12)


def test_density_of_a_known_spectrum():
    """A quarter of the eigenvalues at 1, the rest around 100, parameters in a dictionary."""
    curvatures = {"a": jnp.full(100, 1.0), "b": 100 + jnp.linspace(-1, 1, 300)}
    loss = lambda p: sum(jnp.sum(curvatures[k] * p[k] ** 2) / 2 for k in p)
    params = jax.tree.map(jnp.zeros_like, curvatures)
    spectrum = diagnostics.hessian_spectrum(loss, params, jax.random.key(0), num_steps=20, num_probes=20)
    assert spectrum.largest == pytest.approx(101.0, rel=1e-3)
    assert spectrum.smallest == pytest.approx(1.0, rel=1e-6)
    np.testing.assert_allclose(
        spectrum.cumulative(jnp.array([0.5, 50.0, 100.0, 200.0])), [0, 0.25, 0.625, 1], atol=0.05
    )


@pytest.mark.parametrize(("steps", "probes"), [(4, 1), (0, 1), (2.5, 1), (2, 0)])
def test_lanczos_refuses_impossible_counts(steps, probes):
    with pytest.raises(ValueError, match="num_"):
        diagnostics.hessian_spectrum(LOSS, PARAMS, jax.random.key(0), num_steps=steps, num_probes=probes)


def test_lanczos_without_matfree_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matfree"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install"):
        diagnostics.hessian_spectrum(LOSS, PARAMS, jax.random.key(0), num_steps=2)


def solved_step(alpha):
    solver = implicit_step(gauss_newton(), alpha, max_inner_steps=100, rtol=1e-12)
    updates, _ = jax.jit(lambda p: solver.update(jax.grad(LOSS)(p), solver.init(p), p, value_fn=LOSS))(PARAMS)
    return optax.apply_updates(PARAMS, updates)


@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_implicit_step_decays_as_equation_11_says(alpha):
    new = solved_step(alpha)
    decay = diagnostics.loss_decay(LOSS, PARAMS, new, alpha)
    np.testing.assert_allclose(decay.actual, LOSS(new) - LOSS(PARAMS), rtol=1e-12)
    np.testing.assert_allclose(decay.predicted, decay.actual, rtol=1e-7)
    np.testing.assert_allclose(decay.gradient_term, alpha * jnp.sum(jax.grad(LOSS)(new) ** 2), rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_gradient_step_changes_the_loss_as_equation_10_says(alpha):
    new = PARAMS - alpha * jax.grad(LOSS)(PARAMS)
    decay = diagnostics.loss_decay(LOSS, PARAMS, new, alpha, implicit=False, num_nodes=20)
    np.testing.assert_allclose(decay.predicted, LOSS(new) - LOSS(PARAMS), rtol=1e-6)


def test_no_step_no_decay():
    decay = diagnostics.loss_decay(LOSS, PARAMS, PARAMS, 1.0)
    assert decay.actual == 0
    assert decay.curvature == 0


def test_contraction_of_a_linear_residual_is_the_papers():
    matrix = jax.random.normal(jax.random.key(0), (6, 4))
    loss = LeastSquares(Residual(lambda p, row: row @ p - 1, matrix))
    solver = implicit_step(gauss_newton(), 0.8, max_inner_steps=1)
    params = jnp.arange(4.0)
    updates, _ = jax.jit(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss))(params)
    result = diagnostics.contraction(loss, params, params + updates, 0.8)
    np.testing.assert_allclose(result.measured, result.predicted, rtol=1e-6)
    np.testing.assert_allclose(result.predicted[:2], 1.0, rtol=1e-10)  # the two modes that J does not reach
    assert result.predicted[-1] < 0.5


def test_contraction_of_a_nonlinear_residual_approaches_the_papers_for_small_steps():
    deviations = []
    for alpha in (1e-2, 1e-4):
        result = diagnostics.contraction(LOSS, PARAMS, solved_step(alpha), alpha)
        deviations.append(float(jnp.max(jnp.abs(jnp.log(result.measured / result.predicted)[-3:]))))
    assert deviations[1] < 1e-3
    assert deviations[1] < deviations[0] / 10


@pytest.mark.parametrize("function", [diagnostics.gram_spectrum, diagnostics.contraction])
def test_gram_matrix_of_another_loss_is_refused(function):
    arguments = (PARAMS, 1.0) if function is diagnostics.contraction else ()
    with pytest.raises(TypeError, match="LeastSquares"):
        function(lambda p: jnp.sum(p**2), PARAMS, *arguments)


@pytest.mark.parametrize("name", ["rank three", "two alike", "identity", "network", "zero"])
def test_lanczos_stops_where_the_space_is_exhausted(name, dtype):
    """Rounding errors, normalised and gone on with, would be eigenvalues that are none."""
    factors = jax.random.normal(jax.random.key(1), (60, 3), dtype)
    weights = jax.random.normal(jax.random.key(2), (7,), dtype)
    x = jnp.linspace(-1, 1, 30, dtype=dtype)
    net = lambda p, x: jnp.sum(p[:20] * jnp.tanh(p[20:40] * x + p[40:]))
    losses = {
        "rank three": lambda p: jnp.sum((p @ factors) ** 2),
        "two alike": lambda p: jnp.sum(p[:2] ** 2),
        "identity": lambda p: jnp.sum(p**2) / 2,
        "network": lambda p: jnp.mean((jax.vmap(lambda x: net(p, x))(x) - jnp.sin(9 * x)) ** 2),
        "zero": lambda p: jnp.sum(weights) * p[0],
    }
    params = jax.random.normal(jax.random.key(3), (60,), dtype)
    spectrum = diagnostics.hessian_spectrum(
        losses[name], params, jax.random.key(0), num_steps=60, num_probes=2
    )
    exact = jax.jit(lambda p: jnp.linalg.eigvalsh(jax.hessian(losses[name])(p)))(params)
    accuracy = 1e3 * jnp.finfo(dtype).eps * jnp.max(jnp.abs(exact))
    assert spectrum.largest <= exact[-1] + accuracy
    assert spectrum.smallest >= exact[0] - accuracy
    np.testing.assert_allclose(spectrum.largest, exact[-1], rtol=1e-3, atol=accuracy)
    np.testing.assert_allclose(jnp.sum(spectrum.weights, axis=1), 1, rtol=1e-4)


def test_one_large_eigenvalue_does_not_hide_the_others(dtype):
    curvatures = jnp.concatenate([jnp.array([1e6]), jnp.linspace(1, 10, 500)]).astype(dtype)
    loss = lambda p: 0.5 * jnp.sum(curvatures * p**2)
    spectrum = diagnostics.hessian_spectrum(loss, jnp.ones(501, dtype), jax.random.key(0), num_steps=40)
    assert spectrum.smallest < 1.1
    counted = spectrum.eigenvalues[spectrum.weights > 0]
    assert jnp.all((counted < 10.5) | (counted > 9e5))


def test_what_a_residual_calls_may_change(monkeypatch, x64):
    """As in a notebook where another cell is run again: the residual is the same, not what it computes."""
    loss = LeastSquares(Residual(_of_a_global, jnp.linspace(0.0, 1.0, 5)[:, None]))
    params = {"a": jnp.ones(1), "b": jnp.ones(1)}
    gram = diagnostics.gram_matrix(loss, params)
    error = diagnostics.covariance(loss, params, noise_std=0.1).standard_error["a"]
    for change in (lambda: monkeypatch.setattr(_Equation, "factor", 3.0), lambda: _Equation.values.append(2)):
        change()
        rows = jax.vmap(jax.grad(lambda p, x: _of_a_global(p, x)[0]), (None, 0))(
            params, loss.blocks[0].points
        )
        rows = jnp.concatenate([rows["a"], rows["b"]], axis=1)
        before, gram = gram, diagnostics.gram_matrix(loss, params)
        np.testing.assert_allclose(gram, rows @ rows.T / 5, atol=1e-12)
        assert not np.allclose(gram, before)
    now = diagnostics.covariance(loss, params, noise_std=0.1).standard_error["a"]
    assert now == pytest.approx(error / 3)


class _Equation:
    factor, values = 1.0, [1.0]


def _of_a_global(p, x):
    return _Equation.factor * p["a"] * x + p["b"] * _Equation.values[-1]
