"""Figures of a training and of its solution."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pinns._evaluation import axis_names, exact_values, output_names, predict
from pinns._functional import params_dtype
from pinns._panels import Solutions, draw_curves, draw_maps
from pinns._regions import Domain
from pinns._result import FitResult
from pinns._slabs_result import SlabsResult
from pinns.problems import Problem

LABELS = {"num_gradients": "gradient evaluations", "step": "steps", "seconds": "seconds of training"}


def plot_history(
    results: Mapping[str, FitResult | SlabsResult],
    *,
    x: str = "num_gradients",
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Loss and relative L2 error of one or several trainings, on logarithmic axes.

    The loss on points that are never trained on is dashed: where it parts from the loss, a network fits its
    points and not the equation.

    Args:
      results: The trainings by name, in slabs or not.
      x: What they are drawn against: ``"num_gradients"``, ``"step"`` or ``"seconds"``.
      path: Where to save it as PNG, if anywhere.

    Returns:
      The figure; as the last value of a notebook cell it is shown. Without any exact solution it has no
      panel of errors.

    Raises:
      ValueError: Another ``x``.
      TypeError: Trainings without names.
    """
    _check_by_name(results)
    if x not in LABELS:
        raise ValueError(f"x must be one of {tuple(LABELS)}, got {x!r}.")
    rows = [row for result in results.values() for row in result.history]
    columns = {"loss": "loss"}
    if any("fresh_loss" in row for row in rows):
        columns["loss"] += " (dashed: on fresh points)"
    if not rows or any("rel_l2" in row for row in rows):
        columns["rel_l2"] = "relative L2 error"
    figure, axes = plt.subplots(
        1, len(columns), figsize=(5 * len(columns), 3.8), layout="constrained", squeeze=False
    )
    for axis, (column, title) in zip(axes[0], columns.items(), strict=True):
        for name, result in results.items():
            if any(column in row for row in result.history):
                _draw_history(axis, name, result, x, column)
        axis.set(xlabel=LABELS[x], title=title)
        axis.grid(alpha=0.3)
    if results:
        axes[0, 0].legend()
    return _finish(figure, path)


def _check_by_name(drawn: Any) -> None:
    if not isinstance(drawn, Mapping):
        raise TypeError(f"what is drawn needs a name: {{'ours': ...}}, got a {type(drawn).__name__}.")


def _draw_history(axis: Axes, name: str, result: FitResult | SlabsResult, x: str, column: str) -> None:
    diverged = result.stop_reason == "diverged"
    abscissa, ordinate = result.curve(x)[1], result.curve(column)[1]
    (line,) = axis.semilogy(abscissa, ordinate, label=name + " (diverged)" * diverged)
    color = line.get_color()
    if column == "loss" and any("fresh_loss" in row for row in result.history):
        axis.semilogy(abscissa, result.curve("fresh_loss")[1], "--", color=color, linewidth=1)
    if diverged:
        axis.plot(abscissa[-1:], ordinate[-1:], "x", color=color, markersize=9, mew=2)


