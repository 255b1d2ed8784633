import json
import os
import signal
import subprocess
import sys
import time

import jax
import pytest

from benchmarks import _field, _measurements
from benchmarks._experiments import Helmholtz, Ode, Poisson1d, Poisson2d, Regression
from benchmarks._optimizers import METHODS, Budget, make_optimizer
from isgd_optax import LeastSquares, Residual

EXPERIMENTS = {
    "ode": Ode,
    "poisson1d": Poisson1d,
    "poisson2d": Poisson2d,
    "helmholtz": Helmholtz,
}
SUMMARY = {
    "experiment", "optimizer", "preset", "seed", "dtype", "rel_l2", "max_error", "loss", "num_steps",
    "num_gradients", "compile_seconds", "train_seconds", "device", "versions",
}  # fmt: skip


def read(path):
    return json.loads(path.read_text())


def test_list_names_every_experiment(cli, capsys):
    cli("list")
    _, _, *lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    listed = [line.split()[0] for line in lines]
    kinds = [*_measurements.KINDS, *_field.KINDS]
    assert set(listed) == {*EXPERIMENTS, "regression", *(kind.name for kind in kinds)}
    assert len(set(listed)) == len(listed) == 26 + 21


@pytest.mark.parametrize("name", METHODS)
def test_every_optimizer_lowers_a_loss_within_its_budget(name):
    points = jax.numpy.linspace(0.0, 2.0, 5)
    loss = LeastSquares(Residual(lambda p, x: p * x - x / 2 + 0.1 * (p * x) ** 2, points))
    rates = dict.fromkeys(("learning_rate", "inner_learning_rate", "outer_learning_rate"), 0.1)
    budget = Budget(30, 20, inner_steps=10, **rates)
    solver, num_steps = make_optimizer(name, budget)
    assert num_steps == {"isgd-gn": 2, "isgd-gn-constant": 2}.get(name, 12 if name.startswith("isgd") else 30)

    def step(carry, _):
        params, state = carry
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return (params + updates, state), None

    start = jax.numpy.asarray(2.0)
    (end, _), _ = jax.jit(lambda p: jax.lax.scan(step, (p, solver.init(p)), length=num_steps))(start)
    assert loss(end) < 0.5 * loss(start)


def results_of(folder, optimizer):
    """The summary of a run of the smooth ODE that left all it should."""
    summary = read(folder / "summary.json")
    assert set(summary) >= SUMMARY
    assert summary["optimizer"] == optimizer
    assert summary["num_gradients"] > 0
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["rel_l2"] == summary["rel_l2"]
    assert (
        read(folder / "config.json")["problem"]
        == "SingularlyPerturbedODE(epsilon=2.0, num_points=400, boundary_weight=1.0)"
    )
    for name in ("history.png", "solution.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert any((folder / "checkpoint").iterdir())
    return summary


@pytest.mark.long
def test_a_run_leaves_its_results(cli, tmp_path):
    cli("run", "ode", "--optimizer", "adam", "--steps", "20", "--out", tmp_path, "--no-progress")
    results_of(tmp_path, "adam")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ode", "--epsilon", "0.01"], "epsilon=0.01"),
        pytest.param(["poisson1d", "--solution", "smooth"], "solution='smooth'", marks=pytest.mark.slow),
        (["regression", "--function", "discontinuous"], "function='discontinuous'"),
    ],
)
def test_problem_options_reach_the_problem(cli, tmp_path, words, expected):
    cli("run", *words, "--optimizer", "adam", "--steps", "2", "--out", tmp_path, "--no-progress")
    assert expected in read(tmp_path / "config.json")["problem"]


@pytest.mark.slow
def test_two_dimensional_experiment_in_float64(cli, tmp_path):
    words = ["--k", "2", "--optimizer", "adam", "--dtype", "float64", "--steps", "2", "--seed", "3"]
    cli("run", "helmholtz", *words, "--out", tmp_path, "--no-progress")
    config = read(tmp_path / "config.json")
    assert "k=2.0" in config["problem"]
    assert (config["dtype"], config["seed"]) == ("float64", 3)
    assert jax.config.read("jax_enable_x64")


def test_paper_presets_have_the_totals_of_table_1():
    totals = {
        Ode(preset="paper"): (102_000, 120_000),
        Ode(preset="paper", epsilon=0.01): (360_000, 400_000),
        Poisson2d(preset="paper"): (1_100_000, 2_000_000),
        Helmholtz(preset="paper"): (550_000, 1_000_000),
    }
    for experiment, (isgd, plain) in totals.items():
        kind, options = type(experiment), experiment.options()
        budget = kind(**options | {"optimizer": "isgd-adam"}).plan().budget
        assert budget.implicit_steps * budget.inner_steps + budget.explicit_steps == isgd
        assert not budget.decay
        assert not budget.safeguard
        assert kind(**options | {"optimizer": "adam"}).plan().budget.iterations == plain
    assert Poisson2d(preset="paper").problem().num_points == 4000
    assert Poisson2d(preset="paper").plan().hidden == (100,) * 6
    assert Poisson1d(preset="paper").plan().hidden == (200,) * 5
    assert Regression(preset="paper").plan().hidden == (50,) * 4


