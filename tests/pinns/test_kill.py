"""A run that is killed, in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys, time, jax, numpy as np
from flax import nnx
from isgd_optax import isgd_adam
from pinns import MLP, SingularlyPerturbedODE, fit

directory, output, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
result = fit(
    SingularlyPerturbedODE(2.0, num_points=24),
    MLP(1, [8], 1, rngs=nnx.Rngs(0)),
    isgd_adam(0.5, num_implicit_steps=30, num_inner_steps=3),
    num_steps=60,
    key=jax.random.key(0),
    batch_size=6,
    resample_every=8,
    evaluate_every=4,
    progress=False,
    checkpoint_dir=directory,
    checkpoint_seconds=0.0,
    on_evaluation=lambda history: time.sleep(pause),
)
rows = [[row["step"], row["loss"], row["rel_l2"], row["num_gradients"]] for row in result.history]
leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(result.params)]
np.savez(output, rows=np.array(rows), params=np.concatenate(leaves))
"""


def start(directory, output, pause):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": jax.default_backend()}
    command = [sys.executable, "-c", SCRIPT, str(directory), str(output), str(pause)]
    return subprocess.Popen(command, env=environment)


def saved_steps(directory):
    return [int(path.name) for path in directory.glob("*") if path.name.isdigit()]


@pytest.mark.slow
def test_a_killed_run_ends_with_the_figures_of_an_undisturbed_one(tmp_path):
    killed = start(tmp_path / "killed", tmp_path / "never.npz", 0.3)
    try:
        deadline = time.monotonic() + 60
        while len(saved_steps(tmp_path / "killed")) < 2:
            assert time.monotonic() < deadline
            assert killed.poll() is None
            time.sleep(0.02)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert 0 < max(saved_steps(tmp_path / "killed")) < 60
    assert not (tmp_path / "never.npz").exists()
    for directory, output in (("killed", "resumed.npz"), ("whole", "whole.npz")):
        assert start(tmp_path / directory, tmp_path / output, 0.0).wait(timeout=120) == 0
    resumed, whole = np.load(tmp_path / "resumed.npz"), np.load(tmp_path / "whole.npz")
    np.testing.assert_array_equal(resumed["params"], whole["params"])
    np.testing.assert_array_equal(resumed["rows"], whole["rows"])
    assert resumed["rows"][:, 0].tolist() == list(range(0, 61, 4))
