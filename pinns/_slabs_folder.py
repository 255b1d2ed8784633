"""Slabs on disk: one that others began from must not go on."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from pinns._options import Stop
from pinns._placement import Placement


def check_ends(directory: Path, num_steps: int, stop: Stop, placement: Placement) -> None:
    """Notes when the slabs of a folder end, or refuses a later end where a slab began from that of another.

    Args:
      directory: The folder of the slabs.
      num_steps: The steps of each.
      stop: What ends them before.
      placement: The devices of the run; of several processes the first one looks after the folder.

    Raises:
      ValueError: The slab before one that has begun would go on.
    """
    fault: Exception | None = None
    if placement.leads:
        try:
            _check(directory, {"num_steps": num_steps} | dataclasses.asdict(stop))
        except (OSError, ValueError) as error:  # raised below, once the other processes know of it
            fault = error
    if placement.agreed(fault is not None):
        raise fault or RuntimeError(f"the first process could not take {directory} for these slabs.")


def _check(directory: Path, ends: dict[str, Any]) -> None:
    file = directory / "slabs.json"
    begun = any(path.name.isdigit() for path in directory.glob("slab-0001/*"))
    if begun and file.exists():
        before = json.loads(file.read_text())
        later = [name for name, limit in ends.items() if _length(name, limit) > _length(name, before[name])]
        if later:
            changes = ", ".join(f"{name}={before[name]}, not {ends[name]}" for name in later)
            raise ValueError(
                f"{directory} holds slabs that end by {changes}: each began where the one before it ended, "
                "so that none can be lengthened. Choose another folder."
            )
        return
    directory.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(ends))


def _length(name: str, limit: float | None) -> float:
    """A limit as a number that is the larger the later it ends a training."""
    if limit is None:
        return math.inf
    return -limit if name in ("rel_l2", "fresh_loss") else limit
