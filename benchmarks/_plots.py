"""What all figures have in common."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np


@contextlib.contextmanager
def figure(
    path: Path, rows: int = 1, columns: int = 1, *, size: tuple[float, float], dpi: int = 110, **options: Any
) -> Iterator[tuple[Any, np.ndarray]]:
    """A figure and its axes, shape (rows, columns), with lines at the ticks; saved to ``path`` at the end."""
    drawn, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    yield drawn, axes
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=dpi)
    plt.close(drawn)


def legend_below(drawn: Any, axes: Any, columns: float) -> None:
    """One legend for curves that stand in any of the axes, in about so many columns."""
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    number = max(1, min(len(handles), round(columns)))
    drawn.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=number)
