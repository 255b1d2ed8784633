"""Convex losses of residuals in place of squares."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step
from isgd_optax._gauss_newton._jacobian import ResidualJacobian

LINEAR_SOLVERS = ["dual", "primal", "qr", "cg"]
RNG = np.random.default_rng(0)
N = 6
X = RNG.normal(size=(N, 2))
PARAMS = {"b": RNG.normal(size=3), "w": RNG.normal(size=(2, 3))}


def logits(params, point):
    return point["x"] @ params["w"] + params["b"]


def softmax(r, point):
    return optax.softmax_cross_entropy_with_integer_labels(r, point["label"])


def sigmoid(r, point):
    return optax.sigmoid_binary_cross_entropy(r, jnp.stack([point["y"], 1 - point["y"], point["y"]]))


def huber(r):
    return optax.huber_loss(r, delta=0.5)


def poisson(r, point):
    return jnp.exp(r) - point["y"] * r


LOSSES = {"softmax": softmax, "sigmoid": sigmoid, "huber": huber, "poisson": poisson}


def points(dtype=float):
    label = np.arange(N) % 3
    y = np.asarray(label == 1, dtype)
    return {"x": jnp.asarray(X, dtype), "label": jnp.asarray(label), "y": jnp.asarray(y)}


def block(name, fn=logits, weight=1.0, dtype=float):
    return Residual(fn, points(dtype), weight=weight, loss=LOSSES[name], name=name)


def mixed():
    """All of them and squares, some points with Huber's loss in its linear part."""
    curved = lambda params, point: 2 * jnp.tanh(logits(params, point))
    squares = Residual(lambda p, point: jnp.sin(p["w"] @ p["b"]) - point["x"], points(), 0.3, "squares")
    return LeastSquares(
        squares,
        block("huber", curved, jnp.linspace(0.5, 3.0, N)),
        block("softmax", curved, 2.0),
        block("sigmoid"),
        block("poisson", weight=0.1),
    )


def straight():
    """At large parameters: linear in nearly all of its residuals, the softmax saturated."""
    return LeastSquares(block("huber"), block("softmax"))


CASES = {"mixed": (mixed, 1.0), "straight": (straight, 30.0)}


def params(scale=1.0, dtype=None):
    return jax.tree.map(lambda leaf: jnp.asarray(scale * leaf, dtype), PARAMS)


@functools.cache
def dense(name):
    """Jᵀ(½∇²ℓ)J and ½∇L by hand."""
    make, scale = CASES[name]
    loss = make()
    flat, unravel = ravel_pytree(params(scale))
    losses = LOSSES | {"squares": jnp.square}

    def at_point(part, flat, point):
        ell = losses[part.name]
        if part.name in ("softmax", "sigmoid", "poisson"):
            ell = functools.partial(ell, point=point)
        outputs = lambda v: part.fn(unravel(v), point)
        rows = jax.jacobian(outputs)(flat)
        return rows.T @ jax.hessian(lambda r: jnp.sum(ell(r)))(outputs(flat)) @ rows / 2

    @jax.jit
    def everything(flat):
        total = 0.0
        for part in loss.blocks:
            weights = jnp.broadcast_to(part.weight, (N,)) / N
            matrices = jax.vmap(functools.partial(at_point, part, flat))(part.points)
            total += jnp.einsum("n,nij->ij", weights, matrices)
        return total, jax.grad(lambda v: loss(unravel(v)))(flat) / 2

    return [np.asarray(x) for x in everything(flat)]


def test_values_are_those_computed_directly(dtype):
    at = params(dtype=dtype)
    out = X @ PARAMS["w"] + PARAMS["b"]
    label = np.arange(N) % 3
    y = (label == 1).astype(float)[:, None]
    targets = np.concatenate([y, 1 - y, y], axis=1)
    probability = 1 / (1 + np.exp(-out))
    expected = {
        "softmax": np.log(np.exp(out).sum(axis=1)) - out[np.arange(N), label],
        "sigmoid": -targets * np.log(probability) - (1 - targets) * np.log(1 - probability),
        "huber": np.where(np.abs(out) <= 0.5, out**2 / 2, 0.5 * np.abs(out) - 0.125),
        "poisson": np.exp(out) - y * out,
    }
    assert (np.abs(out) > 0.5).any()
    assert (np.abs(out) <= 0.5).any()
    for name, values in expected.items():
        loss = LeastSquares(block(name, weight=0.7, dtype=dtype))
        assert loss(at).dtype == dtype
        assert loss(at).shape == ()
        rtol = 30 * float(jnp.finfo(dtype).eps)
        np.testing.assert_allclose(loss(at), 0.7 * values.sum() / N, rtol=rtol)
        np.testing.assert_allclose(loss.losses(at)[name], values.sum() / N, rtol=rtol)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES)
