"""The Gram matrix, JᵀJ and rows of several blocks of residuals against the dense Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from isgd_optax._gauss_newton import _costs, _gram, _rows
from isgd_optax._gauss_newton._factors import block_factors

WIDTH = 24
SCALES = (0.5, 2.0)


def normal(seed, *shape):
    return jnp.asarray(0.6 * np.random.default_rng(seed).normal(size=shape))


def network(p, x):
    y = jnp.tanh(x @ p["first"])
    y = jnp.tanh(y @ p["square"] + p["bias"])
    return jnp.tanh(y @ p["square"].T) @ p["last"]


def pde(p, x):
    """Two residuals, second derivatives."""
    h = jax.hessian(lambda z: network(p, z))(x)
    return jnp.stack([h[0, 0, 0] + h[1, 1, 1], network(p, x)[0] * p["coefficient"]])


def boundary(p, x):
    """One residual, which does without the coefficient."""
    return network(p, x)[1]


def parameters():
    shapes = {
        "first": (2, WIDTH),
        "square": (WIDTH, WIDTH),
        "bias": (WIDTH,),
        "last": (WIDTH, 2),
        "coefficient": (),
    }
    return {name: normal(i, *shape) for i, (name, shape) in enumerate(shapes.items())}


def blocks(num_pde=7, num_boundary=4):
    scales = jnp.asarray(SCALES[0]), SCALES[1] + jnp.arange(float(num_boundary))
    return [(pde, normal(10, num_pde, 2), scales[0]), (boundary, normal(11, num_boundary, 2), scales[1])]


def dense_jacobian(params, parts):
    flat, unravel = ravel_pytree(params)

    def residuals(flat):
        every = []
        for fn, points, scale in parts:
            r = jax.vmap(lambda x, fn=fn: jnp.ravel(fn(unravel(flat), x)))(points)
            every.append((jnp.broadcast_to(scale, len(points))[:, None] * r).reshape(-1))
        return jnp.concatenate(every)

    return jax.jit(jax.jacrev(residuals))(flat)


def gram(params, parts, dtype, metric=None):
    factors = [block_factors(fn, params, points) for fn, points, _ in parts]
    return _gram.gram(factors, [scale for *_, scale in parts], dtype, metric)


@pytest.fixture(params=["factors", "rows"])
def form(request, monkeypatch):
    """Forms every matrix's part of K from its factors, or from its rows."""
    monkeypatch.setitem(_costs._ELEMENTWISE_COST, "cpu", -1e9 if request.param == "factors" else 1e9)
    return request.param


METRICS = {
    "none": None,
    "numbers": [2.0, None, 0.5, 3.0, 0.1],
    "arrays": [None, np.ones(()), None, 1.0 + np.arange(WIDTH * 2.0).reshape(WIDTH, 2), 0.3],
}


@pytest.mark.parametrize("metric", METRICS)
def test_gram_matrix_of_several_blocks_is_that_of_the_dense_jacobian(form, metric, x64):
    params, parts = parameters(), blocks()
    inverse = METRICS[metric]
    jacobian = dense_jacobian(params, parts)
    weights = np.concatenate(
        [
            np.broadcast_to(1.0 if d is None else d, leaf.shape).ravel()
            for d, leaf in zip(inverse or [None] * 5, jax.tree.leaves(params), strict=True)
        ]
    )
    kernel = jax.jit(lambda p: gram(p, parts, jnp.float64, inverse))(params)
    expected = (np.asarray(jacobian) * weights) @ np.asarray(jacobian).T
    np.testing.assert_allclose(kernel, expected, rtol=1e-11, atol=1e-13 * float(np.max(expected)))
    np.testing.assert_array_equal(kernel, kernel.T)


def deep(p, x):
    for layer in p:
        x = jnp.tanh(x @ layer["weights"] + layer["bias"])
    return jnp.sum(x)


