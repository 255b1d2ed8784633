"""What a measurement ran on."""

import importlib.metadata
import os
import platform
import shlex
import sys
from typing import Any

import jax

_PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy")


def environment() -> dict[str, Any]:
    """Device and versions."""
    device = jax.devices()[0]
    cores = ""
    if device.platform == "cpu":
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        cores = f", {usable} cores"
    return {
        "device": f"{device.device_kind}{cores}",
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
    }


def command() -> str:
    """The command line of this process without ``--out``, which whoever repeats it chooses."""
    words = sys.argv[1:]
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if "--out" not in (before, word) and not word.startswith("--out=")
    ]
    return shlex.join(["python", "-m", "benchmarks", *kept])