def plot_solution(
    problem: Problem,
    models: Mapping[str, Any],
    *,
    axes: tuple[int, int] = (0, 1),
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Predictions, and with an exact solution this and the absolute error.

    In one dimension all networks share the axes of an output; beyond, every output of every network has a
    row of maps. What lies outside of the domain stays blank. Beyond two dimensions a plane through the
    middle of the domain is drawn.

    Args:
      problem: The problem.
      models: By name: a network in any form that :func:`pinns.functional` takes, a :class:`FitResult`, or any
        function of one point. Of a problem with unknowns or scaling give the result, which holds all of it.
      axes: The coordinates to the right and up, beyond one dimension.
      path: Where to save it as PNG, if anywhere.

    Returns:
      The figure; as the last value of a notebook cell it is shown.

    Raises:
      ValueError: No models, axes that the domain does not have, a plane that misses the domain, or networks
        of different numbers of outputs.
    """
    domain = problem.domain
    _check_by_name(models)
    if not models:
        raise ValueError("plot_solution needs a model at least.")
    drawn = (0,) if domain.dim == 1 else tuple(axes)
    if len(set(drawn)) != min(2, domain.dim) or not all(0 <= axis < domain.dim for axis in drawn):
        raise ValueError(f"axes must be two different ones of 0 to {domain.dim - 1}, got {axes}.")
    points, inside = _plane(domain, drawn)
    functions = {name: _function(problem, model) for name, model in models.items()}
    values_of = lambda function, dtype: _filled(function(jnp.asarray(points[inside], dtype)), inside)
    predictions = {name: values_of(*function) for name, function in functions.items()}
    dtype = jnp.result_type(*(dtype for _, dtype in functions.values()))
    known = exact_values(problem, jnp.asarray(points[inside], dtype))
    exact = None if known is None else _filled(known, inside)
    widths = {values.shape[1] for values in predictions.values()}
    if exact is not None:
        widths.add(exact.shape[1])
    if len(widths) > 1:
        raise ValueError(
            f"networks and exact solution have different numbers of outputs: {sorted(widths)}; "
            "problem.predict(u, x) says what of a network is compared."
        )
    solutions = Solutions(exact, predictions, output_names(problem, widths.pop()))
    labels = axis_names(problem)
    if domain.dim == 1:
        return _finish(draw_curves(solutions, points[:, 0], *labels), path)
    extent = [corner[axis] for axis in drawn for corner in (domain.lower, domain.upper)]
    at = [f"{labels[axis]} = {points[0, axis]:.3g}" for axis in range(domain.dim) if axis not in drawn]
    figure = draw_maps(solutions, extent, [labels[axis] for axis in drawn], ", ".join(at))
    return _finish(figure, path)


def _plane(domain: Domain, drawn: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A regular grid along some axes, in the middle of the others, and which of its points lie inside.

    Of two axes the first varies fastest.
    """
    number = 1001 if len(drawn) == 1 else 101
    lines = [np.linspace(domain.lower[axis], domain.upper[axis], number) for axis in drawn]
    mesh = np.meshgrid(*lines, indexing="xy")
    points = np.tile((np.array(domain.lower) + np.array(domain.upper)) / 2, (mesh[0].size, 1))
    for axis, values in zip(drawn, mesh, strict=True):
        points[:, axis] = values.ravel()
    inside = np.asarray(jax.jit(jax.vmap(domain.contains))(jnp.asarray(points)))
    if not inside.any():
        raise ValueError(f"no point of the plane through the middle lies in {domain}; choose other axes.")
    return points, inside


def _function(problem: Problem, model: Any) -> tuple[Callable[[jax.Array], jax.Array], Any]:
    """What predicts at many points, and the dtype in which it does."""
    if isinstance(model, SlabsResult):
        return lambda points: model.at(points).reshape(len(points), -1), params_dtype(model.results[0].params)
    if isinstance(model, FitResult):
        u, params = model.solution, model.params
        each = lambda x: problem.predict(u, x)
    else:
        try:
            function, params = problem.functional(model)
            u = function(params)
        except TypeError:
            if not callable(model):
                raise
            u, params = model, {"default": jnp.zeros(())}  # a function has no parameters
        each = lambda x: problem.predict(u, x)
    at_all = jax.jit(lambda points: predict(each, points).reshape(len(points), -1))
    return at_all, params_dtype(params)


def _filled(values: jax.Array, inside: np.ndarray) -> np.ndarray:
    """The values of the points inside among all, NaN where there are none."""
    filled = np.full((len(inside), values.shape[1]), np.nan)
    filled[inside] = values
    return filled


def _finish(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    plt.close(figure)  # a notebook would otherwise show it twice
    if path is not None:
        figure.savefig(path, dpi=130)
    return figure
