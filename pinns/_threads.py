"""One thread for BLAS, for as long as a block of code runs."""

import contextlib
import importlib
import threading
from collections.abc import Iterator
from typing import Any

import threadpoolctl

_lock = threading.Lock()
_depth = 0
_limits: Any = None
_owner: threading.Thread | None = None


@contextlib.contextmanager
def limited_blas_threads() -> Iterator[None]:
    """Limits BLAS to one thread inside a ``with`` block and restores its threads afterwards.

    On a CPU, jaxlib factors matrices by SciPy's OpenBLAS, whose threads wait for each other without giving
    up their cores: where another process keeps one core busy, a small Cholesky factorisation can take a
    hundred times longer than on one thread. XLA's own threads are not touched.

    Blocks may be nested, and entered by several threads: the limit holds for the whole process, from the
    first that enters until the last one leaves. Where another thread has set limits of threadpoolctl and
    holds them, they stay as they are.

    Examples:
      >>> import threadpoolctl
      >>> from pinns import limited_blas_threads
      >>> with limited_blas_threads():
      ...     print({pool["num_threads"] for pool in threadpoolctl.threadpool_info()
      ...            if pool["user_api"] == "blas"})
      {1}
    """
    global _depth, _limits, _owner
    importlib.import_module("scipy.linalg")  # a library that is not loaded yet would not be limited

    with _lock:
        if _depth == 0:
            _limits = threadpoolctl.threadpool_limits(1, user_api="blas")
            _owner = threading.current_thread()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                if _owner is not threading.current_thread():
                    _release()
                _limits.restore_original_limits()
                _limits = _owner = None


def _release() -> None:
    """Lets any thread set OpenBLAS's threads: some threadpoolctl heed only the one that set them."""
    controller = getattr(threadpoolctl, "OpenBLASController", None)
    release = getattr(controller, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
