"""Paired timings: functions in turn, after a warm-up, in one process."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

STATISTICS = ["median", "min", "max"]


def paired(functions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each function, called alternately ``repeats`` times after one warm-up call."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for i in range(repeats + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            jax.block_until_ready(function())
            if i > 0:
                seconds[name].append(time.perf_counter() - began)
    return {name: np.array(values) for name, values in seconds.items()}


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> dict[str, float]:
    """Median, least and largest of the ratios pair by pair."""
    ratios = numerator / denominator
    return {"median": float(np.median(ratios)), "min": float(ratios.min()), "max": float(ratios.max())}


def shown(ratios: Mapping[str, float], digits: int = 2) -> list[str]:
    """The statistics of ratios as text."""
    return [f"{ratios[key]:.{digits}f}" for key in STATISTICS]
