"""Tables as exact solutions: their interpolation, its order and its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinns import (
    FunctionApproximation,
    Interpolated,
    evaluation_points,
    exact_values,
)

KEY = jax.random.key(0)


def waves(x):
    """Three outputs of d coordinates."""
    return jnp.stack([jnp.sin(2 * x).prod(), jnp.exp(x.sum()), x[0] ** 3])


def table(dim, number, function=waves):
    """The function on a grid whose spacing grows, of the unit cube."""
    axes = [np.linspace(0, 1, number) * (1 + 0.2 * np.linspace(0, 1, number)) / 1.2 for _ in range(dim)]
    mesh = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    flat = np.asarray(jax.vmap(function)(jnp.asarray(mesh.reshape(-1, dim))))
    return Interpolated(axes, flat.reshape(*mesh.shape[:-1], -1))


@pytest.mark.long
@pytest.mark.parametrize(("dim", "order"), [(1, 4), pytest.param(2, 4, marks=pytest.mark.slow), (3, 2)])
def test_order_of_interpolation(dim, order, x64):
    points = jax.random.uniform(KEY, (400, dim), jnp.float64)
    exact, slopes = jax.vmap(waves)(points), jax.vmap(jax.jacfwd(waves))(points)
    sizes = (11, 21, 41) if dim < 3 else (6, 11, 21)
    found = []
    for number in sizes:
        u = table(dim, number)
        error = jnp.abs(jax.jit(jax.vmap(u))(points) - exact).max()
        slope_error = jnp.abs(jax.jit(jax.vmap(jax.jacfwd(u)))(points) - slopes).max()
        found.append((float(error), float(slope_error)))
    rates = np.log2(np.array(found[:-1]) / np.array(found[1:]))
    assert np.all(np.abs(rates[-1] - [order, order - 1]) < 0.6)


@pytest.mark.parametrize("dim", [1, 2])
def test_a_table_is_twice_differentiable_and_exact_for_cubics(dim, x64):
    cubic = lambda x: jnp.stack([(x**3).sum(), x.prod()])
    u = table(dim, 7, cubic)
    points = jax.random.uniform(KEY, (50, dim), jnp.float64)
    for map_ in (lambda f: f, jax.jacrev, jax.hessian):
        found, expected = (jax.jit(jax.vmap(map_(f)))(points) for f in (u, cubic))
        np.testing.assert_allclose(found, expected, atol=1e-9)
    knot = jnp.asarray([axis[3] for axis in u.axes])
    rough = table(dim, 7, lambda x: jnp.abs(x - 0.4).sum(keepdims=True))
    second = jax.jit(jax.hessian(rough))
    beside = [second(knot + shift) for shift in (-1e-9, 1e-9)]
    np.testing.assert_allclose(*beside, atol=1e-5)


def test_values_at_nodes_and_ends(dtype):
    axes = (np.linspace(0.0, 2.0, 5), np.array([0.0, 1.0, 3.0, 4.0]))
    values = np.random.default_rng(0).normal(size=(5, 4))
    u = Interpolated(axes, values)
    mesh = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    found = jax.jit(jax.vmap(jax.vmap(u)))(jnp.asarray(mesh, dtype))
    assert found.shape == (5, 4, 1)
    assert found.dtype == dtype
    np.testing.assert_allclose(found[..., 0], values, atol=1e-5)
    assert jnp.isnan(u(jnp.array([2.1, 1.0]))[0])
    assert jnp.isfinite(u(jnp.array([2.00001, -0.00001]))[0])
    with pytest.raises(ValueError, match="one point has shape"):
        u(jnp.zeros(1))


def test_a_table_is_a_solution(train):
    x = np.linspace(-3, 3, 121)

    class Tabulated(FunctionApproximation):
        exact = Interpolated((x,), np.sin(3 * x))

        def data(self, u, x):
            return u(x) - jnp.sin(3 * x)

    result = train(optax.adam(1e-2), 3, problem=Tabulated())
    points = evaluation_points(Tabulated(), jnp.float32)
    np.testing.assert_allclose(exact_values(Tabulated(), points), np.sin(3 * points), atol=1e-4)
    assert np.isfinite(result.final["rel_l2"])


def test_tables_are_equal_by_content():
    x = np.linspace(0, 1, 5)
    one, same, other = (Interpolated((x,), v) for v in (x**2, x**2, x**3))
    assert one == same != other
    assert hash(one) == hash(same)
    assert repr(one) == repr(same) != repr(other)
    assert one != Interpolated((x + 1,), x**2)


@pytest.mark.parametrize(
    ("axes", "values", "message"),
    [
        (([0.0, 1.0, 2.0],), np.zeros(3), "4 finite numbers or more"),
        (([0.0, 1.0, 1.0, 2.0],), np.zeros(4), "must increase"),
        (([0.0, 1.0, 2.0, 3.0],), np.zeros(5), r"must have shape \(4,\)"),
        (([0.0, 1.0, 2.0, 3.0],), np.zeros((4, 1, 1)), r"must have shape \(4,\)"),
        (([0.0, 1.0, 2.0, 3.0],), np.full(4, np.nan), "values must be finite"),
        ((), np.zeros(3), "must have shape"),
    ],
)
def test_unfit_tables_are_refused(axes, values, message):
    with pytest.raises(ValueError, match=message):
        Interpolated(axes, values)


def test_complex_tables_are_refused():
    with pytest.raises(TypeError, match="imaginary part as two columns"):
        Interpolated([np.linspace(0, 1, 5)], np.ones(5) * 1j)
