import jax
import numpy as np
import pytest
from flax import nnx

import pinns
from benchmarks._experiments import Helmholtz, Ode, Poisson1d, Poisson2d, Regression
from benchmarks.paper.comparisons import Figure5
from benchmarks.paper.figure1 import Figure1
from pinns import MLP, SingularlyPerturbedODE


def ranks(values):
    return np.argsort(np.argsort(np.ravel(values)))


def rank_correlation(seed, key):
    """Between the first-layer weights of a network and the first points."""
    weights = MLP(1, [50] * 4, 1, rngs=nnx.Rngs(seed))
    first = next(leaf for leaf in jax.tree.leaves(nnx.state(weights, nnx.Param)) if leaf.shape == (1, 50))
    points = SingularlyPerturbedODE().sample(key)["pde"][:50]
    return np.corrcoef(ranks(first), ranks(points))[0, 1]


@pytest.mark.parametrize("seed", [0, 1])
def test_points_are_independent_of_the_initial_network(seed):
    assert rank_correlation(seed, jax.random.key(seed)) > 0.999  # what the network's own key would give
    assert abs(rank_correlation(seed, pinns.data_key(jax.random.key(seed)))) < 0.5


def test_no_experiment_draws_its_points_from_the_networks_key(monkeypatch, tmp_path):
    fit, results = pinns.fit, []

    def fit_once(*args, **options):
        results.append(fit(*args, **(options | {"num_steps": 1, "evaluate_every": 1, "batch_size": None})))
        raise InterruptedError

    monkeypatch.setattr("pinns.fit", fit_once)
    from benchmarks._train import train

    experiment = Ode(optimizer="adam", seed=3, out=tmp_path, progress=False)
    with pytest.raises(InterruptedError):
        train(experiment)
    drawn = experiment.problem().sample(pinns.data_key(jax.random.key(3)))
    for block in results[0].loss.blocks:
        assert (block.points == drawn[block.name]).all()


@pytest.mark.parametrize("steps", [35_000, 350_000])
def test_isgd_with_lbfgs_has_the_split_of_isgd_with_adam(steps):
    budgets = [
        Regression(preset="paper", optimizer=name, steps=steps).plan().budget
        for name in ("isgd-adam", "isgd-lbfgs")
    ]
    assert budgets[0] == budgets[1]
    assert budgets[1].implicit_steps == steps // 700
    adam, lbfgs = (
        next(c.experiment for c in Figure5(preset="paper").cases(0) if c.experiment.optimizer == name)
        for name in ("isgd-adam", "isgd-lbfgs")
    )
    assert adam.plan().budget.implicit_steps == lbfgs.plan().budget.implicit_steps


def test_lbfgs_of_a_preset_is_capped_after_its_implicit_steps():
    budget = Ode(preset="paper", optimizer="isgd-lbfgs").plan().budget
    assert (budget.implicit_steps, budget.explicit_steps) == (20, 10_000)
    assert Ode(preset="paper", optimizer="lbfgs").plan().budget.iterations == 10_000


@pytest.mark.parametrize("kind", [Poisson2d, Helmholtz])
def test_two_dimensional_presets_have_the_rates_of_table_1(kind):
    budget = kind(preset="paper", optimizer="isgd-adam").plan().budget
    assert (budget.alpha, budget.inner_learning_rate, budget.outer_learning_rate) == (0.5, 5e-4, 5e-4)
    assert kind(preset="paper", optimizer="adam").plan().budget.learning_rate == 5e-4
    assert Ode(preset="paper").plan().budget.outer_learning_rate == 1e-3


def test_solved_steps_of_figure_1_are_a_number_and_no_time():
    cases = Figure1(preset="paper").cases(0)
    chosen = [c.experiment for c in cases if c.experiment.optimizer == "isgd-gn-constant"]
    steps = {e.solution: e.plan().budget.implicit_steps for e in chosen if isinstance(e, Poisson1d)}
    assert steps == {"smooth": 20, "multiscale": 10}  # those that are recorded
    assert all(e.time_limit is None for e in chosen)
