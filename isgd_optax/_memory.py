"""How much memory a Gauss–Newton step takes, and how much there is."""

import os
from pathlib import Path
from typing import NamedTuple

import jax


class Sizes(NamedTuple):
    """The numbers that decide.

    Attributes:
      num_residuals: N.
      num_params: P.
      itemsize: bytes per number.
      factors: numbers in the layers' factors; None where rows of J are needed instead.
      layer: parameters of the largest layer whose rows of J are cheaper than products of its factors.
      block: rows of J that are differentiated at once.
      rank: of the preconditioner of CG.
    """

    num_residuals: int
    num_params: int
    itemsize: int
    factors: int | None
    layer: int
    block: int
    rank: int

    def bytes_needed(self, linear_solver: str) -> int:
        """Peak memory of ``linear_solver``, estimated from its largest arrays."""
        n, p = self.num_residuals, self.num_params
        jacobian = n * p
        numbers = {
            # The matrix, its upper triangle, a damped copy and its factor.
            "dual": 5 * n**2 + (2 * jacobian if self.factors is None else 3 * self.factors + n * self.layer),
            "primal": 5 * p**2 + 3 * min(self.block, n) * p,
            "qr": 4 * jacobian + 4 * min(n, p) ** 2,
            "cg": 10 * (n + p) + 4 * n * self.rank,
        }
        return self.itemsize * numbers[linear_solver]


def available_bytes() -> int:
    """Memory of the default device, less a fifth."""
    device = getattr(jax.config, "jax_default_device", None) or jax.local_devices()[0]
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


def choose_linear_solver(sizes: Sizes, limit: int) -> str:
    """The exact solve that is cheaper, if it fits, else the other, else CG."""
    first, second = ("dual", "primal") if sizes.num_residuals <= sizes.num_params else ("primal", "dual")
    for linear_solver in (first, second):
        if sizes.bytes_needed(linear_solver) <= limit:
            return linear_solver
    return "cg"


def check_memory(linear_solver: str, sizes: Sizes, limit: int) -> None:
    """Raises ValueError if ``linear_solver`` will not fit."""
    needed = sizes.bytes_needed(linear_solver)
    if needed <= limit:
        return
    fitting = [
        f"linear_solver={other!r} ({_shown(sizes.bytes_needed(other))})"
        for other in ("dual", "primal", "qr", "cg")
        if other != linear_solver and sizes.bytes_needed(other) <= limit
    ]
    raise ValueError(
        f"linear_solver={linear_solver!r} needs about {_shown(needed)} for {sizes.num_residuals:,} residuals "
        f"and {sizes.num_params:,} parameters in {8 * sizes.itemsize}-bit numbers; there are {_shown(limit)}."
        f" Take {' or '.join([*fitting, 'fewer points per step'])}, or raise memory_limit."
    )


def _shown(number: int) -> str:
    return f"{number / 2**30:.2g} GiB"
