"""How much memory there is."""

import os
from pathlib import Path

import jax


def available_bytes() -> int:
    """Four fifths of the default device's memory, in bytes.

    On a CPU that is the machine's memory, or what the process's control group may have of it; where the
    system has no such query, 8 GiB.
    """
    device = getattr(jax.config, "jax_default_device", None)
    if device is None or isinstance(device, str):  # the name of a platform
        device = jax.local_devices(backend=device)[0]
    stats = device.memory_stats() if isinstance(device, jax.Device) else None
    if stats and "bytes_limit" in stats:
        return int(0.8 * stats["bytes_limit"])
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # no such query on this system
        return 8 * 2**30
    try:
        allowed = int(Path("/sys/fs/cgroup/memory.max").read_text())  # in a container
    except (OSError, ValueError):
        allowed = installed
    return int(0.8 * min(installed, allowed))


def shown_bytes(number: float) -> str:
    """A number of bytes in GiB, for a message."""
    return f"{number / 2**30:.2g} GiB"
