"""With Orbax checkpoints, Flax NNX and batches sharded over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from isgd_optax import LearningRateController, LeastSquares, Residual, implicit_step, isgd_adam, isgd_lbfgs

PARAMS = {"w": np.array([-0.7, 0.4, 0.9], np.float32), "b": np.array(-0.2, np.float32)}


def loss(params):
    return jnp.sum((params["w"] - 1.0) ** 2) + (params["b"] - params["w"][0]) ** 4


def doubling():
    return LearningRateController(
        init=lambda: {"alpha": jnp.float32(0.1)},
        propose=lambda state, count, value, grad_norm: state["alpha"],
        update=lambda state, outcome: {"alpha": 2 * state["alpha"]},
    )


def check_resumption(solver, make_step, path):
    """Two steps, a checkpoint, two more; once with and once without going through the disk."""
    step = make_step(solver, loss)
    carry = (jax.tree.map(jnp.asarray, PARAMS), solver.init(PARAMS))
    for _ in range(2):
        carry = step(*carry)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path / "checkpoint", carry)
        checkpointer.wait_until_finished()
        abstract = jax.eval_shape(lambda: (PARAMS, solver.init(PARAMS)))
        restored = checkpointer.restore(path / "checkpoint", abstract)
    assert jax.tree.structure(restored) == jax.tree.structure(carry)
    jax.tree.map(np.testing.assert_array_equal, restored, carry)
    for _ in range(2):
        restored, carry = step(*restored), step(*carry)
    jax.tree.map(np.testing.assert_array_equal, restored, carry)


@pytest.mark.parametrize("isgd", [isgd_adam, isgd_lbfgs])
def test_checkpoint_restores_the_state_bit_for_bit(isgd, make_step, tmp_path):
    solver = isgd(0.5, num_implicit_steps=1, num_inner_steps=3)
    check_resumption(solver, make_step, tmp_path)


@pytest.mark.parametrize("inner", [optax.adam(0.05), optax.lbfgs(memory_size=3)], ids=["adam", "lbfgs"])
def test_checkpoint_restores_everything_a_state_may_hold(inner, make_step, tmp_path):
    solver = implicit_step(inner, doubling(), max_inner_steps=3, reset_inner=False, store_grad=True)
    check_resumption(solver, make_step, tmp_path)


class Network(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(1, 8, rngs=rngs)
        self.second = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.second(jnp.tanh(self.first(x)))


@pytest.mark.parametrize("inner", [optax.adam(0.01), optax.lbfgs(memory_size=3)], ids=["adam", "lbfgs"])
def test_flax_nnx_optimizer(inner):
    solver = implicit_step(inner, 0.5, max_inner_steps=5)
    model = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, solver, wrt=nnx.Param)
    x = jnp.linspace(-1.0, 1.0, 16)[:, None]

    @nnx.jit
    def train_step(model, optimizer, x):
        graphdef, params = nnx.split(model, nnx.Param)
        value_fn = lambda params: jnp.mean((nnx.merge(graphdef, params)(x) - jnp.sin(3 * x)) ** 2)
        value, grads = jax.value_and_grad(value_fn)(params)
        optimizer.update(model, grads, value=value, grad=grads, value_fn=value_fn)
        return value

    values = [float(train_step(model, optimizer, x)) for _ in range(4)]
    assert values[-1] < values[0]
    assert optimizer.step[...] == 4


def regression(params, point):
    x, y = point
    return jnp.tanh(x @ params["w"] + params["b"]) - y


@pytest.mark.long
@pytest.mark.devices(4)
@pytest.mark.parametrize("inner", [optax.adam(0.01), optax.lbfgs(memory_size=3)], ids=["adam", "lbfgs"])
@pytest.mark.parametrize("axis_type", ["Auto", "Explicit"])
def test_sharded_batch_gives_the_answer_of_one_device(inner, axis_type, assert_close):
    types = (getattr(jax.sharding.AxisType, axis_type),)
    mesh = jax.make_mesh((4,), ("batch",), axis_types=types, devices=jax.devices()[:4])
    x, y = jax.random.normal(jax.random.key(0), (64, 3)), jnp.linspace(-0.9, 0.9, 64)
    solver = implicit_step(inner, 1.0, max_inner_steps=6, rtol=1e-4)

    @jax.jit
    def step(params, state, batch):
        loss = LeastSquares(Residual(regression, batch))
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, value_fn=loss)
        return optax.apply_updates(params, updates), state

    alone = (jax.tree.map(jnp.asarray, PARAMS), solver.init(PARAMS))
    for _ in range(3):
        alone = step(*alone, (x, y))
    with jax.set_mesh(mesh):
        split = jax.device_put((x, y), jax.NamedSharding(mesh, jax.P("batch")))
        together = jax.device_put((PARAMS, solver.init(PARAMS)), jax.NamedSharding(mesh, jax.P()))
        for _ in range(3):
            together = step(*together, split)
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(together[0]))
    assert together[1].info.num_inner_steps == alone[1].info.num_inner_steps
    assert_close(together[0], alone[0], rtol=1e-4, atol=1e-5)
