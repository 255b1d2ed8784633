"""One training run: a folder that can be resumed, and what it leaves there."""

import dataclasses
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
from benchmarks._optimizers import Budget, evaluation_steps, make_optimizer
from pinns import evaluation_points, exact_values, predict

_MEASURED = ("rel_l2", "max_error", "loss", "fresh_loss", "rel_l2_by_output")


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
    result = pinns.fit(
        problem,
        model,
        optimizer,
        num_steps=num_steps,
        key=jax.random.key(experiment.seed),
        sampling=plan.sampling,
        batch_size=plan.batch_size,
        resample_every=plan.resample_every,
        evaluate_every=plan.evaluate_every or evaluation_steps(experiment.optimizer, plan.budget),
        target=plan.target,
        time_limit=plan.time_limit,
        progress=experiment.progress,
        description=f"{experiment.name}, {experiment.optimizer}",
        checkpoint_dir=folder / "checkpoint",
        checkpoint_seconds=experiment.checkpoint_seconds,
        identity={"optimizer": experiment.optimizer, "plan": plan.setting()},
        on_evaluation=lambda history: write_jsonl(folder / "metrics.jsonl", history),
    )
    write_jsonl(folder / "metrics.jsonl", result.history)
    summary = {
        **{key: config[key] for key in ("experiment", "optimizer", "preset", "seed", "dtype")},
        **{key: result.final[key] for key in _MEASURED if key in result.final},
        **_of_the_problem(problem, result),
        "alpha": _alpha(experiment.optimizer, plan.budget),
        "num_implicit_steps": plan.budget.implicit_steps if experiment.optimizer.startswith("isgd-") else 0,
        "stop_reason": result.stop_reason,
        "num_steps": result.num_steps,
        "num_gradients": result.final["num_gradients"],
        "compile_seconds": result.compile_seconds,
        "train_seconds": result.train_seconds,
        "device": config["device"],
        "versions": config["versions"],
        "command": config["command"],
    }
    _save_prediction(result, folder / "prediction.npz")
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


def _alpha(optimizer: str, budget: Budget) -> float | None:
    """The learning rate of the method, for an implicit one that of its steps."""
    if optimizer == "lbfgs":
        return None
    return budget.alpha if optimizer.startswith("isgd-") else budget.learning_rate


def _of_the_problem(problem: pinns.Problem, result: pinns.FitResult) -> dict[str, Any]:
    """The floor of its reference and the coefficients that were found, where there are any."""
    found: dict[str, Any] = {}
    floor = getattr(problem, "reference_floor", None)
    if floor is not None:
        found["reference_floor"] = floor
    if result.unknowns:
        found["unknowns"] = {name: [float(x) for x in pair] for name, pair in result.unknowns.items()}
        found["true_unknowns"] = getattr(problem, "true_unknowns", None)
    return found


def _save_prediction(result: pinns.FitResult, path: Path) -> None:
    problem = result.problem
    points = evaluation_points(problem, jax.tree.leaves(result.params)[0].dtype)
    arrays = {
        "points": points,
        "prediction": predict(lambda x: problem.predict(result.solution, x), points),
        "exact": exact_values(problem, points),
        "params": ravel_pytree(result.params)[0],
    }
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})
