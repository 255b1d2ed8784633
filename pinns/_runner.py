"""Compiled chunks of training steps, and the seconds that they take."""

import time
from typing import Any

import jax

from pinns._train_step import Chunk, StepRecord, TrainState


class Runner:
    """Runs chunks, compiled once per length.

    Args:
      chunk: ``chunk(state, length)``.
      train_seconds: Seconds of training before, of a run that is continued.

    Attributes:
      compile_seconds: Seconds spent in tracing and compiling.
      train_seconds: Seconds spent in training steps.
    """

    def __init__(self, chunk: Chunk, train_seconds: float):
        self._chunk = jax.jit(chunk, static_argnums=1, donate_argnums=0)
        self._compiled: dict[int, Any] = {}
        self.compile_seconds = 0.0
        self.train_seconds = train_seconds

    def run(self, state: TrainState, length: int) -> tuple[TrainState, StepRecord]:
        """``length`` steps; ``state`` is donated."""
        if length not in self._compiled:
            began = time.perf_counter()
            self._compiled[length] = self._chunk.lower(state, length).compile()
            self.compile_seconds += time.perf_counter() - began
        began = time.perf_counter()
        result = jax.block_until_ready(self._compiled[length](state))
        self.train_seconds += time.perf_counter() - began
        return result