def test_paper_preset_of_the_ode_takes_mini_batches_at_a_small_learning_rate():
    assert Ode(preset="paper", optimizer="adam").plan().batch_size == 40
    assert Ode(preset="paper", optimizer="adam", alpha=0.5).plan().batch_size is None
    assert Ode(preset="paper", optimizer="isgd-adam").plan().batch_size is None
    assert Ode(preset="paper", optimizer="isgd-adam", alpha=0.001).plan().batch_size == 40


def test_alpha_and_steps_replace_those_of_the_preset():
    assert Ode(optimizer="adam", alpha=0.3).plan().budget.learning_rate == 0.3
    assert Ode(optimizer="isgd-adam", alpha=0.3).plan().budget.alpha == 0.3
    optimizer, num_steps = make_optimizer("isgd-adam", Ode(steps=995).plan().budget)
    assert num_steps == 5 + 495
    assert optimizer.init({"w": jax.numpy.ones(2)}) is not None


def test_budget_counts_inner_steps():
    budget = Budget(1000, 300, inner_steps=50)
    assert (budget.implicit_steps, budget.explicit_steps) == (6, 700)
    assert make_optimizer("adam", budget)[1] == 1000


def test_gauss_newton_runs_in_float64_unless_told_otherwise():
    assert Ode(optimizer="isgd-gn").precision == "float64"
    assert Ode(optimizer="isgd-gn", dtype="float32").precision == "float32"
    assert Ode(optimizer="isgd-adam").precision == "float32"


@pytest.mark.parametrize("experiment", [*EXPERIMENTS.values(), Regression])
@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_every_experiment_has_a_gauss_newton_plan_that_ends(experiment, preset):
    plan = experiment(optimizer="isgd-gn", preset=preset).plan()
    assert plan.target > 0
    assert plan.time_limit > 0
    assert plan.budget.safeguard
    longer = experiment(optimizer="isgd-gn", preset=preset, time_limit=7.0, target=0.5).plan()
    assert (longer.time_limit, longer.target) == (7.0, 0.5)
    assert longer.setting() == plan.setting()  # the same run goes on


@pytest.mark.long
def test_gauss_newton_stops_at_its_target_and_samples_as_told(cli, tmp_path):
    words = ["--sampling", "sobol", "--resample-every", "2", "--momentum", "0.5", "--target", "0.5"]
    cli("run", "ode", "--optimizer", "isgd-gn", *words, "--out", tmp_path, "--no-progress")
    plan = read(tmp_path / "config.json")["plan"]
    assert (plan["sampling"], plan["resample_every"], plan["budget"]["momentum"]) == ("sobol", 2, 0.5)
    summary = results_of(tmp_path, "isgd-gn")
    assert summary["stop_reason"] == "target"
    assert summary["rel_l2"] <= 0.5
    assert summary["dtype"] == "float64"


@pytest.mark.slow  # three trainings
def test_demo_ends_with_a_table_and_figures(cli, tmp_path, capsys):
    cli("demo", "--seconds", "0.1", "--out", tmp_path, "--no-progress")
    out = capsys.readouterr().out
    for name in ("ISGD, Gauss–Newton", "Adam", "L-BFGS"):
        assert name in out
    for name in ("history.png", "solution.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_different_options_have_different_folders():
    folders = {
        e.folder() for e in (Ode(), Ode(epsilon=0.01), Ode(seed=1), Ode(dtype="float64"), Ode(steps=3))
    }
    assert len(folders) == 5


def test_a_folder_of_another_run_is_refused(cli, tmp_path):
    cli("run", "ode", "--optimizer", "adam", "--steps", "2", "--out", tmp_path, "--no-progress")
    with pytest.raises(ValueError, match="holds another run"):
        cli("run", "ode", "--optimizer", "sgd", "--steps", "2", "--out", tmp_path, "--no-progress")


@pytest.mark.slow  # three processes that compile; tests/pinns/test_resume.py has the same at a small scale
def test_killed_run_resumes_to_the_figures_of_an_undisturbed_one(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "run", "ode", "--optimizer", "isgd-adam", "--no-progress"]
    command += ["--steps", "1000", "--checkpoint-seconds", "0", "--out"]
    environment = os.environ | {"MPLBACKEND": "Agg"}
    subprocess.run([*command, tmp_path / "whole"], check=True, env=environment, capture_output=True)

    process = subprocess.Popen([*command, tmp_path / "killed"], env=environment, stdout=subprocess.DEVNULL)
    metrics = tmp_path / "killed" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and len(metrics.read_text().splitlines()) > 5):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "summary.json").exists()
    subprocess.run([*command, tmp_path / "killed"], check=True, env=environment, capture_output=True)

    keys = ("rel_l2", "max_error", "loss", "num_steps", "num_gradients")
    whole, resumed = (read(tmp_path / name / "summary.json") for name in ("whole", "killed"))
    assert {key: whole[key] for key in keys} == {key: resumed[key] for key in keys}
    rows = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "killed")
    ]
    for row in rows[0] + rows[1]:
        del row["seconds"]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("kind", [Ode, Poisson1d, Poisson2d, Helmholtz, Regression])
def test_the_long_steps_of_a_constant_alpha_look_at_the_clock_each_time(kind):
    assert kind(optimizer="isgd-gn-constant").plan().evaluate_every == 1
    assert kind(optimizer="isgd-gn").plan().evaluate_every > 1
