"""Points sharded over devices: the linear solvers give the parameters of one device."""

import contextlib

import jax
import jax.numpy as jnp
import optax
import pytest

from isgd_optax import LeastSquares, Residual, gauss_newton, implicit_step, largest_trusted, linear_solvers
from isgd_optax._gauss_newton._jacobian import ResidualJacobian

pytestmark = pytest.mark.devices(4)
NUM_STEPS = 20
WIDTH = 6


def network(params, x):
    return jnp.vdot(params["last"], jnp.tanh(x @ params["first"] + params["bias"]))


def interior(params, x):
    """The Poisson equation's residual."""
    u = lambda x: network(params, x)
    return jnp.trace(jax.hessian(u)(x)) + jnp.sin(3 * x[0]) * x[1]


def boundary(params, x):
    """Two residuals at each point, of which there are as many as the devices do not divide."""
    return jnp.stack([network(params, x) - x[0], 0.1 * network(params, -x)])


def problem():
    keys = jax.random.split(jax.random.key(0), 4)
    params = {
        "first": jax.random.normal(keys[0], (2, WIDTH)),
        "bias": jnp.linspace(-0.5, 0.5, WIDTH),
        "last": 0.5 * jax.random.normal(keys[1], (WIDTH,)),
    }
    points = jax.random.uniform(keys[2], (16, 2)), jax.random.uniform(keys[3], (7, 2))
    weight = jnp.linspace(0.5, 1.5, 16)
    return params, points, weight


def trained(linear_solver, params, points, weight):
    solver = implicit_step(
        gauss_newton(linear_solver=linear_solver, row_block=6, cg_rtol=1e-12),
        largest_trusted(max_learning_rate=1e3),  # rounding errors grow with α
        max_inner_steps=1,
    )

    @jax.jit
    def train(params, points, weight):
        loss = LeastSquares(Residual(interior, points[0], weight), Residual(boundary, points[1], 3.0))

        def step(carry, _):
            params, state = carry
            value, grad = jax.value_and_grad(loss)(params)
            updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
            return (optax.apply_updates(params, updates), state), value

        return jax.lax.scan(step, (params, solver.init(params)), length=NUM_STEPS)

    (params, state), values = train(params, points, weight)
    assert values[-1] < 1e-2 * values[0]
    return params, state


def on(mesh, params, points, weight):
    """All arrays on the mesh: those along its axis that its devices divide, the others replicated."""
    put = lambda tree, *axes: jax.device_put(tree, jax.NamedSharding(mesh, jax.P(*axes)))
    return put(params), (put(points[0], "points"), put(points[1])), put(weight, "points")


@pytest.mark.long
@pytest.mark.parametrize(
    "linear_solver", ["dual", *(pytest.param(n, marks=pytest.mark.slow) for n in ("primal", "qr", "cg"))]
)
def test_every_linear_solver_gives_the_parameters_of_one_device(linear_solver, x64, assert_close):
    alone, _ = trained(linear_solver, *problem())
    for axis_type in (jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit):
        mesh = jax.make_mesh((4,), ("points",), axis_types=(axis_type,))
        with jax.set_mesh(mesh):
            together, state = trained(linear_solver, *on(mesh, *problem()))
        assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves((together, state)))
        assert_close(together, alone, rtol=0, atol=1e-10)


@contextlib.contextmanager
def devices(number):
    """A mesh of so many devices on which XLA shards; ``put(tree, axis)`` places arrays on it."""
    mesh = jax.make_mesh(
        (number,), ("points",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:number]
    )
    with jax.set_mesh(mesh):
        yield lambda tree, *axes: jax.device_put(tree, jax.NamedSharding(mesh, jax.P(*axes)))


def matrices(params, points, weight, **options):
    loss = LeastSquares(Residual(interior, points[0], weight), Residual(boundary, points[1], 3.0))
    jacobian = ResidualJacobian(loss, params, row_block=3, **options)
    squares = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(jacobian.squared_columns())])
    return jacobian.rows(), jacobian.gram(), jacobian.normal(), squares