def test_matrix_and_gradient_are_those_of_the_generalised_gauss_newton_model(name):
    make, scale = CASES[name]
    loss = make()

    @jax.jit
    def model(at):
        jacobian = ResidualJacobian(loss, at)
        diagonal = ravel_pytree(loss.gauss_newton_diagonal(at))[0]
        return (
            jacobian.normal(),
            jacobian.rows(),
            jacobian.gram(),
            jacobian.rmv(jacobian.residual) + jacobian.slope,
            diagonal,
        )

    normal, rows, gram, gradient, diagonal = model(params(scale))
    matrix, half_gradient = dense(name)
    tolerance = {"rtol": 1e-10, "atol": 1e-11}
    np.testing.assert_allclose(normal, matrix, **tolerance)
    np.testing.assert_allclose(rows.T @ rows, matrix, **tolerance)
    np.testing.assert_allclose(gram, rows @ rows.T, **tolerance)
    np.testing.assert_allclose(gradient, half_gradient, **tolerance)
    np.testing.assert_allclose(diagonal, np.diag(matrix), **tolerance)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("linear_solver", LINEAR_SOLVERS)
@pytest.mark.parametrize("name", CASES)
def test_one_step_is_the_dense_one(name, linear_solver):
    make, scale = CASES[name]
    loss, at, alpha = make(), params(scale), 0.8
    inner = gauss_newton(linear_solver=linear_solver, max_corrections=0, cg_rtol=1e-12)
    solver = implicit_step(inner, alpha, max_inner_steps=1)
    updates, state = jax.jit(solver.update)(jax.grad(loss)(at), solver.init(at), at, value_fn=loss)
    matrix, half_gradient = dense(name)
    expected = -np.linalg.solve(matrix + np.eye(len(matrix)) / (2 * alpha), half_gradient)
    assert state.info.accepted
    assert state.info.learning_rate == alpha
    np.testing.assert_allclose(ravel_pytree(updates)[0], expected, rtol=1e-8, atol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_training_lowers_the_loss_in_float32(name):
    make, scale = CASES[name]
    loss, at = make(), params(scale, jnp.float32)
    solver = implicit_step(gauss_newton(), 10.0, max_inner_steps=3)
    step = jax.jit(lambda p, s: solver.update(jax.grad(loss)(p), s, p, value_fn=loss))
    state, values = solver.init(at), [float(loss(at))]
    for _ in range(5):
        updates, state = step(at, state)
        at = optax.apply_updates(at, updates)
        values.append(float(loss(at)))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(at))
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) <= 1e-6 * values[0])
    assert values[-1] < 0.9 * values[0]


def test_there_is_no_vector_of_residuals_of_a_convex_loss():
    with pytest.raises(TypeError, match="'huber' has a loss that is no sum of squares"):
        mixed().residuals(params())


@pytest.mark.parametrize("use", [lambda loss, p: loss(p), lambda loss, p: loss.residuals(p)])
def test_a_complex_residual_is_an_error(use):
    loss = LeastSquares(Residual(lambda p, x: p * jnp.exp(1j * x), jnp.ones(2)))
    with pytest.raises(TypeError, match=r"must be real.*real and imaginary part"):
        use(loss, jnp.asarray(1.0))


@pytest.mark.parametrize("scale", [0.5, jnp.asarray(0.5)], ids=["number", "array"])
def test_a_loss_with_settings_may_take_the_point_too(scale):
    """By functools.partial, as for label smoothing, quantiles or class weights."""

    def scaled(r, point, scale):
        return scale * softmax(r, point)

    given = functools.partial(scaled, scale=scale)
    loss = LeastSquares(Residual(logits, points(), loss=given))
    expected = LeastSquares(Residual(logits, points(), 0.5, loss=softmax))
    for found, wanted in zip(
        *(jax.tree.leaves(jax.value_and_grad(f)(PARAMS)) for f in (loss, expected)), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    plain = Residual(logits, points(), loss=functools.partial(optax.huber_loss, delta=0.5))
    np.testing.assert_allclose(plain(PARAMS), Residual(logits, points(), loss=huber)(PARAMS), rtol=1e-6)
    again = jax.tree.unflatten(jax.tree.structure(loss), jax.tree.leaves(loss))
    np.testing.assert_allclose(again(PARAMS), expected(PARAMS), rtol=1e-5)
