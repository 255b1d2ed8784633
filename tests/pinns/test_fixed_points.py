"""Points that are given, with values: data, nodes of an integral."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinns import (
    Box,
    Condition,
    FixedPoints,
    Problem,
    Sampling,
)

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(6, 1), (6, 3), (1, 401, 1), (4, 2, 5)])
@pytest.mark.parametrize("with_values", [False, True])
def test_fixed_points_are_all_of_them(shape, with_values, dtype):
    points = np.random.default_rng(0).normal(size=shape)
    values = points.sum(axis=-1) if with_values else None
    region = FixedPoints(points, values)
    drawn = jax.jit(lambda key: region.sample(key, 2, "halton", dtype))(KEY)
    x = drawn["x"] if with_values else drawn
    assert x.dtype == dtype
    np.testing.assert_array_equal(x, points.astype(dtype))
    assert region.num_points == shape[0]
    if with_values:
        np.testing.assert_allclose(drawn["value"].reshape(values.shape), values, rtol=1e-6)


def test_fixed_points_are_equal_by_content():
    points = np.arange(6.0).reshape(3, 2)
    region = FixedPoints(points, points[:, 0])
    same = FixedPoints(points.copy(), points[:, 0])
    points[0] = 7  # its own copy stays
    assert region == same
    assert hash(region) == hash(same)
    assert repr(region) == repr(same)
    assert region != FixedPoints(points, points[:, 0])
    assert region != FixedPoints(same.points)
    assert "(3, 2), (3, 1)" in repr(region)
    with pytest.raises(ValueError, match="read-only"):
        region.points[0] = 1


class Data(Problem):
    domain = Box((0.0,), (1.0,))
    data = FixedPoints(np.linspace(0, 1, 9)[:, None], np.linspace(0, 1, 9) ** 2)

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 12),
            "data": Condition(self.measured, self.data, self.data.num_points),
        }

    def pde(self, u, x):
        return jax.jacfwd(u)(x)[0] - 2 * x

    def measured(self, u, p):
        return u(p["x"]) - p["value"]


@pytest.mark.long
def test_data_stay_and_are_split(train):
    options = {"problem": Data(), "sampling": Sampling(resample_every=2, batch_size={"data": 4, "pde": 6})}
    result = train(optax.adam(1e-3), 9, **options)
    points = {block.name: block.points for block in result.loss.blocks}
    np.testing.assert_array_equal(points["data"]["x"], Data.data.points.astype(np.float32))
    np.testing.assert_array_equal(points["data"]["value"], Data.data.values.astype(np.float32))
    first = train(optax.adam(1e-3), 1, problem=Data()).loss.blocks
    assert not jnp.array_equal(points["pde"], first[0].points)
    assert np.isfinite(result.final["loss"])
    # The values belong to their points in every batch: a network that is x² has no loss.
    loss = Data().loss((lambda p, x: p["a"] * x**2, {"a": jnp.ones(())}), points)
    assert loss({"a": jnp.ones(())}) < 1e-12


class UnitIntegral(Problem):
    """A density with its integral, by the trapezoidal rule, as one residual over many nodes."""

    domain = Box((-2.2,), (2.2,))
    nodes = FixedPoints(np.linspace(-2.2, 2.2, 401).reshape(1, 401, 1))

    def conditions(self):
        return {
            "pde": Condition(self.pde, self.domain, 20),
            "integral": Condition(self.integral, self.nodes, 1, weight=2.0),
        }

    def pde(self, u, x):
        return u(x)[0]

    def integral(self, u, nodes):
        values = jax.vmap(u)(nodes)[:, 0]
        return jax.scipy.integrate.trapezoid(values, nodes[:, 0]) - 1

    def exact(self, x):
        return jnp.exp(1.2 * x**2 - x**4) / 3.0797838


def test_an_integral_is_a_condition(train):
    result = train(
        optax.adam(1e-2), 6, problem=UnitIntegral(), batch_size=5, resample_every=2, sampling="uniform"
    )
    [block] = [block for block in result.loss.blocks if block.name == "integral"]
    np.testing.assert_array_equal(block.points, UnitIntegral.nodes.points.astype(np.float32))
    assert np.isfinite(result.final["rel_l2"])
    residual = UnitIntegral().integral(UnitIntegral().exact, jnp.asarray(UnitIntegral.nodes.points[0]))
    assert abs(residual) < 1e-5
