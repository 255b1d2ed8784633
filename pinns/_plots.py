"""Figures of a training and of its solution."""

import os
from collections.abc import Mapping
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from flax import nnx
from matplotlib.figure import Figure

from pinns._result import FitResult
from pinns.metric import exact_values, predict, test_points
from pinns.problems import Problem


def plot_history(
    results: Mapping[str, FitResult], *, x: str = "num_gradients", path: str | os.PathLike[str] | None = None
) -> Figure:
    """Loss and relative L2 error of one or several trainings, on logarithmic axes.

    Args:
      results: trainings by name.
      x: what they are drawn against: ``"num_gradients"``, ``"step"`` or ``"seconds"``.
      path: where to save it as PNG, if anywhere.

    Returns:
      The figure; as the last value of a notebook cell it is shown.

    Raises:
      ValueError: another ``x``.
    """
    labels = {"num_gradients": "gradient evaluations", "step": "steps", "seconds": "seconds of training"}
    if x not in labels:
        raise ValueError(f"x must be one of {tuple(labels)}, got {x!r}.")
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for name, result in results.items():
        diverged = result.stop_reason == "diverged"
        for axis, column in zip(axes, ("loss", "rel_l2"), strict=True):
            abscissa, ordinate = result.curve(x)[1], result.curve(column)[1]
            (line,) = axis.semilogy(abscissa, ordinate, label=name + " (diverged)" * diverged)
            if diverged:
                axis.plot(abscissa[-1:], ordinate[-1:], "x", color=line.get_color(), markersize=9, mew=2)
    for axis, title in zip(axes, ("loss", "relative L2 error"), strict=True):
        axis.set(xlabel=labels[x], title=title)
        axis.grid(alpha=0.3)
    axes[0].legend()
    return _finish(figure, path)


def plot_solution(
    problem: Problem, models: Mapping[str, Any], *, path: str | os.PathLike[str] | None = None
) -> Figure:
    """Predictions, the exact solution and the absolute error.

    In 1-D all networks share two axes; in 2-D each has a row of three maps.

    Args:
      problem: a problem in one or two dimensions with one output.
      models: networks by name.
      path: where to save it as PNG, if anywhere.

    Returns:
      The figure; as the last value of a notebook cell it is shown.

    Raises:
      ValueError: another dimension, or no exact solution.
    """
    dtype = jax.tree.leaves(nnx.state(next(iter(models.values())), nnx.Param))[0].dtype
    points = test_points(problem, dtype)
    exact = exact_values(problem, points)
    if problem.domain.dim not in (1, 2) or exact is None:
        raise ValueError("plot_solution needs a problem in one or two dimensions with an exact solution.")
    predictions = {name: np.asarray(predict(model, points)) for name, model in models.items()}
    draw = _draw_curves if problem.domain.dim == 1 else _draw_maps
    return _finish(draw(problem, np.asarray(points), np.asarray(exact), predictions), path)


def _draw_curves(problem: Problem, points: Any, exact: Any, predictions: Mapping[str, Any]) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    left.plot(points[:, 0], exact[:, 0], color="black", linewidth=3, alpha=0.35, label="exact")
    for name, prediction in predictions.items():
        left.plot(points[:, 0], prediction[:, 0], "--", label=name)
        right.semilogy(points[:, 0], np.abs(prediction - exact)[:, 0] + 1e-300, label=name)
    smallest = min(np.percentile(np.abs(p - exact), 2) for p in predictions.values())
    right.set_ylim(bottom=max(smallest, 1e-17))
    span = np.ptp(exact)
    left.set_ylim(exact.min() - 0.3 * span, exact.max() + 0.3 * span)  # a failed network may leave it
    left.set(xlabel="x", title="solution")
    right.set(xlabel="x", title="absolute error")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    left.legend()
    return figure


def _draw_maps(problem: Problem, points: Any, exact: Any, predictions: Mapping[str, Any]) -> Figure:
    side = round(len(points) ** 0.5)
    as_map = lambda values: values.reshape(side, side).T
    low, high = problem.domain.lower, problem.domain.upper
    extent = (low[0], high[0], low[1], high[1])
    figure, axes = plt.subplots(
        len(predictions), 3, figsize=(11, 3.4 * len(predictions)), layout="constrained", squeeze=False
    )
    for row, (name, prediction) in zip(axes, predictions.items(), strict=True):
        panels = {name: prediction, "exact": exact, f"|{name} − exact|": np.abs(prediction - exact)}
        for axis, (title, values) in zip(row, panels.items(), strict=True):
            is_error = title.startswith("|")
            limits = {} if is_error else {"vmin": exact.min(), "vmax": exact.max()}
            colors = "magma" if is_error else "RdBu_r"
            image = axis.imshow(as_map(values), origin="lower", extent=extent, cmap=colors, **limits)
            axis.set(title=title, xlabel="x", ylabel="y")
            figure.colorbar(image, ax=axis, shrink=0.85)
    return figure


def _finish(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    plt.close(figure)  # a notebook would otherwise show it twice
    if path is not None:
        figure.savefig(path, dpi=130)
    return figure
