"""Settings for all tests: several CPU devices, no silent rank promotion, x64 only where asked for."""

import atexit
import gc
import os
import tempfile

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
# Some tests trace anew what others have compiled; each process compiles it once.
_compiled = tempfile.TemporaryDirectory()
atexit.register(_compiled.cleanup)
jax.config.update("jax_compilation_cache_dir", _compiled.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
# Tracing makes objects by the million; to look through all of them for cycles so often takes a while.
gc.set_threshold(50_000, 20, 50)
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
# A GPU's products of the tests' own float32 networks; ours ask for it themselves (test_precision.py).
jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(autouse=True)
def _optimized(request):
    """Slow tests run for longer than they compile; of accelerators the optimised programs are tested."""
    quick = jax.default_backend() == "cpu" and not request.node.get_closest_marker("slow")
    jax.config.update("jax_disable_most_optimizations", quick)


@pytest.fixture(autouse=True)
def _enough_devices(request):
    """A CPU is four devices here, a machine with one GPU is not."""
    marker = request.node.get_closest_marker("devices")
    if marker and jax.device_count() < marker.args[0]:
        pytest.skip(f"needs {marker.args[0]} devices, JAX has {jax.device_count()} here")


def _operations(program, name, depth=0):
    """The operations of this name in a jaxpr and in those it calls, and in how many loops each lies."""
    for equation in program.eqns:
        kind = equation.primitive.name
        if kind == name:
            yield equation, depth
        for value in jax.tree.leaves(equation.params, is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _operations(inner, name, depth + (kind in ("while", "scan")))


@pytest.fixture
def depths():
    """``depths(function, name, *args)``: in how many loops each operation of this name lies."""
    return lambda function, name, *args: [
        depth for _, depth in _operations(jax.make_jaxpr(function)(*args).jaxpr, name)
    ]


@pytest.fixture
def assert_full_precision():
    """``assert_full_precision(function, *args)``: whatever JAX's default on a device, no product uses it."""

    def check(function, *args):
        with jax.default_matmul_precision("default"):
            found = list(_operations(jax.make_jaxpr(function)(*args).jaxpr, "dot_general"))
        assert found
        for equation, _ in found:
            place = str(equation.source_info.traceback)
            assert equation.params["precision"] == (jax.lax.Precision.HIGHEST,) * 2, place

    return check


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
