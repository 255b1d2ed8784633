"""Peers: what is recorded of each, what is skipped and why, and further seeds."""

import concurrent.futures
import dataclasses
import json
import multiprocessing
import re

import jax
import numpy as np
import pytest

from benchmarks import _peer_run, _peers
from benchmarks.peers import Peers
from isgd_optax import LeastSquares, Residual


@pytest.mark.slow
def test_a_childs_memory_is_its_own_not_its_parents():
    ballast = np.ones(2**27)  # 1 GiB, touched
    parent = _peer_run._peak_mib()
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        child = pool.submit(_peer_run._peak_mib).result()
    assert 0 < child < parent - ballast.nbytes / 2**21


@pytest.mark.slow
@pytest.mark.usefixtures("x64_restored")
def test_peers_records_its_runs_and_skips_what_is_not_installed(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # of the run's own process
    monkeypatch.setattr("benchmarks._peers.is_installed", lambda package: package in ("optax", "isgd_optax"))
    study = Peers(problem="ode", seconds=0.01, only=("isgd-gn", "jinns, adam"), out=tmp_path, progress=False)
    result = study.run()
    assert "jinns is not installed" in capsys.readouterr().out
    run, skipped = result["rows"]
    assert (skipped["peer"], skipped["skipped"]) == (
        "jinns, adam",
        "jinns is not installed: pip install -e '.[peers]'",
    )
    assert (run["peer"], run["setting"], run["ran"]) == ("isgd-gn", "α by itself", "α by itself")
    assert re.fullmatch(r"isgd[-_]optax \d.*", run["package"])
    assert "seconds_to" in run
    assert run["memory_mib"] > 0
    assert run["curve"][-1][3] > 0  # gradients
    monkeypatch.setattr("benchmarks.peers.run_setting", lambda *args, **options: pytest.fail("run again"))
    assert json.loads(json.dumps(study.run()["rows"])) == json.loads(json.dumps(result["rows"]))
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
@pytest.mark.usefixtures("x64_restored")
def test_a_peer_that_runs_out_of_memory_is_recorded_and_the_others_go_on(tmp_path, monkeypatch):
    class Killed(concurrent.futures.Executor):
        killed = ("optimistix BFGS",)

        def __init__(self, workers, mp_context):
            pass

        def submit(self, function, problem, name, *args, **options):
            future = concurrent.futures.Future()
            if name in self.killed:
                future.set_exception(jax.errors.JaxRuntimeError("INTERNAL: Error: Out of memory."))
            else:
                times = dict.fromkeys(_peer_run.THRESHOLDS)
                future.set_result(
                    {"rel_l2": 0.5, "num_steps": 1, "compile_seconds": 1.0, "seconds_to": times}
                    | {"curve": [[0, 0.5, 1, 1]]}
                )
            return future

    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", Killed)
    study = Peers(problem="ode", only=("optimistix BFGS", "isgd-gn", "lbfgs"), out=tmp_path, progress=False)
    result = study.run()
    ran = lambda result: [row["peer"] for row in result["rows"] if "skipped" not in row]
    skipped = lambda result: [
        (r["peer"], r["setting"], r["skipped"]) for r in result["rows"] if "skipped" in r
    ]
    assert sorted(ran(result)) == ["isgd-gn", "lbfgs", "lbfgs"]
    assert skipped(result) == [("optimistix BFGS", "defaults", "Out of memory.")]
    assert "Out of memory" in str(Peers.data(result))
    others = dataclasses.replace(study, only=("sgd",)).run()
    assert skipped(others) == skipped(result)
    assert set(ran(others)) == {"isgd-gn", "lbfgs", "sgd"}

    monkeypatch.setattr(Killed, "killed", ())
    again = study.run()
    assert "optimistix BFGS" in ran(again)
    assert skipped(again) == []


@pytest.mark.usefixtures("x64_restored")
def test_further_seeds_run_each_peers_best_setting(tmp_path, monkeypatch):
    errors = {"memory 10": 0.5, "memory 50": 0.25}
    asked = []

    class Trained(concurrent.futures.Executor):
        def __init__(self, workers, mp_context):
            pass

        def submit(self, function, problem, name, setting, *, seed, **options):
            asked.append((setting, seed))
            future = concurrent.futures.Future()
            times = dict.fromkeys(_peer_run.THRESHOLDS)
            error = errors[setting] * (1 + seed)
            future.set_result(
                {"rel_l2": error, "num_steps": 1, "compile_seconds": 1.0, "seconds_to": times}
                | {"curve": [[0, error, 1, 1]]}
            )
            return future

    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", Trained)
    study = Peers(problem="ode", only=("lbfgs",), out=tmp_path, progress=False)
    study.run()
    result = dataclasses.replace(study, repeat=(1, 2)).run()
    assert asked == [("memory 10", 0), ("memory 50", 0), ("memory 50", 1), ("memory 50", 2)]
    repeats = [row for row in result["rows"] if row["setting"] == "the best"]
    assert [(row["seed"], row["ran"], row["rel_l2"]) for row in repeats] == [
        (1, "memory 50", 0.5),
        (2, "memory 50", 0.75),
    ]
    assert Peers.data(result).rows[0][1:3] == ["memory 50 (of 2)", "5.0e-01 (3: 2.5e-01 to 7.5e-01)"]
    dataclasses.replace(study, repeat=(1, 2)).run()
    assert len(asked) == 4


def test_a_misspelt_peer_is_refused():
    with pytest.raises(ValueError, match=r"no peers \['lbgfs'\]"):
        Peers(problem="ode", only=("lbgfs", "adam")).cells()


def test_each_peer_is_shown_with_its_best_setting():
    measured = {"num_steps": 5, "memory_mib": 1.0, "compile_seconds": 2.0, "seconds_to": {"0.01": None}}
    run = lambda peer, setting, error: {"peer": peer, "setting": setting, "rel_l2": error, **measured}
    theirs = [run("adam", "high", None), run("adam", "low", 1e-2), run("adam", "other", 1)]
    theirs += [{"peer": "adam", "setting": "", "seed": 0, "skipped": "not installed then"}]
    _, *rows = Peers.data({"rows": [run("isgd-gn", "default", 1e-4), *theirs]}).rows
    assert [row[:4] for row in rows] == [["adam", "low (of 3)", "1.0e-02", "1e+02"]]
    diverged = {"rows": [run("isgd-gn", "default", None), *theirs]}  # ours may, too
    assert [row[2:4] for row in Peers.data(diverged).rows] == [["inf", "nan"], ["1.0e-02", "0"]]


@pytest.mark.usefixtures("x64_restored")
@pytest.mark.filterwarnings("ignore")  # other libraries' own
@pytest.mark.parametrize(
    "make",
    [
        lambda loss: _peers.optimistix_levenberg_marquardt(1e-3, loss),
        _peers.optimistix_bfgs,
        lambda loss: _peers.jaxopt_levenberg_marquardt(1e-2, False, loss),
        lambda loss: _peers.somax_gauss_newton("const", 1e-1, loss),
        _peers.ssbroyden,
        lambda loss: _peers.randngd_natural_gradient("cholesky", "eigenvalue", loss),
        lambda loss: _peers.randngd_natural_gradient("nystrom", "gain ratio", loss),
        lambda loss: _peers.nlls_gram_levenberg_marquardt(1e-3, loss),
    ],
    ids=["optimistix", "optimistix BFGS", "jaxopt", "somax", "ssbroyden", "randngd", "nystrom", "nlls_gram"],
)
def test_an_adapted_peer_lowers_the_loss(make):
    jax.config.update("jax_enable_x64", True)
    loss = LeastSquares(Residual(lambda p, x: p[0] * x + p[1] - 2 * x, jax.numpy.linspace(0.0, 1.0, 5)))
    params = jax.numpy.array([0.5, 1.0])
    with jax.numpy_rank_promotion("allow"):
        solver = make(loss)
        state = solver.init(params)
        update = jax.jit(lambda state, params: solver.update(params, state, params))
        start = loss(params)
        for _ in range(20):
            updates, state = update(state, params)
            params = params + updates
        assert loss(params) < 1e-2 * start
