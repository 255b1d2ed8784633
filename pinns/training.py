"""Training of a network on a problem, in compiled chunks."""

import bisect
import contextlib
import dataclasses
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from tqdm import tqdm

from pinns._chunk import Sampling, StepRecord, TrainState, make_chunk, start
from pinns._threads import limited_blas_threads
from pinns.checkpoint import Checkpoints
from pinns.metric import errors, exact_values, predict, test_points
from pinns.problems import Problem


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What :func:`fit` returns.

    Attributes:
      model: the trained network.
      params: its parameters; after a divergence the last good ones.
      history: a row per evaluation: ``step``, ``loss``, ``losses`` (unweighted, by condition),
        ``rel_l2``, ``max_error``, ``num_gradients``, ``seconds`` (of training alone) and, for the
        steps since the last row, of the implicit step: the last ``learning_rate`` and ``residual``,
        the mean ``num_inner_steps``, and the fractions of steps that were ``accepted``, whose α stood
        ``at_bound`` of its controller, and that found nothing left to gain (``at_floor``).
      stop_reason: ``"num_steps"``, ``"target"``, ``"time_limit"``, ``"diverged"`` or ``"interrupted"``.
      num_steps: steps that led to ``params``.
      compile_seconds: time spent tracing and compiling.
      train_seconds: time spent in training steps, without compilation and evaluation.
    """

    model: nnx.Module
    params: Any
    history: list[dict[str, Any]]
    stop_reason: str
    num_steps: int
    compile_seconds: float
    train_seconds: float

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and a column of the history, as arrays; missing entries are NaN."""
        values = [row.get(name) for row in self.history]
        return (
            np.array([row["step"] for row in self.history]),
            np.array([np.nan if value is None else value for value in values], dtype=float),
        )

    @property
    def final(self) -> dict[str, Any]:
        """The last row of the history."""
        return self.history[-1]