@pytest.mark.parametrize("nums", [(7, 4), (150, 67)])
def test_layers_of_one_shape_have_their_place_in_every_block(form, nums, x64, monkeypatch):
    """The blocks' derivatives by them differ in form: of second derivatives by autodiff, and of none."""
    monkeypatch.setattr(_gram, "_MIN_TILE", 16)
    shapes = [(2, 9), (9, 9), (9, 9), (9, 9)]
    params = [{"weights": normal(i, *s), "bias": normal(10 + i, s[1])} for i, s in enumerate(shapes)]
    laplacian = lambda p, x: jnp.trace(jax.hessian(lambda z: deep(p, z))(x))
    first = lambda p, x: deep(p[:2], x)
    fns, numbers = (laplacian, deep, first), (*nums, 5)
    parts = [(fn, normal(20 + i, n, 2), 1.0 + i) for i, (fn, n) in enumerate(zip(fns, numbers, strict=True))]
    parts = [(fn, points, jnp.asarray(scale)) for fn, points, scale in parts]
    jacobian = dense_jacobian(params, parts)
    kernel = jax.jit(lambda p: gram(p, parts, jnp.float64))(params)
    np.testing.assert_allclose(kernel, jacobian @ jacobian.T, rtol=1e-11, atol=1e-13 * float(jnp.max(kernel)))


def test_an_array_may_be_another_matrix_in_another_block(x64, monkeypatch):
    monkeypatch.setitem(_costs._ELEMENTWISE_COST, "cpu", -1e9)
    params = {"cube": normal(0, 4, 4, 4)}
    wide = lambda p, x: jnp.sum(jnp.sin(x @ p["cube"].reshape(4, 16)))
    tall = lambda p, x: jnp.sum(jnp.sin(p["cube"].reshape(16, 4) @ x))
    parts = [(fn, normal(i, 6, 4), jnp.ones(())) for i, fn in enumerate((wide, tall))]
    jacobian = dense_jacobian(params, parts)
    kernel = jax.jit(lambda p: gram(p, parts, jnp.float64))(params)
    np.testing.assert_allclose(kernel, jacobian @ jacobian.T, rtol=1e-11, atol=1e-13 * float(jnp.max(kernel)))


@pytest.mark.long
@pytest.mark.parametrize("nums", [(150, 67), (128, 1), (1, 193)])
def test_many_points_are_cut_into_tiles(form, nums, x64, monkeypatch):
    monkeypatch.setattr(_gram, "_MIN_TILE", 16)
    params, parts = parameters(), blocks(*nums)
    jacobian = dense_jacobian(params, parts)
    kernel = jax.jit(lambda p: gram(p, parts, jnp.float64))(params)
    np.testing.assert_allclose(kernel, jacobian @ jacobian.T, rtol=1e-11, atol=1e-13 * float(jnp.max(kernel)))
    np.testing.assert_array_equal(kernel, kernel.T)


def test_float32_parameters_are_multiplied_in_float64(form, x64):
    params = jax.tree.map(lambda x: x.astype(jnp.float32), parameters())
    parts = blocks()

    @jax.jit
    def compute(params):
        factors = [block_factors(fn, params, points) for fn, points, _ in parts]
        joined = [_rows.rows(f, scale, jnp.float64) for f, (*_, scale) in zip(factors, parts, strict=True)]
        return gram(params, parts, jnp.float64), jnp.concatenate(joined)

    kernel, joined = compute(params)
    assert kernel.dtype == jnp.float64
    np.testing.assert_allclose(kernel, joined @ joined.T, rtol=1e-12, atol=1e-14 * float(jnp.max(kernel)))


def test_bfloat16_and_mixed_parameters(form):
    params = parameters()
    params["square"] = params["square"].astype(jnp.bfloat16)
    params["last"] = params["last"].astype(jnp.bfloat16)
    parts = [(boundary, normal(0, 6, 2), jnp.ones(()))]
    wide = jax.tree.map(lambda x: x.astype(jnp.float32), params)
    jacobian = dense_jacobian(wide, parts)
    kernel = jax.jit(lambda p: gram(p, parts, jnp.float32))(params)
    assert kernel.dtype == jnp.float32
    np.testing.assert_allclose(kernel, jacobian @ jacobian.T, atol=0.05 * float(jnp.max(kernel)))


