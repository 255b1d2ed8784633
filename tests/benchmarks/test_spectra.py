"""Spectra of Figure 1: those of the Jacobian, and kept where their runs are gone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree

from benchmarks._experiments import Poisson1d
from benchmarks.paper.figure1 import Figure1, _spectra

pytestmark = pytest.mark.usefixtures("x64_restored")


def test_spectra_recorded_without_their_runs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.paper.figure1._spectra", lambda experiment, params: {"now": True})
    study = Figure1(out=tmp_path)
    adam = next(c for c in study.cases(seed=0) if c.experiment.optimizer == "adam")
    study.place(adam).mkdir(parents=True)
    np.savez(study.place(adam) / "prediction.npz", params=np.zeros(3))
    recorded = {"spectra": [{"panel": "u_L", "at": at} for at in ("start", "end of Adam")]}
    spectra = study.complete(recorded, [adam.cell])["spectra"]
    assert spectra == [
        {"panel": "u_L", "at": "start"},
        {"panel": "u_L", "at": "end of Adam", "seed": 0, "now": True},
    ]


@pytest.mark.slow
def test_spectra_are_those_of_the_jacobian_and_of_the_given_parameters(monkeypatch):
    monkeypatch.setattr("benchmarks.paper.figure1.LANCZOS", {"num_steps": 20, "num_probes": 1})
    jax.config.update("jax_enable_x64", True)
    plan = dataclasses.replace(Poisson1d(optimizer="isgd-gn").plan(), hidden=(12, 12))
    monkeypatch.setattr(Poisson1d, "preset_plan", lambda self: plan)
    experiment = Poisson1d(optimizer="isgd-gn", dtype="float64")
    start = _spectra(experiment, None)
    problem, model = experiment.problem(), experiment.model()
    flat, unravel = ravel_pytree(nnx.state(model, nnx.Param))
    loss = problem.loss(model, problem.sample(jax.random.key(0), method="grid", dtype=jnp.float64))
    rows = jax.jacrev(lambda p: loss.residuals(unravel(p)))(flat)
    np.testing.assert_allclose(start["gauss_newton"][-1], 2 * np.linalg.norm(rows, 2) ** 2, rtol=1e-3)
    assert start["num_parameters"] == flat.size
    assert start["smallest_ritz_value"] < 0 < start["hessian_largest"]
    halved = _spectra(experiment, 0.5 * np.asarray(flat))
    assert halved["gauss_newton"][-1] < 0.9 * start["gauss_newton"][-1]
