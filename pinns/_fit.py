"""Training of a network on a problem, in compiled chunks."""

import contextlib
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import jax
import optax

from pinns._checkpoints import Checkpoints
from pinns._drawn import check_drawn
from pinns._ends import chunk_ends, next_end
from pinns._functional import params_dtype
from pinns._history import Evaluator, summary
from pinns._inputs import check_arguments, check_model, check_options
from pinns._interrupt import Interrupt
from pinns._on_evaluation import teller
from pinns._options import OnEvaluation, Options, Shorthand, Stop
from pinns._placement import Placement, copied, on_one_device
from pinns._points import PointSource, data_key
from pinns._progress import progress_bar
from pinns._result import FitResult
from pinns._run_identity import program_identity, program_name, run_identity, start_identity
from pinns._runner import Runner
from pinns._sampling import Sampling
from pinns._start import starting
from pinns._threads import limited_blas_threads
from pinns._train_step import make_chunk, start
from pinns._verdicts import Watch, not_finite
from pinns._warnings import (
    warn_coordinates,
    warn_few_residuals,
    warn_independent,
    warn_more_steps,
    warn_other_start,
    warn_outside,
)
from pinns._weights import AdaptiveWeights, WeightRule, check_weights
from pinns.problems import Problem


def fit(
    problem: Problem,
    model: Any,
    optimizer: optax.GradientTransformation,
    *,
    num_steps: int,
    key: jax.Array,
    sampling: Sampling | Any = "uniform",
    weights: AdaptiveWeights | None = None,
    stop: Stop | None = None,
    evaluate_every: int | Sequence[int] | None = None,
    fresh_loss: bool = True,
    progress: bool = True,
    description: str = "",
    checkpoint_dir: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 10.0,
    identity: Mapping[str, Any] | None = None,
    on_evaluation: OnEvaluation | None = None,
    mesh: jax.sharding.Mesh | None = None,
    **shorthand: Unpack[Shorthand],
) -> FitResult:
    """Trains ``model`` on ``problem``.

    Steps run in compiled chunks, ``evaluate_every`` steps long; between two of them losses and errors are
    measured, progress shown and, if wanted, a checkpoint written. Ctrl-C (SIGTERM, the interruption of a
    notebook's cell) ends after the chunk that runs, saves, and returns what there is; pressed twice it
    interrupts at once. What the loss does not tell is said by a :class:`FitWarning`.

    Args:
      problem: What to solve.
      model: A network in any form that :func:`pinns.functional` takes, left as it is, or a
        :class:`FitResult`, with whose network and unknowns it begins; their dtype is that of the computation.
      optimizer: Any optax optimiser; it is given ``value``, ``grad`` and ``value_fn``.
      num_steps: Updates to make; of an implicit step, outer ones.
      key: A JAX random key for points and mini-batches. It may be of the network's seed: what is drawn comes
        from :func:`pinns.data_key` of it.
      sampling: Points of every step: a :class:`Sampling` or :class:`AdaptiveSampling`, or its method alone
        (``"uniform"``, the paper's, ``"sobol"``, ``"grid"``).
      weights: Weights of conditions that follow the training; None keeps the declared ones.
      stop: When to end before the last step.
      evaluate_every: Steps per chunk; by default a hundredth of ``num_steps``. Or the step numbers at
        which chunks end, for steps of uneven cost; every chunk length is compiled once.
      fresh_loss: Whether every evaluation measures the loss on points that are never trained on, too (given
        points have no others).
      progress: Whether to show a progress bar.
      description: The name of the progress bar.
      checkpoint_dir: Folder of checkpoints; a run that left some there is continued, on a CPU bit for bit.
      checkpoint_seconds: Least time between two checkpoints.
      identity: What else tells this run from another; JSON values. A ``checkpoint_dir`` of a run that differs
        in it, in the problem (its arrays, regions, weights and what its residuals compute included), the
        network's shapes, the optimiser and its settings, the key, the sampling or the weights is refused. To
        go on with another optimiser, give the result in place of the network, and a new folder.
      on_evaluation: Called after every chunk, to log, to measure more, with as many of these as it takes: the
        history, the model (of a ``scaled`` problem the network between the scalings, in no unit), and the
        :class:`FitResult` so far, a function in the problem's units. Numbers and arrays that it writes into
        the newest row stay there, for ``result.curve``. Where it returns True, the training ends; a run on
        disk that it has ended is shown to it once more, and goes on if it wants more now.
      mesh: Devices over which the points are spread, of one process or of several; the parameters are on all.
        Numbers of points that the devices do not divide stay whole.
      **shorthand: ``batch_size`` and ``resample_every`` of :class:`Sampling`; ``target`` and ``time_limit``
        for ``rel_l2`` and ``seconds`` of :class:`Stop`.

    Returns:
      A :class:`FitResult`.

    Raises:
      TypeError: A model of another form, or an option that does not exist.
      ValueError: A count or size out of range, a target for a problem without exact solution, a shorthand
        beside its group, a network that changes when it is called, or a ``checkpoint_dir`` that holds another
        run, or no state that can be read.
      RuntimeError: A ``checkpoint_dir`` in which another training is at work.

    Examples:
      >>> import jax, optax
      >>> from flax import nnx
      >>> from pinns import MLP, SingularlyPerturbedODE, fit
      >>> from isgd_optax import isgd_adam
      >>> result = fit(
      ...     SingularlyPerturbedODE(epsilon=2.0, num_points=400),
      ...     MLP(1, [16, 16], 1, rngs=nnx.Rngs(0)),
      ...     isgd_adam(0.5, num_implicit_steps=20, num_inner_steps=10),
      ...     num_steps=40,
      ...     key=jax.random.key(0),
      ...     progress=False,
      ... )
      >>> result.stop_reason, result.final["num_gradients"]
      ('num_steps', 240.0)
    """
    check_options(shorthand, fit)
    tell = teller(on_evaluation)
    check_arguments(problem, optimizer, key, weights, stop)
    ends = chunk_ends(num_steps, evaluate_every)
    options = Options.of(sampling, stop, shorthand)
    network = model.model if isinstance(model, FitResult) else model
    function, params = starting(problem, model)
    dtype = params_dtype(params)
    loss = lambda points, weights=None: problem.loss(function, points, weights)
    key = data_key(key)
    check_model(problem, function, params, dtype)
    placement = Placement(mesh)
    params = on_one_device(params) if network is not model and mesh is None else params
    source = PointSource(problem, options.sampling, loss, params, key, dtype, placement)
    check_drawn(problem, options.sampling, source.numbers, key, dtype)
    rule = WeightRule(problem, weights, loss)
    evaluator = Evaluator(problem, function, loss, source, key, fresh=fresh_loss)
    options.stop.check(has_exact=evaluator.has_exact, has_fresh=fresh_loss)
    optimizer = optax.with_extra_args_support(optimizer)
    described, programs = {}, {}
    if checkpoint_dir:
        described = run_identity(problem, params, optimizer, key, options.sampling, weights)
        if taken := sorted(described.keys() & (identity or {}).keys()):
            raise ValueError(f"identity: {', '.join(taken)} are what fit itself records; choose other names.")
        described |= identity or {}
        drawn = options.sampling.method
        programs = {program_name(): program_identity(problem, function, params, optimizer, drawn, dtype)}

    with contextlib.ExitStack() as stack:
        stack.enter_context(placement.context())
        checkpoints = None
        if checkpoint_dir:
            saved = Checkpoints(checkpoint_dir, described, programs, checkpoint_seconds, placement)
            checkpoints = stack.enter_context(saved)
        state = start(params, optimizer, source, rule, key)
        check_weights(problem, state.points)
        history, ended = [], False
        model_of = lambda state: function.model(state.params)
        result_of = lambda state, reason: FitResult(
            model=model_of(state),
            params=state.params,
            history=list(history),
            stop_reason=reason,
            num_steps=int(state.step),
            compile_seconds=evaluator.compile_seconds + runner.compile_seconds,
            train_seconds=runner.train_seconds,
            problem=problem,
            loss=loss(state.points, state.weights),
        )
        told = lambda state: tell(history, lambda: model_of(state), lambda: result_of(state, "running"))
        otherwise = bool(checkpoints and checkpoints.begun_otherwise(start_identity(params)))
        if checkpoints and (restored := checkpoints.restore(state)):
            state, history, ended = restored
            warn_other_start(otherwise, params, state.params)
            warn_more_steps(int(state.step), num_steps)
            if options.stop.lacks(history[-1]):  # the run measured something else, before
                row = evaluator.row(state, None, history[-1]["seconds"])
                del row["finite"]
                history[-1] = row | history[-1]
        runner = Runner(make_chunk(loss, optimizer, source, rule), history[-1]["seconds"] if history else 0.0)
        watch = Watch(problem, options, num_steps, int(state.step), anew=network is model)
        if not history:
            warn_few_residuals(source.num_residuals, source.num_parameters)
            warn_coordinates(problem, network, source.dtype)
            warn_outside(problem, network, state.points)
            row = evaluator.row(state, None, 0.0)
            finite = row.pop("finite")
            history.append(row)
            reason = watch.reason(history)
            warn_independent(evaluator.independent(state, row["losses"]))
            if not finite:
                reason = "not_finite_at_start"
                watch.say(not_finite(row))
        else:
            reason = watch.reason(history)
            if reason is None and ended and placement.any(told(state)):  # asks for it still
                reason = "on_evaluation"

        good = state
        total = None if options.stop.seconds else num_steps  # where time may end the run first, none
        with (
            limited_blas_threads(),
            Interrupt() as interrupt,
            progress_bar(total, int(state.step), description, progress and placement.leads) as bar,
        ):
            if reason is None:
                bar.set_postfix_str("compiling")
            while reason is None:
                step = int(good.step)
                length = next_end(ends, num_steps, step) - step
                state, records = runner.run(copied(good), length)
                row = evaluator.row(state, records, placement.agreed(runner.train_seconds))
                if not row.pop("finite"):
                    reason = "diverged"
                    watch.diverged(history, functools.partial(evaluator.without_gradient, good))
                    break
                good = state
                history.append(row)
                bar.update(length)
                bar.set_postfix_str(summary(row))
                watch.warn(history, functools.partial(evaluator.without_gradient, good))
                reason = watch.reason(history)
                fault, ended = None, False
                try:
                    ended = told(good)
                except BaseException as error:  # of what the user calls, raised when all processes know of it
                    fault = error
                failed, ended = placement.any(fault is not None), placement.any(ended)
                reason = "on_evaluation" if ended else reason
                if checkpoints:
                    checkpoints.save(row["step"], good, history, ended=ended, force=failed or ended)
                if failed:
                    raise fault or RuntimeError("on_evaluation failed in another process.")
                if placement.any(interrupt.requested):
                    reason = "interrupted"  # whatever else has ended it: the next slab must not begin
            if checkpoints and good.step > 0:
                checkpoints.save(int(good.step), good, history, ended=reason == "on_evaluation", force=True)
    return result_of(good, reason)
