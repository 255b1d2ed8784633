"""Settings for all tests: several CPU devices, no silent rank promotion, x64 only where asked for."""

import os

# Two test processes share two cores: OpenBLAS's threads would wait for each other. Before SciPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# And so would XLA's: each process has cores of its own.
if hasattr(os, "sched_setaffinity") and "PYTEST_XDIST_WORKER" in os.environ:
    cores, worker = sorted(os.sched_getaffinity(0)), int(os.environ["PYTEST_XDIST_WORKER"][2:])
    os.sched_setaffinity(0, cores[worker :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])] or cores)

import jax
import pytest

# Tests compile for longer than they run. These halve the time of all tests together; XLA ends the process for
# an option that it does not know, so they are given to the versions in which they were tried.
if jax.__version_info__[:2] == (0, 10):
    quick = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick}".strip()
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True)
def _optimized(request):
    """Slow tests run for longer than they compile."""
    jax.config.update("jax_disable_most_optimizations", not request.node.get_closest_marker("slow"))


@pytest.fixture
def x64():
    """Enables float64 for one test."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Runs a test in both precisions."""
    jax.config.update("jax_enable_x64", request.param == "float64")
    yield jax.numpy.dtype(request.param)
    jax.config.update("jax_enable_x64", False)
