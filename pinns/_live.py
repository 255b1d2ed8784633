"""A figure of losses and errors that grows below a notebook's cell while it trains."""

import io
import math
import time
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pinns._history import Row, summary
from pinns._plots import LABELS

_SHARE = 10.0  # seconds of training for each second of drawing


class LivePlot:
    """Draws a training below the notebook's cell in which it runs.

    It is an ``on_evaluation`` of :func:`pinns.fit`. Drawn are the loss, dashed the loss on points that are
    never trained on, the relative L2 error where an exact solution is known, and the unknowns where there are
    any; the title is the last line of the progress bar. Where drawing would take more than a tenth of the
    time, evaluations are left out; the last one is drawn when the cell ends. A training that begins later
    has a figure of its own.

    Args:
      x: What it is drawn against: ``"seconds"``, ``"step"`` or ``"num_gradients"``.

    Raises:
      ValueError: Another ``x``.
      RuntimeError: Where there is no notebook.

    Examples:
      In a notebook's cell::

        fit(problem, model, optimizer, ..., progress=False, on_evaluation=LivePlot())
    """

    def __init__(self, x: str = "seconds"):
        if x not in LABELS:
            raise ValueError(f"x must be one of {tuple(LABELS)}, got {x!r}.")
        self._x = x
        self._shell = _notebook()
        self._history: list[Row] | None = None
        self._figure: Any = None  # the handle of what is displayed
        self._next = 0.0

    def __call__(self, history: list[Row]) -> None:
        """Draws ``history``, now or when the cell ends."""
        if self._history is None:
            self._shell.events.register("post_run_cell", self._end_of_cell)
        elif history is not self._history:
            self._draw()
        if history is not self._history:
            self._history, self._figure, self._next = history, None, 0.0
        if time.perf_counter() >= self._next:
            self._draw()

    def _end_of_cell(self, *_: Any) -> None:
        self._shell.events.unregister("post_run_cell", self._end_of_cell)
        self._draw()
        self._history = None

    def _draw(self) -> None:
        from IPython.display import Image, display

        assert self._history is not None
        began = time.perf_counter()
        image = Image(_png(self._history, self._x), format="png", alt=summary(self._history[-1]))
        if self._figure is None:
            self._figure = display(image, display_id=True)
        else:
            self._figure.update(image)
        ended = time.perf_counter()
        self._next = ended + _SHARE * (ended - began)


def _notebook() -> Any:
    """IPython's shell, if it is that of a notebook."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        shell = None
    else:
        shell = get_ipython()
    if getattr(shell, "kernel", None) is None:
        raise RuntimeError(
            "LivePlot draws below the cell of a Jupyter notebook, and this is none. Elsewhere leave "
            "progress=True, which shows the same numbers, and draw plot_history when the training has ended."
        )
    return shell


def _png(history: list[Row], x: str) -> bytes:
    """A panel for losses and, if there are any, one for errors and one for unknowns."""
    last = history[-1]
    panels = ["loss", *(name for name in ("rel_l2", "unknowns") if name in last)]
    figure = Figure(figsize=(max(6.0, 4.2 * len(panels)), 3.6), layout="constrained")
    axes = dict(zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True))
    abscissa = [row[x] for row in history]
    axes["loss"].semilogy(abscissa, [row["loss"] for row in history], label="trained points")
    if "fresh_loss" in last:
        fresh = [row.get("fresh_loss", math.nan) for row in history]
        axes["loss"].semilogy(abscissa, fresh, "--", label="fresh points")
        axes["loss"].legend()
    if "rel_l2" in last:
        axes["rel_l2"].semilogy(abscissa, [row.get("rel_l2", math.nan) for row in history], color="black")
    for name in last.get("unknowns", ()):
        values = np.array([np.ravel(row["unknowns"][name]) for row in history])
        several = [f"{name}[{i}]" for i in range(values.shape[1])]
        axes["unknowns"].plot(abscissa, values, label=several if len(several) > 1 else name)
        axes["unknowns"].legend()
    for name, axis in axes.items():
        axis.set(xlabel=LABELS[x], title={"rel_l2": "relative L2 error"}.get(name, name))
        axis.grid(alpha=0.3)
    figure.suptitle(summary(last).replace(", α", "\nα"), fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
