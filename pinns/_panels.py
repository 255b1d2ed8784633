"""Panels of predictions, exact solutions and errors."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Solutions:
    """What is drawn, at P points; NaN outside of the domain.

    Attributes:
      exact: The exact solution, shape (P, m), or None.
      predictions: Those of the networks by name, shape (P, m).
      names: The names of the m outputs.
    """

    exact: np.ndarray | None
    predictions: Mapping[str, np.ndarray]
    names: Sequence[str]

    def title(self, text: str, output: int) -> str:
        """The text, and the name of the output if there are several."""
        return text if len(self.names) == 1 else f"{text}, {self.names[output]}"


def draw_curves(solutions: Solutions, x: np.ndarray, label: str) -> Figure:
    """All curves of every output; where there is an exact solution, a row for each, with their errors."""
    exact, predictions, number = solutions.exact, solutions.predictions, len(solutions.names)
    columns = 2 if exact is not None else min(3, number)
    rows = number if exact is not None else -(-number // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5 * columns, 3.8 * rows), layout="constrained", squeeze=False
    )
    panels = axes if exact is not None else axes.reshape(-1, 1)
    for unused in panels[number:].flat:
        unused.set_visible(False)
    for output, row in enumerate(panels[:number]):
        if exact is not None:
            row[0].plot(x, exact[:, output], color="black", linewidth=3, alpha=0.35, label="exact")
        for name, prediction in predictions.items():
            row[0].plot(x, prediction[:, output], "--", label=name)
        row[0].set(title=solutions.title("solution", output))
        if exact is not None:
            _draw_errors(row[1], solutions, x, output)
            span = np.nanmax(exact[:, output]) - np.nanmin(exact[:, output])
            margin = 0.3 * span or 1.0  # a failed network may leave it
            row[0].set_ylim(np.nanmin(exact[:, output]) - margin, np.nanmax(exact[:, output]) + margin)
        for axis in row:
            axis.set(xlabel=label)
            axis.ticklabel_format(axis="x", style="sci", scilimits=(-2, 4))
            axis.grid(alpha=0.3)
        row[0].legend()
    return figure


def _draw_errors(axis: Any, solutions: Solutions, x: np.ndarray, output: int) -> None:
    assert solutions.exact is not None
    smallest = []
    for name, prediction in solutions.predictions.items():
        error = np.abs(prediction - solutions.exact)[:, output]
        axis.semilogy(x, error + 1e-300, label=name)
        if np.isfinite(error).any():
            smallest.append(np.percentile(error[np.isfinite(error)], 2))
    if smallest:
        axis.set_ylim(bottom=max(min(smallest), 1e-17))
    axis.set(title=solutions.title("absolute error", output))


def draw_maps(solutions: Solutions, extent: Sequence[float], labels: Sequence[str], at: str) -> Figure:
    """A row for every output of every network.

    Args:
      solutions: Values on a square grid; its first coordinate varies fastest.
      extent: The ends of the first and of the second coordinate.
      labels: Their names.
      at: Where the other coordinates are.
    """
    exact = solutions.exact
    rows = [(name, output) for name in solutions.predictions for output in range(len(solutions.names))]
    columns = 1 if exact is None else 3
    widths = np.array([extent[1] - extent[0], extent[3] - extent[2]])
    aspect = "equal" if widths.max() <= 4 * widths.min() else "auto"  # a long time would be a thin strip
    height = 3.4 if aspect == "auto" else min(3.4, 0.9 + 2.1 * widths[1] / widths[0])
    figure, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(3.7 * columns, height * len(rows)),
        layout="constrained",
        squeeze=False,
    )
    for row, (name, output) in zip(axes, rows, strict=True):
        prediction = solutions.predictions[name][:, output]
        panels, colours = [(name, prediction)], _colours(prediction)
        if exact is not None:
            true = exact[:, output]
            panels += [("exact", true), (f"|{name} − exact|", np.abs(prediction - true))]
            colours = _colours(true)
        for column, (axis, (title, values)) in enumerate(zip(row, panels, strict=True)):
            side = round(len(values) ** 0.5)
            look: dict[str, Any] = {"cmap": "magma"} if column == 2 else colours
            grid = values.reshape(side, side)
            image = axis.imshow(grid, origin="lower", extent=tuple(extent), aspect=aspect, **look)
            axis.set(title=solutions.title(title, output), xlabel=labels[0], ylabel=labels[1])
            figure.colorbar(image, ax=axis, shrink=0.85, extend=_beyond(values, *image.get_clim()))
    if at:
        figure.suptitle(at)
    return figure


def _colours(values: np.ndarray) -> dict[str, Any]:
    """The range of the values, with white at zero if they have both signs."""
    low, high = _range(values)
    if low < 0 < high:
        size = max(-low, high)
        return {"cmap": "RdBu_r", "vmin": -size, "vmax": size}
    return {"cmap": "viridis", "vmin": low, "vmax": high}


def _beyond(values: np.ndarray, low: float, high: float) -> Literal["neither", "both", "min", "max"]:
    """On which side values leave the range of the colours, as a failed network's may."""
    margin = 0.01 * (high - low)
    smallest, largest = _range(values)
    below, above = smallest < low - margin, largest > high + margin
    return "both" if below and above else "min" if below else "max" if above else "neither"


def _range(values: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest finite value; a failed network may have none."""
    finite = values[np.isfinite(values)]
    return (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
