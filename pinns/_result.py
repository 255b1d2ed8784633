"""What a training returns."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from isgd_optax import LeastSquares, diagnostics
from pinns._evaluation import as_point, as_points, predict
from pinns._functional import params_dtype
from pinns._history import summary
from pinns._identity import MEASURED
from pinns._inputs import check_key
from pinns._programs import Program
from pinns._uncertainty import covariance, error_estimate, estimates, intervals
from pinns._verdicts import STOP_REASONS
from pinns.problems import Problem


def curve(history: list[dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and a column of a history, see :meth:`FitResult.curve`."""
    column, _, part = name.partition(".")
    values = [row.get(column) for row in history]
    if part:
        values = [value and value.get(part) for value in values]
    if all(value is None for value in values):
        of = [row if not part else row.get(column) for row in history]
        known = sorted({key for entries in of if isinstance(entries, dict) for key in entries})
        known = known or sorted({key for row in history for key in row})
        raise KeyError(f"no row has an entry {name!r}; there are {', '.join(known)}.")
    if parts := next((list(value) for value in values if isinstance(value, dict)), None):
        raise KeyError(f"{name!r} has an entry for each of {', '.join(parts)}: ask for '{name}.{parts[0]}'.")
    shape = next((np.shape(value) for value in values if value is not None), ())
    missing = np.full(shape, np.nan)
    return (
        np.array([row["step"] for row in history]),
        np.array([missing if value is None else value for value in values], dtype=float),
    )


