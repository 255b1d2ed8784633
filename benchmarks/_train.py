"""One training run: a folder that can be resumed, and what it leaves there."""

import dataclasses
from typing import Any

import jax

import pinns
from benchmarks._environment import command, environment
from benchmarks._experiments import Experiment
from benchmarks._files import write_json, write_jsonl
from benchmarks._optimizers import evaluation_steps, make_optimizer


def train(experiment: Experiment) -> dict[str, Any]:
    """Runs or resumes ``experiment``; returns its summary.

    The folder then holds ``config.json``, ``metrics.jsonl`` (a row per evaluation), ``summary.json``,
    ``history.png``, ``solution.png`` and ``checkpoint/``.
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
        **{key: result.final[key] for key in ("rel_l2", "max_error", "loss")},
        "stop_reason": result.stop_reason,
        "num_steps": result.num_steps,
        "num_gradients": result.final["num_gradients"],
        "compile_seconds": result.compile_seconds,
        "train_seconds": result.train_seconds,
        "device": config["device"],
        "versions": config["versions"],
        "command": config["command"],
    }
    write_json(folder / "summary.json", summary)
    label = experiment.optimizer
    pinns.plot_history({label: result}, path=folder / "history.png")
    pinns.plot_solution(problem, {label: result.model}, path=folder / "solution.png")
    return summary
