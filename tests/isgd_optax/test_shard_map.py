"""Inside ``jax.shard_map`` each device has a network of its own, and steps as if it were alone."""

import jax
import jax.numpy as jnp
import optax
import pytest

from isgd_optax import (
    LeastSquares,
    Residual,
    diagnostics,
    gain_ratio,
    gauss_newton,
    implicit_step,
    switch_after,
)
from isgd_optax._gauss_newton._jacobian import ResidualJacobian
from isgd_optax.linear_solvers import cg

pytestmark = pytest.mark.devices(4)
X = jnp.linspace(0.0, 1.0, 5)[:, None]


def network(p, x):
    return jnp.vdot(p["last"], jnp.tanh(x @ p["first"])) - x[0]


def twice(p, x):
    return jnp.stack([network(p, x), network(p, -x)])


def wide(p, x):
    """Of one matrix whose part of K is formed from factors, without rows."""
    return jnp.sum(jnp.square(x @ p))


@pytest.fixture
def members():
    first = jax.random.normal(jax.random.key(0), (4, 1, 6))
    return {"first": first, "last": jnp.linspace(0.5, 1.5, 24).reshape(4, 6)}


def each_alone(fn):
    """``fn`` of each member, on its device, as ``jax.vmap`` has it."""
    mesh = jax.make_mesh((4,), ("members",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.P("members")

    def own(*stacked):
        return jax.tree.map(lambda leaf: leaf[None], fn(*jax.tree.map(lambda leaf: leaf[0], stacked)))

    return jax.jit(jax.shard_map(own, mesh=mesh, in_specs=spec, out_specs=spec))


@pytest.fixture
def assert_alone(assert_close):
    """``assert_alone(fn, *members)``: ``fn`` of each member is what ``jax.vmap`` gives."""

    def check(fn, *members):
        assert_close(each_alone(fn)(*members), jax.jit(jax.vmap(fn))(*members), rtol=1e-4, atol=1e-5)

    return check


@pytest.mark.long
def test_steps_by_matrix_products_are_of_each_device_alone(members, assert_alone):
    """A derivative by what does not vary over the devices is summed over them."""
    loss = LeastSquares(Residual(network, X))
    inner = gauss_newton(linear_solver="dual", max_corrections=0)
    solver = implicit_step(inner, 1.0, max_inner_steps=5, rtol=1e-2, metric="jacobi")
    assert_alone(lambda p: solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss)[0], members)


def test_products_with_the_jacobian_are_of_each_device_alone(members, assert_alone):
    """Also with vectors that all devices share, such as those of a preconditioner."""

    def products(p):
        jacobian = ResidualJacobian(LeastSquares(Residual(network, X)), p, row_block=3)
        pulled = jacobian.rmv(jnp.ones(5))
        assert "factors" not in vars(jacobian)
        jacobian.gram()
        by_factors = jacobian.rmv(jnp.ones(5))
        by_cg = cg(preconditioner_rank=2).init(jacobian)(jnp.asarray(1.0), jacobian.residual)[0]
        return pulled, by_factors, by_cg, jacobian.mv(jnp.ones(12)), jacobian.normal()

    assert_alone(products, members)


def test_the_kernel_is_of_each_device_alone(members, assert_alone):
    """Of several residuals at a point, of a matrix without rows, and of what only the points make vary."""
    shared = jax.tree.map(lambda leaf: leaf[0], members)

    def kernels(p, matrix, scale):
        points = jax.random.normal(jax.random.key(1), (5, 30))
        closed = lambda p, x: scale * twice(p, x)
        losses = [(twice, X, p), (wide, points, matrix), (network, scale * X, shared), (closed, X, shared)]
        return [diagnostics.gram_matrix(LeastSquares(Residual(fn, x)), at) for fn, x, at in losses]

    matrices = jax.random.normal(jax.random.key(2), (4, 30, 30)) / 30
    assert_alone(kernels, members, matrices, jnp.linspace(0.5, 2.0, 4))


@pytest.mark.long
def test_each_device_trains_in_a_scan(members, make_step, assert_alone):
    """States from ``init`` vary as those from ``update``, and α may be what differs."""
    loss = LeastSquares(Residual(network, X))

    def train(params, rate):
        inner = implicit_step(optax.sgd(0.1), gain_ratio(rate), max_inner_steps=2, store_grad=True)
        solver = switch_after(2, inner, optax.adam(0.01))
        step = make_step(solver, loss)
        carry = params, solver.init(params)
        return jax.lax.scan(lambda carry, _: (step(*carry), carry[0]), carry, length=4)[1]

    assert_alone(train, members, jnp.linspace(0.1, 1.0, 4))


def test_devices_that_share_parameters_share_the_loss():
    """Else the gradient is a sum over devices, and the loss that of one."""
    mesh = jax.make_mesh((4,), ("points",), axis_types=(jax.sharding.AxisType.Auto,))
    solver = implicit_step(optax.sgd(0.1), 1.0, max_inner_steps=2, rtol=0)
    own = lambda p, x: jnp.mean((x @ p - 1) ** 2)
    together = lambda p, x: jax.lax.pmean(own(p, x), "points")

    def traced(loss):
        def step(p, x):
            of_points = lambda p: loss(p, x)
            return solver.update(jax.grad(of_points)(p), solver.init(p), p, value_fn=of_points)[0]

        specs = (jax.P(), jax.P("points"))
        on_mesh = jax.shard_map(step, mesh=mesh, in_specs=specs, out_specs=jax.P())  # refused if they differ
        return jax.eval_shape(on_mesh, jnp.ones(3), jnp.ones((8, 3)))

    assert traced(together).shape == (3,)
    with pytest.raises(TypeError, match=r"jax.grad is the sum over all of them.*pmean.*pcast"):
        traced(own)


def test_a_loss_joins_devices_only_where_jax_knows_what_they_share():
    """Elsewhere the derivative of a sum over devices is such a sum, or they wait for each other."""
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
    solver = implicit_step(optax.sgd(0.1), 1.0, max_inner_steps=2)
    specs = jax.P("devices"), jax.P()
    mean = lambda number: jax.lax.pmean(number, "devices")
    alone = lambda p, x: jnp.mean((x @ p - 1) ** 2)
    along = lambda p, x: jnp.mean(jax.lax.all_gather(x @ p - 1, "devices") ** 2)
    by_residual = lambda p, x: LeastSquares(Residual(lambda p, x: mean(x @ p - 1), x))(p)
    by_slopes = lambda p, x: jnp.sum(jax.grad(lambda x: jnp.sum(jnp.sin(x @ p)))(jnp.ones((2, 3))) ** 2)

    def within(x, p):
        part = jax.shard_map(lambda x, p: mean(alone(p, x)), mesh=mesh, in_specs=specs, out_specs=jax.P())
        return part(x, p)

    def step(loss, own=False):
        def of(x, p):
            p = jax.lax.pcast(p, "devices", to="varying") if own else p
            of_points = lambda p: loss(p, x)
            return solver.update(jax.grad(of_points)(p), solver.init(p), p, value_fn=of_points)[0][None]

        return of

    x, p, parts = jnp.ones((8, 3)), jnp.ones(3), jnp.ones((4, 2, 3))
    sharded = lambda step, check: jax.shard_map(
        step, mesh=mesh, in_specs=specs, out_specs=jax.P("devices"), check_vma=check
    )
    pmapped = lambda step: jax.pmap(step, axis_name="devices", in_axes=(0, None))
    mapped = lambda step: jax.vmap(step, axis_name="devices", in_axes=(0, None))

    jax.eval_shape(pmapped(step(alone)), parts, p)
    jax.eval_shape(sharded(step(alone), check=False), x, p)
    jax.eval_shape(step(lambda p, x: within(x, p)), x, p)  # the loss as a whole is one number
    unknown, differ = "check_vma=True.*instead of jax.pmap", "would wait for the others"
    for refused, points, message in [
        (pmapped(step(lambda p, x: mean(alone(p, x)))), parts, f"psum.*{unknown}"),
        (mapped(step(along)), parts, f"all_gather.*{unknown}"),
        (sharded(step(by_residual), check=False), x, f"psum.*{unknown}"),
        (sharded(step(lambda p, x: mean(alone(p, x)), own=True), check=True), x, differ),
        (sharded(step(by_slopes, own=True), check=True), x, "derivatives by what devices share"),
    ]:
        with pytest.raises(TypeError, match=message):
            jax.eval_shape(refused, points, p)
