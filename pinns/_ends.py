"""When chunks of steps end, and when a training does."""

import bisect
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from pinns._numbers import check_positive, check_whole


def chunk_ends(num_steps: int, evaluate_every: int | Iterable[int] | None) -> Sequence[int]:
    """The steps before ``num_steps`` at which chunks end, in order; a range where there may be millions."""
    check_positive(num_steps=num_steps)
    if evaluate_every is None:
        evaluate_every = max(1, num_steps // 100)
    if isinstance(evaluate_every, Iterable):
        ends = sorted(set(evaluate_every))
        for end in ends:
            check_whole(evaluate_every=end)
        if ends and ends[0] < 0:
            raise ValueError(f"the steps of evaluate_every must be at least 0, got {ends[0]}.")
        return [int(end) for end in ends if 0 < end < num_steps]
    check_positive(evaluate_every=evaluate_every)
    return range(evaluate_every, num_steps, evaluate_every)


def next_end(ends: Sequence[int], num_steps: int, step: int) -> int:
    """The step at which the chunk that begins at ``step`` ends."""
    index = bisect.bisect_right(ends, step)
    return ends[index] if index < len(ends) else num_steps


def asks_for_end(answer: Any) -> bool:
    """Whether ``on_evaluation`` asks for the end; a figure or a number that it returns is no answer."""
    if answer is None or isinstance(answer, bool | np.bool_):
        return bool(answer)
    if isinstance(answer, jax.Array | np.ndarray) and answer.dtype == np.bool_ and answer.ndim == 0:
        return bool(answer)
    raise TypeError(f"on_evaluation must return True, to end the training, False or None, got {answer!r}.")
