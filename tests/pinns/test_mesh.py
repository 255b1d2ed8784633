"""Trainings over the devices of a mesh, of one process and of two."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from isgd_optax import gauss_newton, implicit_step, isgd_adam, largest_trusted

pytestmark = pytest.mark.devices(4)
ROOT = Path(__file__).parents[2]
OPTIMIZERS = {
    "adam": lambda: isgd_adam(0.5, num_implicit_steps=8, num_inner_steps=3),
    # Rounding errors grow with α.
    "gauss_newton": lambda: implicit_step(
        gauss_newton(), largest_trusted(max_learning_rate=1e2), max_inner_steps=1
    ),
}
OPTIONS = {"evaluate_every": 4, "resample_every": 4}

SCRIPT = """
import sys, jax, numpy as np
port, rank, processes, devices, name, steps, folder, output = sys.argv[1:]
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", int(devices))
if int(processes) > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", int(processes), int(rank))
from flax import nnx
from isgd_optax import gauss_newton, implicit_step, isgd_adam, isgd_lbfgs, largest_trusted
from pinns import MLP, Burgers, fit

optimizer = {
    "isgd-adam": lambda: isgd_adam(0.5, num_implicit_steps=20, num_inner_steps=5),
    "isgd-lbfgs": lambda: isgd_lbfgs(0.5, num_implicit_steps=20, num_inner_steps=5),
    "isgd-gn": lambda: implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1),
}[name]()
number = int(processes) * int(devices)
result = fit(
    Burgers(num_points=64),
    MLP(2, [8, 8], 1, dtype=jax.numpy.float64, rngs=nnx.Rngs(0)),
    optimizer,
    num_steps=int(steps),
    key=jax.random.key(0),
    resample_every=10,
    evaluate_every=10,
    checkpoint_dir=folder or None,
    checkpoint_seconds=0,
    mesh=None if number == 1 else jax.make_mesh((number,), ("points",)),
    progress=False,
)
assert result.num_steps == int(steps)
if rank == "0":
    leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(result.params)]
    np.savez(output, params=np.concatenate(leaves), loss=result.final["fresh_loss"])
"""


def _difference(a, b):
    return max(float(abs(x - y).max()) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.long
@pytest.mark.parametrize("name", ["gauss_newton", pytest.param("adam", marks=pytest.mark.slow)])
@pytest.mark.parametrize("axis_type", [jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit])
def test_a_mesh_gives_the_parameters_of_one_device(train, make_model, x64, name, axis_type):
    options = OPTIONS | {"model": make_model((6,), dtype=jax.numpy.float64)}
    mesh = jax.make_mesh((2, 2), ("data", "more"), axis_types=(axis_type,) * 2)
    alone = train(OPTIMIZERS[name](), 8, **options)
    together = train(OPTIMIZERS[name](), 8, **options, mesh=mesh)
    assert _difference(alone.params, together.params) < 1e-11
    assert together.final["fresh_loss"] == pytest.approx(alone.final["fresh_loss"], rel=1e-9)
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(together.params))
    assert all(len(leaf.devices()) == 4 for leaf in jax.tree.leaves(together.params))


@pytest.mark.long
def test_points_are_spread_and_mini_batches_too(train, tmp_path):
    seen = []

    def shape_seen(updates, state, params=None, *, value_fn, **_):
        for block in value_fn.blocks:
            jax.debug.inspect_array_sharding(block.points, callback=seen.append)
        return jax.tree.map(lambda u: -1e-3 * u, updates), state

    optimizer = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), shape_seen)
    mesh = jax.make_mesh((4,), ("points",))
    for options in ({}, {"batch_size": 8}, {"resample_every": 1}):
        seen.clear()
        train(optimizer, 4, evaluate_every=2, mesh=mesh, fresh_loss=False, **options)
        assert any(not sharding.is_fully_replicated for sharding in seen), options


@pytest.mark.long
def test_a_run_goes_on_on_another_number_of_devices(train, tmp_path):
    plain = OPTIONS | {"fresh_loss": False}
    options = plain | {"checkpoint_dir": tmp_path, "checkpoint_seconds": 0}
    whole = train(OPTIMIZERS["adam"](), 16, **plain)
    for i, mesh in enumerate([jax.make_mesh((4,), ("points",)), None]):
        result = train(OPTIMIZERS["adam"](), 8 * (i + 1), **options, mesh=mesh)
    assert [row["step"] for row in result.history] == list(range(0, 17, 4))
    assert _difference(result.params, whole.params) < 1e-5


def _run(processes, devices, name, steps, folder, output):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    arguments = [str(x) for x in (processes, devices, name, steps, folder, output)]
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SCRIPT, str(port), str(rank), *arguments], env=environment
        )
        for rank in range(processes)
    ]
    try:
        assert [process.wait(timeout=600) for process in running] == [0] * processes
    finally:
        for process in running:
            process.kill()
    return np.load(output)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["isgd-adam", "isgd-lbfgs", "isgd-gn"])
def test_two_processes_give_the_parameters_of_one_and_hand_over_to_it(tmp_path, name):
    two = _run(2, 2, name, 50, "", tmp_path / "two.npz")
    one = _run(1, 1, name, 50, "", tmp_path / "one.npz")
    np.testing.assert_allclose(two["params"], one["params"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-6)
    # Checkpoints written by two processes with four devices; one with two goes on. Few steps: later on
    # Gauss–Newton parts by more than rounding (3e-5 after 60).
    _run(2, 2, name, 20, tmp_path / "run", tmp_path / "begun.npz")
    longer = _run(1, 2, name, 30, tmp_path / "run", tmp_path / "longer.npz")
    whole = _run(1, 1, name, 30, "", tmp_path / "whole.npz")
    np.testing.assert_allclose(longer["params"], whole["params"], rtol=0, atol=1e-6)
