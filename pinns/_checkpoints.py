"""The last good state of a run on disk, with orbax."""

import json
import os
import time
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp


class Checkpoints:
    """Saves a run's state and history, and finds them again.

    Args:
      directory: where; made if it does not exist.
      identity: what the run is (problem, seed, batch size, ...); a directory that belongs to a run
        with another identity is refused.
      min_seconds: least time between two saves; forced saves ignore it.

    Raises:
      ValueError: the directory holds another run.
    """

    def __init__(self, directory: str | os.PathLike[str], identity: dict[str, Any], min_seconds: float):
        path = Path(directory).resolve()
        path.mkdir(parents=True, exist_ok=True)
        _check_identity(path / "identity.json", identity)
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(path, options=options)
        self._min_seconds = min_seconds
        self._last_save = time.monotonic()

    def restore(self, state: Any) -> tuple[Any, list[dict[str, Any]]] | None:
        """The newest state, in the structure of ``state``, and its history; None if there is none."""
        step = self._manager.latest_step()
        if step is None:
            return None
        # Leaves by position: a state may hold empty and static nodes, which files do not keep.
        leaves, treedef = jax.tree.flatten(state)
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, _named(leaves))
        args = ocp.args.Composite(state=ocp.args.StandardRestore(target), history=ocp.args.JsonRestore())
        restored = self._manager.restore(step, args=args)
        return jax.tree.unflatten(treedef, list(restored["state"].values())), restored["history"]["rows"]

    def save(self, step: int, state: Any, history: list[dict[str, Any]], *, force: bool = False) -> None:
        """Saves, unless the last time was a moment ago."""
        if not force and time.monotonic() - self._last_save < self._min_seconds:
            return
        if self._manager.latest_step() == step:
            return
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(_named(jax.tree.leaves(state))),
            history=ocp.args.JsonSave({"rows": history}),
        )
        self._manager.save(step, args=args)
        self._manager.wait_until_finished()
        self._last_save = time.monotonic()

    def close(self) -> None:
        """Releases what orbax holds."""
        self._manager.close()


def _named(leaves: list[Any]) -> dict[str, Any]:
    return {f"{i:06d}": leaf for i, leaf in enumerate(leaves)}


def _check_identity(file: Path, identity: dict[str, Any]) -> None:
    identity = json.loads(json.dumps(identity))
    if not file.exists():
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps(identity, indent=2))
        temporary.replace(file)
        return
    found = json.loads(file.read_text())
    different = sorted(k for k in found.keys() | identity.keys() if found.get(k) != identity.get(k))
    if different:
        raise ValueError(
            f"{file.parent} holds another run: {', '.join(different)} differ. Choose another directory, "
            "or delete this one to start anew."
        )