def fit(
    problem: Problem,
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    *,
    num_steps: int,
    key: jax.Array,
    sampling: str = "uniform",
    batch_size: int | Mapping[str, int] | None = None,
    resample_every: int | None = None,
    evaluate_every: int | Sequence[int] | None = None,
    target: float | None = None,
    time_limit: float | None = None,
    progress: bool = True,
    description: str = "",
    checkpoint_dir: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 10.0,
    identity: Mapping[str, Any] | None = None,
    on_evaluation: Callable[[list[dict[str, Any]]], None] | None = None,
) -> FitResult:
    """Trains ``model`` on ``problem``.

    Steps run in compiled chunks, ``evaluate_every`` steps long; between two of them the error is measured,
    progress shown and, if wanted, a checkpoint written. Ctrl-C ends after the chunk that runs, saves,
    and returns what there is; pressed twice it interrupts at once.

    Args:
      problem: what to solve.
      model: a network, left as it is; its parameters' dtype is that of the whole computation.
      optimizer: any optax optimiser; it is given ``value``, ``grad`` and ``value_fn``.
      num_steps: updates to make; of an implicit step, outer ones.
      key: a JAX random key, for points and mini-batches.
      sampling: ``"uniform"`` (the paper's), ``"sobol"`` or ``"grid"``, see :func:`unit_points`.
      batch_size: points per step of every condition that has more, or sizes by condition. Points
        are shuffled each epoch; an incomplete last batch is left out.
      resample_every: draw fresh points every so many steps; None keeps the first ones.
      evaluate_every: steps per chunk; by default a hundredth of ``num_steps``. Or the step numbers at
        which chunks end, for steps of uneven cost; every chunk length is compiled once.
      target: stop when the relative L2 error is at most this.
      time_limit: stop when training has taken this many seconds, without compilation.
      progress: show a progress bar.
      description: what the progress bar is called.
      checkpoint_dir: where checkpoints go; a run that left some there is continued bit for bit.
      checkpoint_seconds: least time between two checkpoints.
      identity: what else tells this run from another, e.g. the optimiser's settings; JSON values.
        A ``checkpoint_dir`` of a run that differs in it, in the problem, the network's shapes, the
        key or the sampling is refused.
      on_evaluation: called with the history after every chunk, e.g. to log it.

    Returns:
      A :class:`FitResult`.

    Raises:
      ValueError: a count or size out of range, a ``target`` for a problem without exact solution, or
        a ``checkpoint_dir`` that holds another run.

    Examples:
      >>> import jax, optax
      >>> from flax import nnx
      >>> from pinns import MLP, SingularlyPerturbedODE, fit
      >>> from isgd_optax import isgd_adam
      >>> result = fit(
      ...     SingularlyPerturbedODE(epsilon=2.0, num_points=50),
      ...     MLP(1, [16, 16], 1, rngs=nnx.Rngs(0)),
      ...     isgd_adam(0.5, num_implicit_steps=20, num_inner_steps=10),
      ...     num_steps=40,
      ...     key=jax.random.key(0),
      ...     progress=False,
      ... )
      >>> result.stop_reason, result.final["num_gradients"]
      ('num_steps', 240.0)
    """
    params = nnx.state(model, nnx.Param)
    dtype = jnp.result_type(*(leaf.dtype for leaf in jax.tree.leaves(params)))
    _check_positive(num_steps=num_steps, resample_every=resample_every)
    ends = _chunk_ends(num_steps, evaluate_every)
    optimizer = optax.with_extra_args_support(optimizer)
    plan = Sampling(sampling, _batch_sizes(problem, batch_size), resample_every)
    evaluator = _Evaluator(problem, model, dtype, target)
    described = {
        "problem": repr(problem),
        "model": str(jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), jax.tree.leaves(params))),
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "sampling": list(plan),
        **(identity or {}),
    }
    checkpoints = Checkpoints(checkpoint_dir, described, checkpoint_seconds) if checkpoint_dir else None
    state = start(problem, params, optimizer, plan, key, dtype)
    history: list[dict[str, Any]] = []
    if checkpoints and (restored := checkpoints.restore(state)):
        state, history = restored
    clock = _Clock(history[-1]["seconds"] if history else 0.0)
    runner = _Runner(make_chunk(problem, model, optimizer, plan, key), clock)
    if not history:
        history.append(evaluator.row(state, None, clock))

    good, reason = state, _reason(history[-1], num_steps, target, time_limit)
    with (
        limited_blas_threads(),
        _Interrupt() as interrupt,
        _bar(None if time_limit else num_steps, state, description, progress) as bar,
    ):
        while reason is None:
            step = int(good.step)
            length = _next_end(ends, num_steps, step) - step
            state, records = runner.run(jax.tree.map(jnp.copy, good), length)
            row = evaluator.row(state, records, clock)
            if not row.pop("finite"):
                reason = "diverged"
                break
            good = state
            history.append(row)
            bar.update(length)
            bar.set_postfix_str(_summary(row))
            if on_evaluation:
                on_evaluation(history)
            reason = _reason(row, num_steps, target, time_limit)
            if interrupt.requested:
                reason = reason or "interrupted"
            if checkpoints:
                checkpoints.save(row["step"], good, history, force=reason is not None)
    if checkpoints:
        checkpoints.close()
    graphdef, _, rest = nnx.split(model, nnx.Param, ...)
    return FitResult(
        model=nnx.merge(graphdef, good.params, rest),
        params=good.params,
        history=history,
        stop_reason=reason,
        num_steps=int(good.step),
        compile_seconds=clock.compile_seconds,
        train_seconds=clock.train_seconds,
    )


class _Clock:
    """Seconds spent compiling and training."""

    def __init__(self, train_seconds: float):
        self.compile_seconds = 0.0
        self.train_seconds = train_seconds


class _Runner:
    """Runs chunks, compiled once per length."""

    def __init__(self, chunk: Any, clock: _Clock):
        self._chunk = jax.jit(chunk, static_argnums=1, donate_argnums=0)
        self._compiled: dict[int, Any] = {}
        self._clock = clock

    def run(self, state: TrainState, length: int) -> tuple[TrainState, StepRecord]:
        if length not in self._compiled:
            began = time.perf_counter()
            self._compiled[length] = self._chunk.lower(state, length).compile()
            self._clock.compile_seconds += time.perf_counter() - began
        began = time.perf_counter()
        result = jax.block_until_ready(self._compiled[length](state))
        self._clock.train_seconds += time.perf_counter() - began
        return result


