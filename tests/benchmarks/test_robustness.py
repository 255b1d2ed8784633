import dataclasses

import pytest

from benchmarks.paper.robustness import ALPHAS, Robustness

pytestmark = pytest.mark.usefixtures("x64_restored")


@pytest.mark.slow
def test_robustness_records_divergence_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    study = Robustness(
        problems=("Eq. 46",),
        only=("sgd", "lbfgs", "isgd-adam-implicit", "isgd-gn"),
        steps=300,
        gauss_newton_steps=3,
        out=tmp_path,
    )
    result = study.run()
    sgd, lbfgs, implicit, ours = result["rows"]
    assert len(lbfgs["rel_l2"]) == len(ALPHAS)
    assert len(set(lbfgs["rel_l2"])) == 1
    assert not any("L-BFGS" in claim.paper for claim in study.claims(result))  # it has no α
    # Three implicit steps of α = 1e-4 lead nowhere, whatever would come after them.
    assert implicit["rel_l2"][0] > 0.9
    assert len(sgd["rel_l2"]) == len(ALPHAS)
    assert sgd["rel_l2"][-1] is None
    assert sgd["rel_l2"][2] is not None
    assert all(error is not None for error in ours["rel_l2"])
    assert (ours["dtype"], ours["steps"]) == ("float64", 3)
    assert (tmp_path / "robustness.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(Robustness, "measure", lambda self, **cell: pytest.fail("trained again"))
    monkeypatch.setattr("sys.argv", ["benchmarks", "another", "command"])
    assert study.run()["calls"] == result["calls"]
    with pytest.raises(ValueError, match=r"begins with any of .*'heat'.*there are .*'Helmholtz'"):
        dataclasses.replace(study, problems=("heat",)).run()
    with pytest.raises(ValueError, match=r"holds sgd on Eq. 46 with 300 steps, not 400.*--out"):
        dataclasses.replace(study, steps=400).run()


@pytest.mark.parametrize(
    ("optimizer", "errors", "verdict"),
    [
        ("isgd-adam", [0.1] * 6 + [0.3], "undecided"),  # more steps could mend each of them
        ("isgd-adam", [0.01] * 6 + [0.9], "undecided"),
        ("isgd-adam", [1e-6] * 6 + [0.04], "holds"),  # trained, if 4e4 times worse
        ("isgd-adam", [0.01] * 6 + [None], "does not hold"),  # nothing mends this
        ("isgd-adam", [0.9] * 7, "undecided"),
        ("adam", [0.01] * 3 + [0.9] * 4, "undecided"),
        ("adam", [0.01] * 7, "does not hold"),
        ("adam", [0.9] * 7, "undecided"),
        ("sgd", [0.01] * 3 + [None] * 4, "holds"),
        ("sgd", [0.9] * 3 + [None] * 4, "undecided"),  # where it does not train, α need not be the cause
    ],
)
def test_robustness_decides_nothing_that_a_longer_run_could_turn(optimizer, errors, verdict):
    row = {"problem": "Helmholtz", "optimizer": optimizer, "steps": 1, "rel_l2": errors}
    assert [claim.verdict for claim in Robustness.claims({"rows": [row]})] == [verdict]
    if verdict == "holds":  # every seed must bear it out
        lost = row | {"rel_l2": [0.01] * 6 + [None]}
        other = "does not hold" if optimizer.startswith("isgd") else "holds"
        assert [claim.verdict for claim in Robustness.claims({"rows": [row, lost]})] == [other]


def test_robustness_asks_what_the_second_phase_does_alone():
    row = lambda optimizer, error: {
        "problem": "Eq. 45",
        "optimizer": optimizer,
        "steps": 1,
        "rel_l2": [error] * len(ALPHAS),
    }
    found = Robustness.claims({"rows": [row("isgd-adam", 0.01), row("adam", 0.03)]})
    alone = next(claim for claim in found if "second phase alone" in claim.paper)
    assert (alone.verdict, alone.asked) == ("undecided", True)
    assert "better at 7 of 7" in alone.ours
    assert next(claim for claim in found if "trains at every" in claim.paper).second_phase
