"""Ctrl-C, the interruption of a notebook's cell, and the request to end of a batch system."""

import signal
import threading
from typing import Any, Self

from tqdm import tqdm


class Interrupt:
    """Notes the first SIGINT or SIGTERM; a second one does what it did before.

    One inside of another knows of what the outer one has noted, and tells it.
    """

    def __init__(self) -> None:
        self.requested = False
        self._outer: Interrupt | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            outer = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
            if isinstance(outer, Interrupt):
                self._outer, self.requested = outer, outer.requested
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def _handle(self, signum: int, frame: Any) -> None:
        if not self.requested:
            self.requested = True
            if self._outer is not None:
                self._outer.requested = True
            tqdm.write("Stopping after the steps under way; once more to stop at once.")
            return
        previous = self._previous[signum]
        if callable(previous):
            previous(signum, frame)
        elif previous not in (signal.SIG_IGN, None):
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            if previous is not None:  # one that Python does not know, of a program around it
                signal.signal(number, previous)