class _Evaluator:
    """Turns a state into a row of the history."""

    def __init__(self, problem: Problem, model: nnx.Module, dtype: Any, target: float | None):
        points = test_points(problem, dtype)
        exact = exact_values(problem, points)
        if exact is None and target is not None:
            raise ValueError("target needs a problem with an exact solution; give it exact(x).")
        graphdef, _, rest = nnx.split(model, nnx.Param, ...)

        @jax.jit
        def evaluate(params: Any, points_: Any) -> dict[str, Any]:
            loss = problem.loss(model, points_)
            row = {"loss": loss(params), "losses": loss.losses(params)}
            if exact is not None:
                row |= errors(predict(nnx.merge(graphdef, params, rest), points), exact)._asdict()
            sizes = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]
            row["finite"] = jnp.isfinite(row["loss"]) & jnp.stack(sizes).all()
            return row

        self._evaluate = evaluate
        self._compiled = False

    def row(self, state: TrainState, records: StepRecord | None, clock: _Clock) -> dict[str, Any]:
        began = time.perf_counter()
        values = jax.device_get(self._evaluate(state.params, state.points))
        if not self._compiled:
            self._compiled = True
            clock.compile_seconds += time.perf_counter() - began
        row = {
            "step": int(state.step),
            "num_gradients": float(state.num_gradients),
            "seconds": clock.train_seconds,
            **jax.tree.map(float, values),
            "finite": bool(values["finite"]),
        }
        if records is None:
            row.pop("finite")
            return row
        implicit = np.asarray(records.implicit)
        if implicit.any():
            last = np.flatnonzero(implicit)[-1]
            taken = lambda field: np.asarray(field)[implicit]
            row |= {
                "learning_rate": float(records.learning_rate[last]),
                "residual": float(records.residual[last]),
                "num_inner_steps": float(np.mean(taken(records.num_inner_steps))),
                "accepted": float(np.mean(taken(records.accepted))),
                "at_bound": float(np.mean(taken(records.at_bound))),
                "at_floor": float(np.mean(taken(records.at_floor))),
            }
        return row


class _Interrupt:
    """Notes the first Ctrl-C; the second one interrupts as usual."""

    def __enter__(self) -> "_Interrupt":
        self.requested = False
        self._previous: Any = None
        self._installed = threading.current_thread() is threading.main_thread()
        if self._installed:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, signum: int, frame: Any) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        tqdm.write("Stopping after the steps under way; press Ctrl-C again to stop at once.")

    def __exit__(self, *_: Any) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._previous)


@contextlib.contextmanager
def _bar(total: int | None, state: TrainState, description: str, progress: bool) -> Iterator[tqdm]:
    """A progress bar; without a total where time may end the run first."""
    with tqdm(
        total=total,
        initial=int(state.step) if total is None else min(int(state.step), total),
        desc=description or None,
        disable=not progress,
        unit="step",
        dynamic_ncols=True,
    ) as bar:
        yield bar


def _summary(row: dict[str, Any]) -> str:
    parts = [f"loss {row['loss']:.2e}"]
    if "rel_l2" in row:
        parts.append(f"error {row['rel_l2']:.2e}")
    if "learning_rate" in row:
        parts.append(
            f"α {row['learning_rate']:.2g}, {row['num_inner_steps']:.0f} inner steps, "
            f"residual {row['residual']:.1e}"
        )
        if row["at_floor"] == 1:
            parts.append("nothing left to gain in this precision")
        elif row["at_bound"] == 1:
            parts.append("α at its bound")
    return ", ".join(parts)


def _reason(row: dict[str, Any], num_steps: int, target: float | None, time_limit: float | None) -> Any:
    if target is not None and row["rel_l2"] <= target:
        return "target"
    if row["step"] >= num_steps:
        return "num_steps"
    if time_limit is not None and row["seconds"] >= time_limit:
        return "time_limit"
    return None


def _batch_sizes(problem: Problem, batch_size: int | Mapping[str, int] | None) -> dict[str, int]:
    """Sizes by condition, of those conditions that are split at all."""
    conditions = problem.conditions()
    sizes = dict(batch_size) if isinstance(batch_size, Mapping) else {}
    if isinstance(batch_size, int):
        sizes = {name: batch_size for name, c in conditions.items() if batch_size < c.num_points}
        _check_positive(batch_size=batch_size)
    for name, size in sizes.items():
        if name not in conditions:
            raise ValueError(f"batch_size names {name!r}; the conditions are {sorted(conditions)}.")
        if not 1 <= size <= conditions[name].num_points:
            raise ValueError(
                f"batch_size of {name!r} must be between 1 and its {conditions[name].num_points} points, "
                f"got {size}."
            )
    return sizes


def _chunk_ends(num_steps: int, evaluate_every: int | Sequence[int] | None) -> Sequence[int]:
    """The steps before ``num_steps`` at which chunks end, in order; a range where there may be millions."""
    if evaluate_every is None:
        evaluate_every = max(1, num_steps // 100)
    if isinstance(evaluate_every, int):
        _check_positive(evaluate_every=evaluate_every)
        return range(evaluate_every, num_steps, evaluate_every)
    return sorted(end for end in evaluate_every if 0 < end < num_steps)


def _next_end(ends: Sequence[int], num_steps: int, step: int) -> int:
    index = bisect.bisect_right(ends, step)
    return ends[index] if index < len(ends) else num_steps


def _check_positive(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and (number < 1 or not math.isfinite(number)):
            raise ValueError(f"{name} must be at least 1, got {number}.")
