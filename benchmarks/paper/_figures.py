"""The figures of a study: curves over the iterations, solutions and error maps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.paper import _study
from benchmarks.paper._study import select
from pinns import predict
from pinns.problems import Problem

COLORS = {
    "SGD": "tab:gray",
    "Adam": "tab:orange",
    "L-BFGS": "tab:green",
    "ISGD, SGD": "tab:olive",
    "ISGD, Adam": "tab:red",
    "ISGD, L-BFGS": "tab:purple",
    "ISGD, Gauss–Newton, α constant": "tab:cyan",
    "ISGD, Gauss–Newton": "tab:blue",
}


def draw_curves(rows: list[dict[str, Any]], path: Path) -> None:
    """Loss and relative L2 error against gradient evaluations, the error against seconds, a column a panel.

    Several seeds are a line, their median, in a band, their range.
    """
    panels = _study.panels(rows)
    shown = (("num_gradients", "loss"), ("num_gradients", "rel_l2"), ("seconds", "rel_l2"))
    figure, axes = plt.subplots(
        len(shown),
        len(panels),
        figsize=(3.6 * len(panels) + 0.6, 9),
        layout="constrained",
        squeeze=False,
        sharex="row",
        sharey="row",
    )
    for column, panel in zip(axes.T, panels, strict=True):
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
        axis.grid(alpha=0.3)
    for axis, (_, quantity) in zip(axes[:, 0], shown, strict=True):
        axis.set_ylim(*_limits(rows, quantity))
    handles, labels = [], []
    for axis in axes[0]:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    columns = min(len(labels), round(1.5 * len(panels)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    figure.savefig(path, dpi=110)
    plt.close(figure)


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
    (line,) = axis.plot(grid, np.median(values, axis=0), color=COLORS.get(label), label=label, linewidth=1.3)
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
    panels = _study.panels(rows)
    seed = min(row["seed"] for row in rows)
    figure, axes = plt.subplots(
        2, len(panels), figsize=(3.6 * len(panels) + 0.6, 5.4), layout="constrained", squeeze=False
    )
    for column, panel in zip(axes.T, panels, strict=True):
        runs = select(rows, panel, seed=seed)
        fine = exact[panel].domain.grid(1001, jnp.float32)
        true = np.asarray(predict(exact[panel].exact, fine)).ravel()
        column[0].plot(fine[:, 0], true, color="black", linewidth=3, alpha=0.35, label="exact")
        for run in runs:
            x, u, error = (_array(run["solution"][name]) for name in ("x", "u", "error"))
            color = COLORS.get(run["label"])
            column[0].plot(x, u, ".", markersize=3, color=color, label=run["label"])
            column[1].semilogy(x, np.abs(error) + 1e-16, color=color, linewidth=1)
        span = np.ptp(true)
        column[0].set_ylim(true.min() - 0.3 * span, true.max() + 0.3 * span)  # a failed network may leave it
        column[0].set_title(panel)
        column[1].set_xlabel("x")
        for axis in column:
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("solution")
    axes[1, 0].set_ylabel("absolute error")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    columns = min(len(labels), round(1.5 * len(panels)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_maps(cases: dict[str, Path], path: Path) -> None:
    """In 2-D, the exact solution, the prediction and its absolute error, a row for each of several runs.

    Args:
      cases: ``prediction.npz`` by name.
      path: of the PNG.
    """
    figure, axes = plt.subplots(
        len(cases), 3, figsize=(11, 3.2 * len(cases)), layout="constrained", squeeze=False
    )
    for row, (name, file) in zip(axes, cases.items(), strict=True):
        stored = np.load(file)
        points, exact, prediction = (stored[key] for key in ("points", "exact", "prediction"))
        side = round(len(points) ** 0.5)
        low, high = points.min(axis=0), points.max(axis=0)
        for axis, title, values in zip(
            row,
            ("exact", name, f"|{name} − exact|"),
            (exact, prediction, np.abs(prediction - exact)),
            strict=True,
        ):
            limits = {} if title.startswith("|") else {"vmin": exact.min(), "vmax": exact.max()}
            image = axis.imshow(
                values.reshape(side, side).T,
                origin="lower",
                extent=(low[0], high[0], low[1], high[1]),
                cmap="magma" if title.startswith("|") else "RdBu_r",
                **limits,
            )
            axis.set_title(title, fontsize=9)
            figure.colorbar(image, ax=axis, shrink=0.85)
    figure.savefig(path, dpi=110)
    plt.close(figure)
