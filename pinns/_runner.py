"""Compiled chunks of training steps, and the seconds that they take."""

import time

import jax

from pinns._programs import Program
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
        self._chunk = chunk
        self._programs: dict[int, Program] = {}
        self.compile_seconds = 0.0
        self.train_seconds = train_seconds

    def run(self, state: TrainState, length: int) -> tuple[TrainState, StepRecord]:
        """``length`` steps; ``state`` is donated."""
        if length not in self._programs:
            self._programs[length] = Program(lambda state: self._chunk(state, length), donate=True)
        began = time.perf_counter()
        run = self._programs[length].compiled(state)
        compiled = time.perf_counter()
        self.compile_seconds += compiled - began
        began = time.perf_counter()
        result = jax.block_until_ready(run(state))
        self.train_seconds += time.perf_counter() - began
        return result
