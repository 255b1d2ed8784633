"""A run that goes on elsewhere: on other devices, inside a running event loop, in a notebook."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
from jupyter_client.manager import AsyncKernelManager

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
ENVIRONMENT.pop("XLA_FLAGS", None)

TRAIN = """
import asyncio, os, pathlib, signal, sys, threading, time
import jax, jax.numpy as jnp, numpy as np
from flax import nnx
from isgd_optax import gauss_newton, implicit_step, largest_trusted
from pinns import MLP, SingularlyPerturbedODE, fit

jax.config.update("jax_enable_x64", True)

def train(folder, on_evaluation=None):
    return fit(
        SingularlyPerturbedODE(0.1, num_points=200),
        MLP(1, [12, 12], 1, dtype=jnp.float64, rngs=nnx.Rngs(0)),
        implicit_step(gauss_newton(), largest_trusted(), max_inner_steps=1, store_grad=True),
        num_steps=60,
        evaluate_every=5,
        key=jax.random.key(0),
        progress=False,
        checkpoint_dir=folder,
        checkpoint_seconds=0.0,
        on_evaluation=on_evaluation,
    )

def save(path, result):
    np.save(path, np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(result.params)]))
"""

ELSEWHERE = """
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_default_device", jax.devices()[-1])

def press(history):
    if history[-1]["step"] == 20:
        os.kill(os.getpid(), signal.SIGINT)

result = train(sys.argv[1], press)
assert jax.device_count() == 4
assert all(leaf.devices() == {jax.devices()[-1]} for leaf in jax.tree.leaves(result.params))
assert (result.stop_reason, result.num_steps) == ("interrupted", 20)
"""

UNDISTURBED = """
assert jax.device_count() == 1
save(sys.argv[2], train(sys.argv[1]))
"""

IN_A_LOOP = """
assert jax.device_count() == 1

async def main():
    loop, policy = asyncio.get_running_loop(), asyncio.get_event_loop_policy()
    run, handler = asyncio.run, loop.get_exception_handler()
    tasks, previous = asyncio.all_tasks(), signal.getsignal(signal.SIGINT)
    result = train(sys.argv[1])
    assert asyncio.get_running_loop() is loop and asyncio.get_event_loop_policy() is policy
    assert asyncio.run is run and "nest_asyncio" not in sys.modules
    assert loop.get_exception_handler() is handler and asyncio.all_tasks() == tasks
    assert signal.getsignal(signal.SIGINT) is previous
    called = []
    loop.call_soon(called.append, 1)
    await asyncio.sleep(0.01)
    assert called
    return result

result = asyncio.run(main())
assert [row["step"] for row in result.history] == list(range(0, 61, 5))
save(sys.argv[2], result)
"""


def python(code, *arguments):
    """Runs this code after that of the training, in a process of its own."""
    command = [sys.executable, "-c", TRAIN + code, *map(str, arguments)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The parameters of a run that was never interrupted."""
    folder = tmp_path_factory.mktemp("undisturbed")
    python(UNDISTURBED, folder / "run", folder / "whole.npy")
    return np.load(folder / "whole.npy")


def test_other_devices_and_a_running_event_loop(tmp_path, undisturbed):
    """google/orbax#2473, #646, #986 and #481: "device not found", and ``asyncio.run`` refused."""
    python(ELSEWHERE, tmp_path / "run")
    python(IN_A_LOOP, tmp_path / "run", tmp_path / "resumed.npy")
    np.testing.assert_allclose(np.load(tmp_path / "resumed.npy"), undisturbed, rtol=0, atol=1e-12)


def cell(client, code):
    """Appends a cell of this code to the notebook, and runs it."""
    client.nb.cells.append(nbformat.v4.new_code_cell(code))
    return client.async_execute_cell(client.nb.cells[-1], len(client.nb.cells) - 1)


# The Jupyter stack has warnings and unclosed sockets of its own.
@pytest.mark.filterwarnings("default")
def test_a_notebook_is_interrupted_and_goes_on(tmp_path, undisturbed, monkeypatch):
    """The kernel has an event loop that runs; interrupting it returns the result, as Ctrl-C does."""
    for name in ("PYTHONPATH", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, ENVIRONMENT[name])
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    python(ELSEWHERE, tmp_path / "run")
    run, begun, resumed = (str(tmp_path / name) for name in ("run", "begun", "resumed.npy"))
    slow = f"lambda history: (pathlib.Path({begun!r}).touch(), time.sleep(0.5))[1]"
    client = nbclient.NotebookClient(nbformat.v4.new_notebook(), timeout=300)

    async def session():
        async with client.async_setup_kernel():
            await cell(client, TRAIN + "loop = asyncio.get_running_loop()")
            training = asyncio.create_task(cell(client, f"result = train({run!r}, {slow})"))
            while not Path(begun).exists():
                assert not training.done()
                await asyncio.sleep(0.05)
            assert isinstance(client.km, AsyncKernelManager)
            await client.km.interrupt_kernel()
            await training
            shown = await cell(client, "print(result.stop_reason, 20 < result.num_steps < 60)")
            assert shown.outputs[0].text.split() == ["interrupted", "True"]
            await cell(client, "assert asyncio.get_running_loop() is loop")
            await cell(client, f"save({resumed!r}, train({run!r}))")

    asyncio.run(session())
    np.testing.assert_allclose(np.load(resumed), undisturbed, rtol=0, atol=1e-12)
