"""Rows of a training's history: losses, errors, coefficients, and what the implicit steps did."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinns._evaluation import (
    errors,
    errors_by_output,
    evaluation_points,
    exact_values,
    output_names,
    predict,
)
from pinns._functional import Functional
from pinns._points import Loss, PointSource, fresh_key
from pinns._programs import Program
from pinns._train_step import StepRecord, TrainState, as_number
from pinns._unknowns import declared
from pinns._warnings import warn_not_predicted
from pinns.problems import Points, Problem

Row = dict[str, Any]


class Evaluator:
    """Turns a state into a row of the history.

    Args:
      problem: The problem.
      function: The network without its parameters.
      loss: ``loss(points, weights)``, a function of the parameters.
      source: Where points come from.
      key: Random key of the training.
      fresh: Whether the loss is measured on points never trained on, too.

    Attributes:
      has_exact: Whether errors can be measured.
      compile_seconds: Seconds of the first evaluation, most of them of tracing and compiling.
    """

    def __init__(
        self,
        problem: Problem,
        function: Functional,
        loss: Loss,
        source: PointSource,
        key: jax.Array,
        *,
        fresh: bool,
    ):
        self._fresh = fresh
        self.compile_seconds = 0.0
        points = evaluation_points(problem, source.dtype)
        exact, self._points = exact_values(problem, points), points
        self.has_exact = exact is not None
        outputs = () if exact is None else output_names(problem, exact.shape[1])
        names = tuple(declared(problem.unknowns()))

        def losses(params: optax.Params, points: Points, weights: Any) -> Row:
            loss_fn = loss(points, weights)
            return {"loss": loss_fn(params), "losses": loss_fn.losses(params)}

        def measures(params: optax.Params) -> Row:
            u = function(params)
            row: Row = {}
            if exact is not None:
                prediction = predict(lambda x: problem.predict(u, x), points)
                row["lost"] = ~jnp.isfinite(prediction).all(axis=1)
                row |= errors(prediction, exact)._asdict()
                if len(outputs) > 1:
                    row["rel_l2_by_output"] = errors_by_output(prediction, exact, outputs)
            if names:
                row["unknowns"] = u.unknowns
            row["finite"] = _is_finite(params)
            return row

        # A grid has no other points than its own.
        method = "sobol" if source.fixed else None
        self._draw = Program(lambda step: source.draw(fresh_key(key, step), method=method))
        self._losses, self._measures = Program(losses), Program(measures)

        def with_gradient(params: optax.Params, points: Points, weights: Any) -> dict[str, jax.Array]:
            loss_fn = loss(points, weights)
            gradients = {n: jax.grad(b)(params) for n, b in zip(loss_fn.names, loss_fn.blocks, strict=True)}
            return {name: _is_finite(gradient) for name, gradient in gradients.items()}

        self._with_gradient = Program(with_gradient)

    def without_gradient(self, state: TrainState) -> list[str]:
        """Names of the conditions whose gradient is not finite."""
        finite = self._with_gradient(state.params, state.points, state.weights)
        return [name for name, value in finite.items() if not value]

    def independent(self, state: TrainState, losses: dict[str, float]) -> list[str]:
        """Names of the conditions whose loss, finite and not zero, other parameters leave as it is."""
        other = jax.device_get(self._losses(_moved(state.params), state.points, state.weights)["losses"])
        same = [name for name, loss in losses.items() if loss == other[name].item() and loss != 0]
        return [name for name in same if np.isfinite(losses[name])]

    def row(self, state: TrainState, records: StepRecord | None, seconds: float) -> Row:
        """The row of a state; ``finite`` tells whether the loss and all parameters are."""
        began = time.perf_counter()
        trained = self._losses(state.params, state.points, state.weights)
        measured = self._measures(state.params)
        if self._fresh:
            fresh = self._losses(state.params, self._draw(state.step), state.weights)
            measured |= {"fresh_loss": fresh["loss"], "fresh_losses": fresh["losses"]}
        if state.weights:
            measured["weights"] = state.weights
        values = jax.device_get(trained | measured)
        lost = values.pop("lost", False)
        finite = bool(values.pop("finite")) and bool(np.isfinite(values["loss"]))
        if not self.compile_seconds:  # the first time it is compiled
            self.compile_seconds = time.perf_counter() - began
            if finite and np.any(lost):
                warn_not_predicted(np.asarray(self._points)[lost])
        row = {
            "step": int(state.step),
            "num_gradients": as_number(state.num_gradients),
            "seconds": seconds,
            **jax.tree.map(lambda x: np.asarray(x).tolist(), values),
            "finite": finite,
        }
        return row if records is None else row | _of_steps(records)


@jax.jit
def _moved(params: optax.Params) -> optax.Params:
    """Other parameters, by more than bfloat16 rounds; compiled as one, not shape by shape."""
    return jax.tree.map(lambda p: 1.1 * p + 0.1, params)


def _is_finite(tree: Any) -> jax.Array:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def _of_steps(records: StepRecord) -> Row:
    """What the implicit steps among the last ones did."""
    implicit = np.asarray(records.implicit)
    if not implicit.any():
        return {}
    last = np.flatnonzero(implicit)[-1]
    taken = lambda field: np.asarray(field)[implicit]
    return {
        "learning_rate": float(records.learning_rate[last]),
        "residual": float(records.residual[last]),
        "num_inner_steps": float(np.mean(taken(records.num_inner_steps))),
        "accepted": float(np.mean(taken(records.accepted))),
        "at_bound": float(np.mean(taken(records.at_bound))),
        "at_floor": float(np.mean(taken(records.at_floor))),
    }


def summary(row: Row) -> str:
    """One line for the progress bar."""
    parts = [f"loss {row['loss']:.2e}"]
    if "fresh_loss" in row:
        parts.append(f"fresh {row['fresh_loss']:.2e}")
    if "rel_l2" in row:
        parts.append(f"error {row['rel_l2']:.2e}")
    if "learning_rate" in row:
        parts.append(f"α {row['learning_rate']:.2g}")
        if row["num_inner_steps"] > 1:  # of a single one the residual says nothing
            parts.append(f"{row['num_inner_steps']:.0f} inner steps, residual {row['residual']:.1e}")
        if row["at_floor"] == 1:
            parts.append("nothing left to gain in this precision")
        elif row["at_bound"] == 1:
            parts.append("α at its bound")
    return ", ".join(parts)
