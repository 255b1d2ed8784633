"""The figures of a study: curves over the iterations, solutions and error maps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from benchmarks._optimizers import BY_LABEL
from benchmarks._plots import figure, legend_below
from benchmarks.paper._rows import panels, select
from pinns import predict
from pinns.problems import Problem

_COLORS = {label: method.color for label, method in BY_LABEL.items()}


def draw_curves(rows: list[dict[str, Any]], path: Path) -> None:
    """Loss and relative L2 error against gradient evaluations, the error against seconds, a column a panel.

    Several seeds are a line, their median, in a band, their range.
    """
    titles = panels(rows)
    shown = (("num_gradients", "loss"), ("num_gradients", "rel_l2"), ("seconds", "rel_l2"))
    size = (3.6 * len(titles) + 0.6, 9)
    with figure(path, len(shown), len(titles), size=size, sharex="row", sharey="row") as (drawn, axes):
        for column, panel in zip(axes.T, titles, strict=True):
            column[0].set_title(panel)
            for label in dict.fromkeys(row["label"] for row in select(rows, panel)):
                runs = select(rows, panel, label=label)
                for axis, (cost, quantity) in zip(column, shown, strict=True):
                    _draw_band(axis, runs, cost, quantity, label)
            column[1].set_xlabel(
                "gradient evaluations\n(Gauss–Newton: its linear algebra not counted)", fontsize=8
            )
            column[2].set_xlabel("seconds of training")
        for axis, title in zip(axes[:, 0], ("loss", *["relative L2 error"] * 2), strict=True):
            axis.set_ylabel(title)
        for axis in axes.flat:
            axis.set(xscale="log", yscale="log")
        for axis, (_, quantity) in zip(axes[:, 0], shown, strict=True):
            axis.set_ylim(*_limits(rows, quantity))
        legend_below(drawn, axes[0], 1.5 * len(titles))


def _limits(rows: list[dict[str, Any]], quantity: str) -> tuple[float, float]:
    """From the lowest value to a hundred times the highest at the start: a divergence would hide the rest."""
    values = [v for row in rows for v in row["curve"][quantity] if v]
    starts = [row["curve"][quantity][0] for row in rows]
    return min(values) / 3, 100 * max(s for s in starts if s)


def _array(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


def _draw_band(axis: Any, runs: list[dict[str, Any]], cost: str, quantity: str, label: str) -> None:
    least = {"num_gradients": 1.0, "seconds": 0.05}[cost]  # where a logarithmic axis can begin
    costs = [np.maximum(_array(run["curve"][cost]), least) for run in runs]
    curves = [(x, _array(run["curve"][quantity])) for x, run in zip(costs, runs, strict=True)]
    grid = np.unique(np.concatenate(costs))
    # Beyond its end a run stays what it is: it stopped at its target, or diverged.
    # Both axes are logarithmic: a straight line between two evaluations is one of the logarithms.
    with np.errstate(divide="ignore"):
        logs = [np.interp(np.log(grid), np.log(x), np.log(y)) for x, y in curves]
    values = np.exp(np.array(logs))
    (line,) = axis.plot(grid, np.median(values, axis=0), color=_COLORS.get(label), label=label, linewidth=1.3)
    color = line.get_color()  # of the cycle, where the label has none of its own
    if len(runs) > 1:
        axis.fill_between(grid, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, linewidth=0)
    for run, (x, y) in zip(runs, curves, strict=True):
        if run["stop_reason"] == "diverged":
            axis.plot(x[-1:], y[-1:], "x", color=color, markersize=8, mew=2)


def draw_solutions(rows: list[dict[str, Any]], exact: Mapping[str, Problem], path: Path) -> None:
    """In 1-D, the exact solution and the predictions of the first seed, a panel each.

    Args:
      rows: runs with a ``solution``.
      exact: the problem of each panel.
      path: of the PNG.
    """
    titles = panels(rows)
    seed = min(row["seed"] for row in rows)
    with figure(path, 2, len(titles), size=(3.6 * len(titles) + 0.6, 5.4)) as (drawn, axes):
        for (upper, lower), panel in zip(axes.T, titles, strict=True):
            fine = exact[panel].domain.grid(1001, jnp.float32)
            true = np.asarray(predict(exact[panel].exact, fine)).ravel()
            upper.plot(fine[:, 0], true, color="black", linewidth=3, alpha=0.35, label="exact")
            for run in select(rows, panel, seed=seed):
                x, u, error = (_array(run["solution"][name]) for name in ("x", "u", "error"))
                color = _COLORS.get(run["label"])
                upper.plot(x, u, ".", markersize=3, color=color, label=run["label"])
                lower.semilogy(x, np.abs(error) + 1e-16, color=color, linewidth=1)
            span = np.ptp(true)  # a failed network may leave it
            upper.set(title=panel, ylim=(true.min() - 0.3 * span, true.max() + 0.3 * span))
            lower.set_xlabel("x")
        axes[0, 0].set_ylabel("solution")
        axes[1, 0].set_ylabel("absolute error")
        legend_below(drawn, axes[0, :1], 1.5 * len(titles))


def draw_maps(cases: dict[str, Path], path: Path) -> None:
    """In 2-D, the exact solution, the prediction and its absolute error, a row for each of several runs.

    Args:
      cases: ``prediction.npz`` by name.
      path: of the PNG.
    """
    with figure(path, len(cases), 3, size=(11, 3.2 * len(cases))) as (drawn, axes):
        for row, (name, file) in zip(axes, cases.items(), strict=True):
            stored = np.load(file)
            points, exact, prediction = (stored[key] for key in ("points", "exact", "prediction"))
            side = round(len(points) ** 0.5)
            (left, bottom), (right, top) = points.min(axis=0), points.max(axis=0)
            range_of_exact = {"cmap": "RdBu_r", "vmin": exact.min(), "vmax": exact.max()}
            shown = (
                ("exact", exact, range_of_exact),
                (name, prediction, range_of_exact),
                (f"|{name} − exact|", np.abs(prediction - exact), {"cmap": "magma"}),
            )
            for axis, (title, values, style) in zip(row, shown, strict=True):
                image = axis.imshow(
                    values.reshape(side, side).T, origin="lower", extent=(left, right, bottom, top), **style
                )
                axis.grid(visible=False)
                axis.set_title(title, fontsize=9)
                drawn.colorbar(image, ax=axis, shrink=0.85)
