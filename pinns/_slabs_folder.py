"""The folders of slabs on disk: one from which another has begun must not go on."""

import dataclasses
import os
from pathlib import Path

from pinns._options import Options
from pinns._placement import Placement
from pinns._result import FitResult
from pinns._verdicts import Watch
from pinns._warnings import warn_at_caller


class Folder:
    """A folder with one for each slab in it.

    Args:
      directory: Where, or None.
      mesh: The devices of the run; all processes are told what the first one finds.
    """

    def __init__(self, directory: str | os.PathLike[str] | None, mesh: object):
        self._path = None if directory is None else Path(directory)
        self._placement = Placement(mesh)  # pyright: ignore[reportArgumentType]

    def of(self, slab: int) -> Path | None:
        """The folder of a slab."""
        return None if self._path is None else self._path / f"slab-{slab:04d}"

    def closed(self, slab: int) -> int:
        """The steps at which a slab ended if the next one has begun from there; else 0."""
        return self._placement.agreed(self._steps(slab) if self._steps(slab + 1) else 0)

    def ended(self, slab: int, result: FitResult, num_steps: int, options: Options) -> FitResult:
        """The result of a slab, with the reason why it ended; warns if more is asked for than it keeps.

        One that is closed has made all steps that it is given, though what ended it may have been a limit.
        """
        if result.stop_reason != "num_steps" or result.num_steps >= num_steps:
            return result
        reason = Watch(result.problem, options, num_steps, result.num_steps).reason(result.history)
        if reason is None:
            warn_at_caller(
                f"slab {slab} was made of {result.num_steps} steps and stays so, since the next one began "
                f"there: num_steps={num_steps} is for those without a next one; for all take another folder."
            )
        return dataclasses.replace(result, stop_reason=reason or result.stop_reason)

    def _steps(self, slab: int) -> int:
        """The steps of its last state."""
        path = self.of(slab)
        if path is None or not path.exists():
            return 0
        return max((int(state.name) for state in path.iterdir() if state.name.isdigit()), default=0)
