"""What a training says of itself: warnings with a way out, and why it ended."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pinns._options import Stop
from pinns.problems import Points, Problem

Row = dict[str, Any]
_PARTED = 10.0
_LARGE = 100.0
_UNSOLVED = 0.1  # of the first loss: what no solution leaves
_REJECTED = 20  # steps in a row that are no accident

STOP_REASONS = {
    "num_steps": "all steps are made",
    "target": "the relative L2 error reached its target",
    "fresh_loss": "the loss on fresh points reached its target",
    "time_limit": "the time is used up",
    "stagnation": "the loss has not fallen by a hundredth for as many evaluations as patience allows",
    "diverged": "the loss or a parameter is not finite; the last good parameters are kept",
    "not_finite_at_start": "the loss is not finite at the start",
    "interrupted": "interrupted",
    "on_evaluation": "on_evaluation asked for the end",
}


class FitWarning(UserWarning):
    """Something that a training noticed and that its loss does not tell."""


def warn_few_residuals(num_residuals: int, num_parameters: int) -> None:
    """Warns if the residuals can be interpolated."""
    if num_residuals < num_parameters:
        warn_at_caller(
            f"the loss takes {num_residuals} residuals and the model has {num_parameters} parameters: it can "
            "make the loss as small as it likes and be wrong between the points. Take more points "
            "(sampling=Sampling(num_points='auto') or the problem's numbers) or a smaller network, and watch "
            "fresh_loss."
        )


def warn_coordinates(problem: Problem) -> None:
    """Warns if networks that take the coordinates as they are saturate, or hardly see them."""
    largest = max(abs(corner) for corner in (*problem.domain.lower, *problem.domain.upper))
    if largest > _LARGE and not problem.scales_inputs:
        warn_at_caller(
            f"coordinates of the domain reach {largest:g}, at which tanh and its like saturate: train "
            "scaled(problem, model, key) instead of the problem, or give the network an embedding that maps "
            "them to [-1, 1]."
        )
    width = min(np.subtract(problem.domain.upper, problem.domain.lower))
    if width < 1 / _LARGE and not problem.scales_inputs:
        warn_at_caller(
            f"the domain is only {width:g} wide along a coordinate, over which a network hardly changes: "
            "train scaled(problem, model, key) instead of the problem, choose another unit, or give the "
            "network an embedding that maps the coordinate to [-1, 1]."
        )


def warn_outside(problem: Problem, points: Points) -> None:
    """Warns of given points that lie far outside of the domain: of another unit, most often."""
    lower, upper = np.asarray(problem.domain.lower), np.asarray(problem.domain.upper)
    for name, given in points.items():
        x = given.get("x") if isinstance(given, Mapping) else given
        if x is None or x.ndim < 2 or x.shape[-1] != lower.size or not x.is_fully_addressable:
            continue
        x = np.asarray(x).reshape(-1, lower.size)
        low, high = x.min(axis=0), x.max(axis=0)
        far = np.flatnonzero((low < lower - 0.5 * (upper - lower)) | (high > upper + 0.5 * (upper - lower)))
        if far.size:
            i = far[0]
            warn_at_caller(
                f"points of condition {name!r} reach from {low[i]:g} to {high[i]:g} along coordinate {i}, "
                f"the domain from {lower[i]:g} to {upper[i]:g}: are they in the same unit?"
            )


def warn_independent(conditions: list[str]) -> None:
    """Warns of residuals that no parameter changes."""
    if conditions:
        names = ", ".join(repr(name) for name in conditions)
        warn_at_caller(
            f"the residual of condition {names} does not depend on the network's parameters: no training can "
            "lower it. Does it call u? Has the activation the derivatives that it takes (relu has no "
            "second)? Is the domain tiny in its unit (scaled)?"
        )


def warn_more_steps(step: int, num_steps: int) -> None:
    """Warns if a run on disk is further than it is asked for."""
    if step > num_steps:
        warn_at_caller(
            f"the run in checkpoint_dir has made {step} steps, more than num_steps={num_steps}: it is "
            "returned as it is. For a shorter run choose another folder."
        )


def _no_gradient(conditions: list[str]) -> str:
    names = ", ".join(repr(name) for name in conditions)
    return (
        f"the gradient of condition {names} is not finite, though its loss is: most often a root, a norm or "
        "a quotient at zero, even where jnp.where does not choose it. Give it a safe argument inside of "
        "jnp.where."
    )


def not_finite(row: Row) -> str:
    """Names what is not finite at the start."""
    conditions = [name for name, value in row["losses"].items() if not math.isfinite(value)]
    if not conditions:
        return "a parameter of the model is not finite"
    names = ", ".join(repr(name) for name in conditions)
    return (
        f"the loss of condition {names} is not finite at the start. The untrained network may be outside of "
        "what the equation allows (a root or logarithm of a negative number, a division by zero): bound its "
        "output, e.g. by jax.nn.softplus, or guard the residual by jnp.where with a safe argument. Or a "
        "coordinate is (1/x at x = 0): leave such points out of the region. Or an Interpolated is asked "
        "outside of its table, where it is NaN."
    )


class Watch:
    """Looks at every row of the history, warns once of each thing, and says when to stop.

    Args:
      stop: When to end.
      num_steps: Steps to make.
      step: Steps that are made.
      adaptive: Whether points are drawn where the residual is large, which is then no advice.
    """

    def __init__(self, stop: Stop, num_steps: int, step: int, *, adaptive: bool = False):
        self._stop, self._num_steps, self._adaptive = stop, num_steps, adaptive
        self._said: set[str] = set()
        self._loss = 0.0  # at the evaluation before: none has been fast yet
        self._accepted_at = step  # the last step that is known to have been accepted

    def warn(self, history: list[Row], without_gradient: Callable[[], list[str]]) -> None:
        """Warns of what the newest row shows for the first time.

        Args:
          history: All rows.
          without_gradient: Gives the names of the conditions whose gradient is not finite.
        """
        row, first = history[-1], history[0]["loss"]
        rejections = self._rejections(row, without_gradient)
        if rejections:
            self._once("rejected", rejections)
        loss, fresh = row["loss"], row.get("fresh_loss")
        if fresh is not None and row["step"] > 0 and fresh > _PARTED * loss:
            self._once(
                "fresh",
                f"at step {row['step']} the loss is {loss:.1e} on the points that are trained on and "
                f"{fresh:.1e} on fresh ones: the solution is not as good as the loss. Take more points"
                + (
                    "."
                    if self._adaptive
                    else ", draw them anew (resample_every) or where the residual is large "
                    "(sampling=AdaptiveSampling())."
                ),
            )
        if row.get("at_floor", 0.0) == 1.0 and loss > _UNSOLVED * first:
            self._once(
                "stationary",
                f"at step {row['step']} nothing is left to gain at any learning rate, but the loss is still "
                f"{loss:.1e}, from {first:.1e} at the start. Either the network is stuck at a stationary "
                "point, saturated most often: begin anew with another seed, more points or a smaller "
                "initial_learning_rate; or the conditions contradict each other, and no network meets them.",
            )
        slow, self._loss = loss > 0.5 * self._loss, loss
        at_bound = row.get("at_bound", 0.0) == 1.0 and row["accepted"] > 0
        if slow and at_bound and row.get("at_floor", 0.0) == 0.0:
            self._once(
                "bound",
                f"at step {row['step']} the learning rate stands at the bound {row['learning_rate']:.1e} of "
                "its controller, which may hold the training back: raise max_learning_rate, or choose a "
                "metric (metric='jacobi') if parameters are of different size.",
            )

    def diverged(self, history: list[Row], without_gradient: Callable[[], list[str]]) -> None:
        """Warns of a gradient that is not finite, unless the loss had grown: then steps were too long."""
        grown = history[-1]["loss"] > _PARTED * history[0]["loss"]
        conditions = [] if grown else without_gradient()
        if conditions:
            warn_at_caller(_no_gradient(conditions))

    def _rejections(self, row: Row, without_gradient: Callable[[], list[str]]) -> str | None:
        """What there is to say if steps are rejected again and again."""
        rejected = row.get("accepted") == 0.0 and row.get("at_floor", 0.0) < 1.0
        self._accepted_at = self._accepted_at if rejected else row["step"]
        if row["step"] - self._accepted_at < _REJECTED or "rejected" in self._said:
            return None
        conditions = without_gradient()
        cause = (
            f"at α = {row['learning_rate']:.1e} the inner solver does not lower the proximal objective. "
            "Lower the learning rate, let a controller choose it (largest_trusted()), or give the inner "
            "solver more steps (max_inner_steps) or another rate."
        )
        return (
            f"none of the steps {self._accepted_at + 1} to {row['step']} was accepted: "
            f"{_no_gradient(conditions) if conditions else cause}"
        )

    def say(self, message: str) -> None:
        """Warns of something else."""
        warn_at_caller(message)

    def _once(self, kind: str, message: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            warn_at_caller(message, stacklevel=5)

    def reason(self, history: list[Row]) -> str | None:
        """The reason to stop after the last row, or None."""
        row, stop = history[-1], self._stop
        if stop.rel_l2 is not None and row["rel_l2"] <= stop.rel_l2:
            return "target"
        if stop.fresh_loss is not None and row["fresh_loss"] <= stop.fresh_loss:
            return "fresh_loss"
        if row["step"] >= self._num_steps:
            return "num_steps"
        if stop.seconds is not None and row["seconds"] >= stop.seconds:
            return "time_limit"
        if stop.patience is not None and _evaluations_without_progress(history) >= stop.patience:
            return "stagnation"
        return None


def _evaluations_without_progress(history: list[Row]) -> int:
    """Rows since the best loss last fell by a hundredth."""
    losses = [row.get("fresh_loss", row["loss"]) for row in history]
    best, since = losses[0], 0
    for loss in losses[1:]:
        since = 0 if loss < 0.99 * best else since + 1
        best = loss if loss < 0.99 * best else best
    return since


def warn_at_caller(message: str, stacklevel: int = 4) -> None:
    """Warns at the line that called fit."""
    warnings.warn(message, FitWarning, stacklevel=stacklevel)
