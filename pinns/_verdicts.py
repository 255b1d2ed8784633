"""What a training says of itself: warnings with a way out, and why it ended."""

import math
from collections.abc import Callable
from typing import Any

from pinns._options import Options
from pinns._sampling import AdaptiveSampling
from pinns._slabs_times import evolves
from pinns._warnings import warn_at_caller
from pinns.problems import Problem

Row = dict[str, Any]
_PARTED = 10.0
_SOLVED = 1e-13  # of the first loss, or of 1: what is left where the residuals are met to 3e-7
_UNSOLVED = 0.1  # of the first loss: what no solution leaves
_REJECTED = 20  # steps in a row that are no accident

STOP_REASONS = {
    "running": "it has not ended yet",
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
    if not any(math.isnan(row["losses"][name]) for name in conditions):
        return (
            f"the loss of condition {names} is not finite at the start: it is infinite, as where squares of "
            "residuals leave the range of their type (3e38 in float32). Measure coordinates or outputs in "
            "units in which the equation is of order one, or train a float64 network with jax_enable_x64. Or "
            "a residual divides by zero: guard it by jnp.where, or leave such points out of the region."
        )
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
      problem: What is solved.
      options: When to end, and how points are drawn.
      num_steps: Steps to make.
      step: Steps that are made.
      anew: Whether it begins with an untrained network, whose loss is one to compare with.
    """

    def __init__(self, problem: Problem, options: Options, num_steps: int, step: int, *, anew: bool = True):
        self._problem, self._stop, self._num_steps, self._anew = problem, options.stop, num_steps, anew
        self._adaptive = isinstance(options.sampling, AdaptiveSampling)
        self._said: set[str] = set()
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
        # Not of rounding, nor of a moment in which the training has just met new points.
        lately = history[-2:] if self.reason(history) is None else history[-1:]
        parts = lambda r: r.get("fresh_loss", 0.0) > max(_PARTED * r["loss"], _SOLVED * min(first, 1.0))
        if fresh is not None and row["step"] > 0 and all(parts(r) for r in lately if r["step"] > 0):
            self._once(
                "fresh",
                f"at step {row['step']} the loss is {loss:.1e} on the points that are trained on and "
                f"{fresh:.1e} on fresh ones: the solution is not as good as the loss. Take more points"
                + (
                    "."
                    if self._adaptive
                    else ", draw them anew (resample_every) or where the residual is large "
                    "(sampling=AdaptiveSampling())."
                )
                + (
                    " Or it leaves its initial values at once, for another solution of the equation: ask "
                    "result.error_estimate(), and train in slabs of time (fit_in_slabs)."
                )
                * evolves(self._problem),
            )
        if self._anew and row.get("at_floor", 0.0) == 1.0 and loss > _UNSOLVED * first:
            self._once(
                "stationary",
                f"at step {row['step']} nothing is left to gain at any learning rate, but the loss is still "
                f"{loss:.1e}, from {first:.1e} at the start. Either the network is stuck at a stationary "
                "point, saturated most often: begin anew with another seed, more points or a smaller "
                "initial_learning_rate; or the conditions contradict each other, and no network meets them; "
                "or the data are little but noise.",
            )
        slow = len(history) > 1 and loss > 0.5 * history[-2]["loss"]
        at_bound = row.get("at_bound", 0.0) == 1.0 and row["accepted"] > 0
        if slow and at_bound and row.get("at_floor", 0.0) == 0.0:
            self._once(
                "bound",
                f"at step {row['step']} the learning rate stands at the bound {row['learning_rate']:.1e} of "
                "its controller, which may hold the training back: raise max_learning_rate, or lower "
                "min_learning_rate if it is that one, or choose a metric (metric='jacobi') if parameters are "
                "of different size.",
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
            warn_at_caller(message)

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
    # Of a run that measured it from some step on, the loss of all steps.
    column = "fresh_loss" if all("fresh_loss" in row for row in history) else "loss"
    losses = [row[column] for row in history]
    best, since = losses[0], 0
    for loss in losses[1:]:
        since = 0 if loss < 0.99 * best else since + 1
        best = loss if loss < 0.99 * best else best
    return since
