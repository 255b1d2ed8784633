"""The last good state of a run on disk, with orbax."""

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jax
import orbax.checkpoint as ocp
from filelock import FileLock, Timeout

from pinns._identity import digest
from pinns._identity_file import check_identity, short
from pinns._on_evaluation import plain_row
from pinns._placement import ONE_DEVICE, Placement
from pinns._warnings import warn_at_caller

# What orbax raises where a file cannot be written; where one cannot be read, anything.
_FAULTS = (OSError, ValueError, KeyError, TypeError)


class Checkpoints:
    """Saves a run's state and history, and finds them again.

    The last two states are kept. A state that cannot be read (half written, damaged) is said, set aside and
    the one before taken; one that cannot be written is said, and the training goes on.

    Args:
      directory: Where; made if it does not exist.
      identity: What the run is (problem, seed, batch size, ...); a directory that belongs to a run
        with another identity is refused.
      programs: What else it is, by the versions of Python and JAX in which that can be compared.
      min_seconds: Least time between two saves; forced saves ignore it.
      placement: The devices of the run; of several processes the first one looks after the directory.

    Raises:
      ValueError: The directory holds another run.
      RuntimeError: Another run is at work there.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        identity: dict[str, Any],
        programs: Mapping[str, dict[str, Any]],
        min_seconds: float,
        placement: Placement = ONE_DEVICE,
    ):
        self._path, self._placement = Path(directory).resolve(), placement
        self._lock = FileLock(self._path / "lock")
        fault: Exception | None = None
        if placement.leads:
            try:
                self._take(identity, programs)
            except Exception as error:  # raised below, once the other processes know of it
                fault = error
        if placement.agreed(fault is not None):
            self._lock.release()
            raise fault or RuntimeError(f"the first process could not take {self._path} for this run.")
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        try:
            self._manager = ocp.CheckpointManager(self._path, options=options)
        except BaseException:
            self._lock.release()
            raise
        self._min_seconds = min_seconds
        self._last_save = time.monotonic()

    def _take(self, identity: dict[str, Any], programs: Mapping[str, dict[str, Any]]) -> None:
        """Makes the directory this run's."""
        self._path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise RuntimeError(
                f"another run is at work in {self._path}: two would overwrite each other's checkpoints. "
                "Choose another directory, or wait for its end."
            ) from None
        if not any(path.name.isdigit() for path in self._path.iterdir()):
            for name in ("identity.json", "identity-python*.json"):  # of a run that has left no state
                for stale in self._path.glob(name):
                    stale.unlink()
        check_identity(self._path / "identity.json", identity)
        for versions, program in programs.items():
            check_identity(self._path / f"identity-{versions}.json", program)
        self._remove_unfinished()

    def begun_otherwise(self, start: Any) -> bool:
        """Whether the run began from something else than ``start``, JSON values, which a new run records."""
        file = self._path / "start.json"
        if not self._placement.leads:
            return False
        try:  # a disk may be full, and older runs have not recorded it
            if not self._manager.all_steps():
                file.write_text(json.dumps(start))
            return json.loads(file.read_text()) != json.loads(json.dumps(start))
        except (OSError, ValueError):
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._manager.close()
        self._lock.release()

    def restore(self, state: Any) -> tuple[Any, list[dict[str, Any]], bool] | None:
        """The newest state that can be read, in the structure of ``state``, history and ``ended``; or None.

        Raises:
          ValueError: There are states, and none can be read.
        """
        # Leaves by position: a state may hold empty and static nodes, which files do not keep.
        leaves, treedef = jax.tree.flatten(state)
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, _named(leaves))
        args = ocp.args.Composite(state=ocp.args.StandardRestore(target), history=ocp.args.JsonRestore())
        steps = sorted(self._manager.all_steps(), reverse=True)
        unread, fault = [], None
        for step in steps:
            try:
                found = self._manager.restore(step, args=args)
                values = list(found["state"].values())
                rows, written = found["history"]["rows"], found["history"].get("digests")
                read = _digests(values)
                if written and read and written != read:
                    raise ValueError(f"its arrays are not those that were written{_setting(found)}")
                restored = jax.tree.unflatten(treedef, values)
            except Exception as error:  # of a damaged array orbax raises a plain one
                # The first is told, or raised if no state can be read; since it may be a fault that passes,
                # the files are set aside and not deleted.
                unread, fault = [*unread, step], fault or error
                continue
            if unread:
                self._set_aside(unread)
                warn_at_caller(
                    f"the checkpoint of step {unread[0]} cannot be read ({short(fault)}); the run goes on "
                    f"from that of step {step}, and what could not be read is now called unreadable-*."
                )
            return restored, rows, bool(found["history"].get("ended"))
        if fault:
            raise ValueError(
                f"no checkpoint in {self._path} can be read ({short(fault)}). Mend that, choose another "
                "directory, or delete this one to start anew."
            ) from fault
        return None

    def save(
        self,
        step: int,
        state: Any,
        history: list[dict[str, Any]],
        *,
        ended: bool = False,
        force: bool = False,
    ) -> None:
        """Saves, unless the last time was a moment ago."""
        due = force or time.monotonic() - self._last_save >= self._min_seconds
        if not self._placement.agreed(due):
            return
        latest = self._manager.latest_step()
        if latest == step:
            return
        leaves = jax.tree.leaves(state)
        beside = {"digests": _digests(leaves), "x64": jax.config.read("jax_enable_x64"), "ended": ended}
        try:
            written = {"rows": [plain_row(row) for row in history]} | beside
            args = ocp.args.Composite(
                state=ocp.args.StandardSave(_named(leaves)), history=ocp.args.JsonSave(written)
            )
            self._manager.save(step, args=args)
            self._manager.wait_until_finished()
        except _FAULTS as error:
            self._remove_unfinished()
            kept = "there is none before it" if latest is None else f"the last one is of step {latest}"
            warn_at_caller(
                f"the checkpoint of step {step} could not be written to {self._path} ({short(error)}); "
                f"{kept}. The training goes on and tries again."
            )
        self._last_save = time.monotonic()

    def _set_aside(self, steps: list[int]) -> None:
        """Makes room for new states of these steps."""
        if self._placement.leads:
            for step in steps:
                aside = self._path / f"unreadable-{step}"
                shutil.rmtree(aside, ignore_errors=True)
                (self._path / str(step)).rename(aside)
        self._placement.agreed(True)  # all wait for it
        self._manager.reload()

    def _remove_unfinished(self) -> None:
        """What a run that was killed, or a full disk, left half written."""
        if self._placement.leads:
            for path in self._path.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(path, ignore_errors=True)


def _digests(leaves: list[Any]) -> list[str] | None:
    """What tells the arrays from others; None where other processes hold parts of them."""
    if not all(getattr(leaf, "is_fully_addressable", True) for leaf in leaves):
        return None
    return [digest(leaf) for leaf in leaves]


def _setting(found: Any) -> str:
    """The setting of JAX that makes other arrays of stored ones, where it was another."""
    now = jax.config.read("jax_enable_x64")
    then = found["history"].get("x64", now)
    return "" if then == now else f", with jax_enable_x64={then}; it is {now} now"


def _named(leaves: list[Any]) -> dict[str, Any]:
    return {f"{i:06d}": leaf for i, leaf in enumerate(leaves)}
