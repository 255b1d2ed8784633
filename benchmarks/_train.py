"""One training run: a folder that can be resumed, and what it leaves there."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

import pinns
from benchmarks._environment import command, environment
from benchmarks._experiment import Experiment
from benchmarks._files import write_json, write_jsonl
from benchmarks._optimizers import evaluation_steps, make_optimizer
from pinns import evaluation_points, exact_values

_CHOSEN = ("experiment", "optimizer", "preset", "seed", "dtype", "device", "versions", "command")
_TAKEN = ("stop_reason", "num_steps", "compile_seconds", "train_seconds")
_MEASURED = ("rel_l2", "max_error", "loss", "fresh_loss", "rel_l2_by_output")

Result = pinns.FitResult | pinns.SlabsResult


def train(experiment: Experiment) -> dict[str, Any]:
    """Runs or resumes ``experiment``, unless it is finished; returns its summary.

    The folder then holds ``config.json``, ``metrics.jsonl`` (a row per evaluation), ``summary.json``,
    ``prediction.npz`` (test points, prediction and exact solution there, and the parameters as one
    vector in the order of ``jax.flatten_util.ravel_pytree``), ``history.png``,
    ``solution.png`` and ``checkpoint/``.
    """
    jax.config.update("jax_enable_x64", experiment.precision == "float64")
    folder = experiment.folder()
    plan = experiment.plan()
    problem, model = experiment.problem(), experiment.model()
    key = jax.random.key(experiment.seed)
    if plan.scaled:
        problem = pinns.scaled(problem, model, key)
    optimizer, num_steps = make_optimizer(experiment.optimizer, plan.budget)
    config = {
        "command": command(),
        "experiment": experiment.name,
        **experiment.options(),
        "problem": repr(problem),
        "plan": dataclasses.asdict(plan),
        "num_parameters": pinns.num_parameters(model),
        "num_steps": num_steps,
        **environment(),
    }
    if (finished := _finished(folder, config)) is not None:
        return finished
    write_json(folder / "config.json", config)
    if plan.slabs:
        stop = pinns.Stop(seconds=plan.slabs.seconds, fresh_loss=plan.slabs.fresh_loss)
        run = functools.partial(pinns.fit_in_slabs, slabs=plan.slabs.number)
    else:
        stop = pinns.Stop(seconds=plan.time_limit, rel_l2=plan.target)
        run = pinns.fit
    result = run(
        problem,
        model,
        optimizer,
        num_steps=num_steps,
        key=key,
        sampling=plan.sampling,
        batch_size=plan.batch_size,
        resample_every=plan.resample_every,
        evaluate_every=plan.evaluate_every or evaluation_steps(experiment.optimizer, plan.budget),
        stop=stop,
        progress=experiment.progress,
        description=f"{experiment.name}, {experiment.optimizer}",
        checkpoint_dir=folder / "checkpoint",
        checkpoint_seconds=experiment.checkpoint_seconds,
        identity={"optimizer": experiment.optimizer, "plan": plan.setting()},
        on_evaluation=lambda history: write_jsonl(folder / "metrics.jsonl", history),
    )
    write_jsonl(folder / "metrics.jsonl", result.history)
    arrays = _prediction(problem, result)
    final = _final(problem, result, arrays)
    summary = {
        **{key: config[key] for key in _CHOSEN},
        **{key: final[key] for key in _MEASURED if key in final},
        **_of_the_problem(problem, result),
        "alpha": experiment.method.rate(plan.budget),
        "num_implicit_steps": experiment.method.phases(plan.budget)[0],
        **{key: getattr(result, key) for key in _TAKEN},
        "num_gradients": final["num_gradients"],
    }
    with (folder / "prediction.npz").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})
    write_json(folder / "summary.json", summary)
    label = experiment.optimizer
    pinns.plot_history({label: result}, path=folder / "history.png")
    pinns.plot_solution(problem, {label: result}, path=folder / "solution.png")
    return summary


def _finished(folder: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """The summary of this very run, if it came to its end."""
    if not (folder / "summary.json").exists():
        return None
    summary, stored = (json.loads((folder / name).read_text()) for name in ("summary.json", "config.json"))
    apart = ("command", *environment())
    same = {k: v for k, v in stored.items() if k not in apart} == json.loads(
        json.dumps({k: v for k, v in config.items() if k not in apart})
    )
    return summary if same and summary["stop_reason"] != "interrupted" else None


def _prediction(problem: pinns.Problem, result: Result) -> dict[str, Any]:
    """What ``prediction.npz`` holds."""
    slabs = result.results if isinstance(result, pinns.SlabsResult) else [result]
    points = evaluation_points(problem, jax.tree.leaves(slabs[0].params)[0].dtype)
    return {
        "points": points,
        "prediction": result.at(points),
        "exact": exact_values(problem, points),
        "params": ravel_pytree([slab.params for slab in slabs])[0],
    }


def _final(problem: pinns.Problem, result: Result, arrays: dict[str, Any]) -> dict[str, Any]:
    """The last row of the history; of slabs, with the errors over all times."""
    row = dict(result.history[-1])
    if isinstance(result, pinns.SlabsResult) and result.finished and "rel_l2" in row:
        prediction, exact = arrays["prediction"], arrays["exact"]
        names = pinns.output_names(problem, exact.shape[1])
        whole = pinns.errors(prediction, exact)._asdict()
        by_output = pinns.errors_by_output(prediction, exact, names)
        row |= jax.tree.map(float, whole | {"rel_l2_by_output": by_output})
        row["fresh_loss"] = max(slab.final["fresh_loss"] for slab in result.results)
    return row


def _of_the_problem(problem: pinns.Problem, result: Result) -> dict[str, Any]:
    """The floor of its reference and the coefficients that were found, where there are any."""
    found: dict[str, Any] = {}
    problem = getattr(problem, "problem", problem)  # of a scaled one, what it scales
    floor = getattr(problem, "reference_floor", None)
    if floor is not None:
        found["reference_floor"] = floor
    if isinstance(result, pinns.FitResult) and result.unknowns:
        found["unknowns"] = {name: [float(x) for x in pair] for name, pair in result.unknowns.items()}
        found["true_unknowns"] = getattr(problem, "true_unknowns", None)
    return found
