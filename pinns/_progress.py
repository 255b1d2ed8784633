"""The progress bar of a training."""

import contextlib
from collections.abc import Iterator

from tqdm import tqdm


@contextlib.contextmanager
def progress_bar(total: int | None, step: int, description: str, progress: bool) -> Iterator[tqdm]:
    """A progress bar; without a total where time may end the run first."""
    with tqdm(
        total=total,
        initial=step if total is None else min(step, total),
        desc=description or None,
        disable=not progress,
        unit="step",
        dynamic_ncols=True,
    ) as bar:
        yield bar
