"""What a measurement ran on."""

import functools
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

_PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy", "scipy")
_ROOT = Path(__file__).parents[1]


def environment() -> dict[str, Any]:
    """Device and versions, our own with its commit."""
    device = jax.devices()[0]
    cores = ""
    if device.platform == "cpu":
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        cores = f"{_processor()}, {usable} cores"
    return {
        "device": f"{device.device_kind}{cores}",
        "versions": {
            "isgd_optax": _ours(),
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
    }


@functools.cache
def _ours() -> str:
    """Version and commit, which ends in -dirty where files differ from it; the version alone elsewhere."""
    version = importlib.metadata.version("isgd_optax")
    if not (_ROOT / ".git").exists():
        return version
    describe = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.run(describe, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or another user's folder
        return version
    return f"{version}+{commit}"


def _processor() -> str:
    """The model of the processor, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f" ({models[0]})" if models else ""


def command() -> str:
    """The command line of this process without ``--out``, which whoever repeats it chooses."""
    words = sys.argv[1:]
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if "--out" not in (before, word) and not word.startswith("--out=")
    ]
    return shlex.join(["python", "-m", "benchmarks", *kept])