@pytest.mark.long
@pytest.mark.parametrize("block_size", [1, 3, 4, 100])
def test_sums_over_blocks_of_points(block_size, x64, monkeypatch):
    monkeypatch.setattr("isgd_optax._gauss_newton._rows._MIN_COLUMNS", 40)
    params = parameters()
    fn, points, _ = blocks(10)[0]
    scale = 1.0 + jnp.arange(10.0)
    jacobian = dense_jacobian(params, [(fn, points, scale)])
    arguments = (_rows.PointBlock(fn, params, points, None, scale, jnp.float64), block_size)
    rows, normal, squares = jax.jit(
        lambda: (_rows.block_rows(*arguments), _rows.normal(*arguments), _rows.squared_columns(*arguments))
    )()
    tolerance = {"rtol": 1e-11, "atol": 1e-12 * float(jnp.max(jnp.abs(jacobian)))}
    np.testing.assert_allclose(rows, jacobian, **tolerance)
    tolerance["atol"] = 1e-13 * float(jnp.max(normal))
    np.testing.assert_allclose(normal, jacobian.T @ jacobian, **tolerance)
    np.testing.assert_allclose(squares, jnp.sum(jacobian**2, axis=0), **tolerance)
    np.testing.assert_array_equal(normal, normal.T)


def test_products_are_halved_by_symmetry():
    jacobian = normal(0, 800, 5)
    compiled = jax.jit(_gram.symmetric_product).lower(jacobian).compile()
    np.testing.assert_allclose(compiled(jacobian), jacobian @ jacobian.T, rtol=1e-5, atol=1e-5)
    whole = jax.jit(lambda j: j @ j.T).lower(normal(0, 800, 4000)).compile()
    half = jax.jit(_gram.symmetric_product).lower(normal(0, 800, 4000)).compile()
    assert half.cost_analysis()["flops"] < 0.65 * whole.cost_analysis()["flops"]


def test_costs_count_what_is_formed():
    wide = {"a": normal(0, 2, 200), "b": normal(1, 200, 200), "c": normal(2, 200, 1)}
    fn = lambda p, x: jnp.tanh(jnp.tanh(x @ p["a"]) @ p["b"]) @ p["c"]
    factors = jax.eval_shape(lambda p: [block_factors(fn, p, normal(3, 50, 2))], wide)
    costs = _costs.costs(factors)
    assert costs.largest_layer < 40_000  # not the rows of b
    assert costs.num_factors == 50 * (2 + 200 + 200 + 200 + 200 + 1)
    assert costs.flops < 50**2 * 2 * 40_600


def mesh(axis_type):
    return jax.make_mesh((4,), ("points",), axis_types=(axis_type,))


@pytest.mark.long
@pytest.mark.devices(4)
@pytest.mark.parametrize("kind", ["Auto", "Explicit"])
def test_points_may_be_sharded_over_devices(form, kind, x64):
    params, parts = parameters(), blocks(8, 4)
    expected = dense_jacobian(params, parts)
    sharding = jax.sharding.NamedSharding(
        mesh(getattr(jax.sharding.AxisType, kind)), jax.sharding.PartitionSpec("points")
    )
    with jax.set_mesh(sharding.mesh):
        points = [jax.device_put(x, sharding) for _, x, _ in parts]

        def compute(params, points):
            given = [(fn, x, scale) for (fn, _, scale), x in zip(parts, points, strict=True)]
            fn, x, scale = given[0]
            arguments = (_rows.PointBlock(fn, params, x, None, scale, jnp.float64), 3)
            return gram(params, given, jnp.float64), _rows.normal(*arguments), _rows.block_rows(*arguments)

        kernel, normal, rows = jax.jit(compute)(params, points)
    tolerance = {"rtol": 1e-11, "atol": 1e-13 * float(jnp.max(jnp.abs(kernel)))}
    np.testing.assert_allclose(kernel, expected @ expected.T, **tolerance)
    np.testing.assert_allclose(rows, expected[:16], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(normal, expected[:16].T @ expected[:16], **tolerance)
