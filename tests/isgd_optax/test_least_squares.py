"""Losses that are weighted means of squared residuals."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from isgd_optax import LeastSquares, Residual, implicit_step

PARAMS = {"a": np.float32(1.5), "b": np.array([0.5, -2.0], np.float32)}
X = np.array([0.0, 1.0, 3.0], np.float32)
XY = (np.array([1.0, 2.0], np.float32), np.array([[1.0, 0.0], [2.0, -1.0]], np.float32))


def scalar_residual(params, x):
    return params["a"] * x - 2.0


def vector_residual(params, point):
    x, y = point
    return x * params["b"] - y


def matrix_residual(params, x):
    return jnp.outer(params["b"], params["b"]) * x


def three_blocks():
    return LeastSquares(
        Residual(scalar_residual, X, weight=2.0, name="ode"),
        Residual(vector_residual, XY, weight=0.25),
        Residual(matrix_residual, X, weight=0.0, name="off"),
    )


def test_it_equals_the_sum_written_by_hand():
    scalar = np.array([-2.0, -0.5, 2.5])  # 1.5x − 2
    vector = np.array([[-0.5, -2.0], [-1.0, -3.0]])  # x·(0.5, −2) − y
    matrix = np.outer([0.5, -2.0], [0.5, -2.0]) * X[:, None, None]
    loss = three_blocks()
    expected = {
        "ode": np.sum(scalar**2) / 3,
        "block1": np.sum(vector**2) / 2,
        "off": np.sum(matrix**2) / 3,
    }
    for name, value in loss.losses(PARAMS).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6)
    np.testing.assert_allclose(loss(PARAMS), 2 * expected["ode"] + 0.25 * expected["block1"], rtol=1e-6)
    np.testing.assert_allclose(
        loss.residuals(PARAMS),
        np.concatenate([np.sqrt(2 / 3) * scalar, np.sqrt(0.25 / 2) * vector.ravel(), np.zeros(12)]),
        rtol=1e-6,
    )


def test_block_residuals_are_unscaled_and_keep_their_shape():
    scalar, vector, matrix = three_blocks().blocks
    assert scalar.residuals(PARAMS).shape == (3,)
    assert vector.residuals(PARAMS).shape == (2, 2)
    assert matrix.residuals(PARAMS).shape == (3, 2, 2)
    np.testing.assert_allclose(scalar.residuals(PARAMS), 1.5 * X - 2)
    assert (scalar.num_points, vector.num_points, matrix.num_points) == (3, 2, 3)


def test_squared_norm_of_the_residuals_is_the_loss(dtype):
    rng = np.random.default_rng(0)
    params = jnp.asarray(rng.normal(size=4), dtype)
    points = jnp.asarray(rng.normal(size=(7, 4)), dtype)
    loss = LeastSquares(
        Residual(lambda p, x: jnp.sin(p @ x), points, weight=3.0),
        Residual(lambda p, x: jnp.stack([p * x, p + x]), points[:2], weight=jnp.asarray(0.1)),
    )
    residuals = loss.residuals(params)
    assert residuals.shape == (7 + 2 * 8,)
    assert residuals.dtype == loss(params).dtype == dtype
    rtol = 10 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(jnp.sum(residuals**2), loss(params), rtol=rtol)
    weighted = sum(
        b.weight * value for b, value in zip(loss.blocks, loss.losses(params).values(), strict=True)
    )
    np.testing.assert_allclose(weighted, loss(params), rtol=rtol)


@pytest.mark.usefixtures("x64")
def test_gradient_is_twice_the_transposed_jacobian_times_the_residuals():
    loss = three_blocks()
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), PARAMS)
    residuals, vjp = jax.vjp(loss.residuals, params)
    (expected,) = vjp(2 * residuals)
    grad = jax.grad(loss)(params)
    jax.tree.map(lambda g, e: np.testing.assert_allclose(g, e, rtol=1e-12), grad, expected)
    eps = 1e-6
    ahead, behind = (loss(params | {"a": params["a"] + sign * eps}) for sign in (1, -1))
    np.testing.assert_allclose(grad["a"], (ahead - behind) / (2 * eps), rtol=1e-7)


def test_a_block_of_weight_zero_contributes_nothing():
    without = LeastSquares(Residual(scalar_residual, X))
    with_zero = LeastSquares(Residual(scalar_residual, X), Residual(vector_residual, XY, weight=0.0))
    assert without(PARAMS) == with_zero(PARAMS)
    gradients = [jax.grad(loss)(PARAMS) for loss in (without, with_zero)]
    jax.tree.map(np.testing.assert_array_equal, *gradients)


def test_names_are_given_or_positions():
    assert three_blocks().names == ("ode", "block1", "off")
    assert list(three_blocks().losses(PARAMS)) == ["ode", "block1", "off"]


def test_new_points_and_weights_do_not_recompile():
    traces = []

    @jax.jit
    def evaluate(loss, params):
        traces.append(None)
        return loss(params)

    for shift in range(3):
        loss = LeastSquares(
            Residual(scalar_residual, X + shift, weight=1.0 + shift, name="ode"),
            Residual(vector_residual, XY),
        )
        np.testing.assert_allclose(evaluate(loss, PARAMS), loss(PARAMS), rtol=1e-6)
    assert len(traces) == 1
    evaluate(
        LeastSquares(Residual(scalar_residual, X[:2], name="ode"), Residual(vector_residual, XY)), PARAMS
    )
    assert len(traces) == 2


def test_pytree_round_trip_keeps_functions_points_weights_and_names():
    loss = three_blocks()
    leaves, treedef = jax.tree.flatten(loss)
    again = jax.tree.unflatten(treedef, leaves)
    assert again.names == loss.names
    assert again(PARAMS) == loss(PARAMS)
    doubled = jax.tree.map(lambda leaf: 2 * leaf, LeastSquares(Residual(scalar_residual, X, weight=1.0)))
    np.testing.assert_allclose(doubled(PARAMS), 2 * np.mean((3 * X - 2) ** 2), rtol=1e-6)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(loss)]
    assert ".blocks[0].points" in paths


def test_arrays_held_by_the_residual_function_are_leaves():
    fn = jax.tree_util.Partial(lambda scale, params, x: scale * params["a"] * x, jnp.asarray(2.0))
    loss = LeastSquares(Residual(fn, X))
    assert len(jax.tree.leaves(loss)) == 3  # the scale, the points, the weight
    np.testing.assert_allclose(loss(PARAMS), np.mean((3.0 * X) ** 2), rtol=1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "make_solver",
    [lambda: implicit_step(optax.lbfgs(), 100.0, rtol=1e-6), optax.lbfgs],
    ids=["implicit_step", "lbfgs"],
)
def test_it_serves_as_value_fn(make_solver):
    """Linear least squares, the blocks given as an argument of the compiled step."""
    solver = make_solver()
    x = jnp.linspace(-1.0, 1.0, 20)

    @jax.jit
    def step(loss, params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return params + updates, state

    data = Residual(fit_line, (x, 3 * x - 1))
    ridge = Residual(distance_from_origin, jnp.zeros(1), weight=0.5)
    params = jnp.zeros(2)
    state = solver.init(params)
    for _ in range(15):
        params, state = step(LeastSquares(data, ridge), params, state)
    design = jnp.stack([x, jnp.ones(20)], axis=1)
    normal = design.T @ design / 20 + 0.5 * jnp.eye(2)
    expected = jnp.linalg.solve(normal, design.T @ (3 * x - 1) / 20)
    np.testing.assert_allclose(params, expected, rtol=1e-6)


def fit_line(params, point):
    x, y = point
    return params[0] * x + params[1] - y


def distance_from_origin(params, point):
    return params