@pytest.mark.long
@pytest.mark.parametrize("num_devices", [2, 4])
def test_matrices_from_several_devices_are_those_of_one(num_devices, x64, assert_close):
    params, points, weight = problem()
    points = points[0], jnp.concatenate([points[1], -points[1][:1]])  # now two or four divide both
    alone = jax.jit(matrices)(params, points, weight)
    with devices(num_devices) as put:
        together = jax.jit(matrices)(put(params), put(points, "points"), put(weight, "points"))
    assert_close(together, alone, rtol=1e-11, atol=1e-11)
    assert together[1].addressable_shards[0].data.shape == (32 // num_devices, 32)


def peak_memory(num_devices, method):
    """Bytes of temporaries on each device for one matrix of a problem with N = P/2."""
    width, keys = 24, jax.random.split(jax.random.key(0), 4)
    params = {
        "first": jax.random.normal(keys[0], (2, width)),
        "middle": jax.random.normal(keys[1], (width, width)),
        "last": jax.random.normal(keys[2], (width,)),
    }
    points = jax.random.uniform(keys[3], (336, 2))

    def residual(params, x):
        return jnp.vdot(params["last"], jnp.tanh(jnp.tanh(x @ params["first"]) @ params["middle"])) - x[0]

    def compute(params, points):
        return getattr(ResidualJacobian(LeastSquares(Residual(residual, points)), params), method)()

    with devices(num_devices) as put:
        compiled = jax.jit(compute).lower(put(params), put(points, "points")).compile()
    analysis = compiled.memory_analysis()
    return analysis.temp_size_in_bytes + analysis.output_size_in_bytes


@pytest.mark.parametrize("method", ["gram", "rows"])
def test_the_memory_of_each_device_shrinks_with_their_number(method, x64):
    one, two, four = (peak_memory(n, method) for n in (1, 2, 4))
    assert two < 0.95 * one  # for K, rows of two more devices pass through each: 3/2 of J for two devices
    assert four < 0.6 * two


def test_the_memory_that_is_estimated_is_that_of_rows_where_devices_form_them(x64):
    params, points = jnp.ones((100, 100)), jnp.ones((64, 100))
    loss = lambda points: LeastSquares(Residual(lambda w, x: jnp.sum(jnp.tanh(x @ w)), points))

    def gram(params, points):
        jacobian = ResidualJacobian(loss(points), params)
        estimates.append(linear_solvers.dual().num_bytes(jacobian.sizes))
        return jacobian.gram()

    estimates, needed = [], []
    for number in (1, 2):
        with devices(number) as put:
            compiled = jax.jit(gram).lower(put(params), put(points, "points")).compile()
        needed.append(compiled.memory_analysis().temp_size_in_bytes)
    assert needed[1] > 10 * needed[0]  # rows for factors
    assert estimates[0] > needed[0]
    assert 0.7 * needed[1] < estimates[1] < 2 * needed[1]


def step_on(axis_type, in_context, closes_over):
    """One step whose residual takes a scaling of the points as an array on the mesh."""
    mesh = jax.make_mesh((4,), ("points",), axis_types=(axis_type,))
    params, (points, _), _ = problem()
    put = lambda tree, *axes: jax.device_put(tree, jax.NamedSharding(mesh, jax.P(*axes)))
    points, params, scaling = put(points, "points"), put(params), put(jnp.array([1.0, 2.0]))
    scaled = lambda scaling, params, x: network(params, scaling * x) - x[0]
    fn = (
        (lambda params, x: scaled(scaling, params, x))
        if closes_over
        else jax.tree_util.Partial(scaled, scaling)
    )
    solver = implicit_step(gauss_newton(linear_solver="dual"), 10.0, max_inner_steps=1)

    @jax.jit
    def step(params, loss):
        grad = jax.grad(loss)(params)
        updates, _ = solver.update(grad, solver.init(params), params, value_fn=loss)
        return optax.apply_updates(params, updates)

    with jax.set_mesh(mesh) if in_context else contextlib.nullcontext():
        return step(params, LeastSquares(Residual(fn, points)))


@pytest.mark.long
def test_residuals_take_arrays_on_the_mesh(x64, assert_close):
    auto, explicit = jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit
    expected = step_on(auto, in_context=True, closes_over=False)
    for axis_type, in_context, closes_over in [
        (auto, True, True),
        (auto, False, True),
        (explicit, True, False),
    ]:
        assert_close(step_on(axis_type, in_context, closes_over), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("in_context", "closes_over", "message"),
    [
        (True, True, r"closes over an array on a mesh with Explicit axes.*Partial\(fn, array\)"),
        (False, False, "jax.set_mesh"),
    ],
)
def test_what_explicit_axes_refuse_is_explained(in_context, closes_over, message):
    with pytest.raises(TypeError, match=message):
        step_on(jax.sharding.AxisType.Explicit, in_context, closes_over)


def exponential(p, x):
    return p["a"] * jnp.exp(-p["b"] * x) - 2 * jnp.exp(-3 * x)


@pytest.mark.parametrize(
    ("inner", "alpha", "options"),
    [
        (gauss_newton(), largest_trusted(), {"max_inner_steps": 1}),
        (gauss_newton(), largest_trusted(), {"max_inner_steps": 1, "metric": "jacobi"}),
        (gauss_newton(), 1.0, {"max_inner_steps": 5}),
        (optax.adam(0.05), 1.0, {"max_inner_steps": 5}),
    ],
    ids=["search", "search, jacobi", "loop", "loop of adam"],
)
def test_each_device_trains_a_member_of_its_own_inside_shard_map(inner, alpha, options, assert_close):
    """What the search over α, the inner loop and the sums over points carry varies over the devices."""
    mesh = jax.make_mesh((4,), ("members",), axis_types=(jax.sharding.AxisType.Auto,))
    loss = LeastSquares(Residual(exponential, jnp.linspace(0.0, 1.0, 20)))
    solver = implicit_step(inner, alpha, **options)

    def step(p):
        return solver.update(jax.grad(loss)(p), solver.init(p), p, value_fn=loss)[0]

    def own(members):
        return jax.tree.map(lambda u: u[None], step(jax.tree.map(lambda leaf: leaf[0], members)))

    members = {"a": jnp.linspace(0.5, 3.0, 4), "b": jnp.linspace(0.1, 5.0, 4)}
    spec = jax.P("members")
    found = jax.jit(jax.shard_map(own, mesh=mesh, in_specs=spec, out_specs=spec))(members)
    assert_close(found, jax.vmap(step)(members), rtol=1e-4, atol=1e-5)