@dataclasses.dataclass(frozen=True, repr=False)
class FitResult:
    """What :func:`pinns.fit` returns. Called, it is the solution at one point.

    Attributes:
      model: The trained network, in the form in which it was given.
      params: The trained parameters, see :meth:`pinns.Problem.functional`; after a divergence the last good
        ones.
      history: A row per evaluation: ``step``; ``loss`` and ``losses`` (by condition, without a weight that is
        a number, with one that is a function of the point) on the points that are trained on; ``fresh_loss``
        and ``fresh_losses``, the same on points that never are, or at given points, of which there are no
        others; with an exact solution ``rel_l2``, ``max_error`` and, of several outputs,
        ``rel_l2_by_output``; ``unknowns`` and ``weights`` by name, where there are any; ``num_gradients``;
        ``seconds`` (of training alone). For the
        steps since the last row, of the implicit step: the last ``learning_rate`` and ``residual``, the mean
        ``num_inner_steps``, and the fractions of steps that were ``accepted``, whose α stood ``at_bound`` of
        its controller, and that found nothing left to gain (``at_floor``). Beside these what
        ``on_evaluation`` has written.
      stop_reason: ``"num_steps"``, ``"target"``, ``"fresh_loss"``, ``"time_limit"``, ``"stagnation"``,
        ``"diverged"``, ``"not_finite_at_start"``, ``"interrupted"`` or ``"on_evaluation"``; ``"running"``
        of a result that ``on_evaluation`` is given.
      num_steps: Steps that led to ``params``.
      compile_seconds: Seconds spent in tracing and compiling.
      train_seconds: Seconds spent in training steps, without compilation and evaluation.
      problem: The problem that was solved.
      loss: The loss at the points and weights of the end, a function of ``params``.
    """

    model: Any
    params: optax.Params
    history: list[dict[str, Any]] = dataclasses.field(metadata=MEASURED)
    stop_reason: str = dataclasses.field(metadata=MEASURED)
    num_steps: int
    compile_seconds: float = dataclasses.field(metadata=MEASURED)
    train_seconds: float = dataclasses.field(metadata=MEASURED)
    problem: Problem
    loss: LeastSquares

    def __repr__(self) -> str:
        """One line; the fields hold thousands of numbers, which a notebook would print below its cell."""
        return f"FitResult({self.stop_reason} after {self.num_steps} steps: {summary(self.final)})"

    def __call__(self, x: jax.Array) -> jax.Array:
        """The solution at one point, shape (d,): what :meth:`pinns.Problem.predict` makes of the network.

        Raises:
          ValueError: Another shape than that of one point.
        """
        return self.problem.predict(self.solution, as_point(x, self.problem.domain.dim))

    def at(self, points: jax.Array) -> jax.Array:
        """The solution at many points of shape (N, d), shape (N, m).

        Raises:
          ValueError: Points of another shape.
        """
        points = as_points(points, self.problem.domain.dim)
        return Program(lambda points: predict(self, points))(points)

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and a column of the history, as arrays; missing entries are NaN.

        Args:
          name: The column; of one that is kept by name both names with a dot, e.g. ``"losses.pde"`` or
            ``"unknowns.k"``.

        Raises:
          KeyError: No row has such an entry.
        """
        return curve(self.history, name)

    @property
    def final(self) -> dict[str, Any]:
        """The last row of the history."""
        return self.history[-1]

    @property
    def stop_message(self) -> str:
        """Why the training ended, in words."""
        return STOP_REASONS[self.stop_reason]

    @functools.cached_property
    def unknowns(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Value and standard error of every unknown coefficient.

        The errors are those that the noise of conditions declared ``noisy`` causes, or, where none is, of
        all residuals, of each condition with a variance of its own, see
        :func:`isgd_optax.diagnostics.covariance`; infinite for a coefficient that the
        residuals do not determine, or whose determining conditions have too few residuals to tell their
        variance, and in a slab of time without any of the problem's noisy measurements;
        NaN in float32, which is not enough, and where a condition has another ``loss`` than squares.
        """
        of_squares = all(block.loss is None for block in self.loss.blocks)
        known = self.problem.unknowns() and of_squares and params_dtype(self.params) == jnp.float64
        found = self._covariance if known else None
        return estimates(self.problem, self.params, found, otherwise=jnp.inf if known else jnp.nan)

    def intervals(
        self, level: float = 0.95, *, noise_std: diagnostics.NoiseStd | None = None
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Lower and upper ends of an interval for every unknown coefficient.

        Args:
          level: The probability that an interval covers the true value.
          noise_std: The standard deviation of the noise in the residuals of conditions declared ``noisy``,
            where it is known: a number, or a number or one for each point by condition (1 where residuals
            are divided by it). None estimates it from the residuals.

        Raises:
          TypeError: A condition has another ``loss`` than squares.
          ValueError: Parameters of less than float64, or a level that is not between 0 and 1.
        """
        if params_dtype(self.params) != jnp.float64:
            raise ValueError("intervals need parameters of float64: set jax_enable_x64 and train in float64.")
        if not self.problem.unknowns():
            return {}
        given = noise_std is not None
        found = covariance(self.problem, self.loss, self.params, noise_std) if given else self._covariance
        return intervals(self.problem, self.params, found, level)

    @functools.cached_property
    def _covariance(self) -> diagnostics.Covariance | None:
        return covariance(self.problem, self.loss, self.params)

    def error_estimate(self, key: jax.Array | None = None) -> float:
        """An estimate of the relative L2 error, which needs no exact solution.

        It is the change of the solution that a Gauss–Newton step on new points asks for, twice as many
        residuals as parameters, see :func:`isgd_optax.diagnostics.error_estimate`. What the network cannot
        represent, or the conditions do not determine, escapes it. It takes a singular value decomposition of
        the Jacobian there.

        Args:
          key: A JAX random key for the new points; None takes one that no training uses.

        Raises:
          TypeError: Parameters of half precision, or ``key`` is no random key.
          ValueError: All points are given: there are no new ones.
        """
        if key is not None:
            check_key(key)
        return error_estimate(self.problem, self.model, self.params, key)

    @functools.cached_property
    def solution(self) -> Any:
        """What residuals see as ``u``: the trained network with the unknowns that were found.

        The same as the result called, unless the problem has a ``predict`` of its own.
        """
        with jax.ensure_compile_time_eval():  # kept beyond a trace in which it may be asked for first
            function, _ = self.problem.functional(self.model)
            return function(self.params)
