import pytest

from benchmarks._claims import Claim
from benchmarks._reproduction import group
from benchmarks.overhead import Overhead
from benchmarks.paper import trainings
from benchmarks.paper._stiff_claims import stiff_claims
from benchmarks.paper._table2_claims import PAPER, table2_claims
from benchmarks.paper._training_claims import better_claim, close_claim, training_claim
from benchmarks.paper.comparisons import Figure2, Figure3, Figure4, Figure5
from benchmarks.paper.contraction import Contraction
from benchmarks.paper.figure1 import Figure1


def run(optimizer, error, *, seed=0, alpha=0.5, steps=100, stop="num_steps", implicit=0, panel="α = 0.5"):
    return {
        "optimizer": optimizer, "rel_l2": error, "max_error": error, "seed": seed, "alpha": alpha,
        "num_steps": steps, "num_implicit_steps": implicit, "stop_reason": stop, "panels": [panel],
    }  # fmt: skip


def of(claims, text):
    found = [c for c in claims if text in c.paper]
    assert len(found) == 1, (text, found)
    return found[0]


@pytest.mark.parametrize(
    ("optimizer", "error", "verdict"),
    [
        ("isgd-adam", 0.9, "does not hold"),
        ("isgd-lbfgs", 0.9, "undecided"),  # "until convergence", here until a number of steps
        ("isgd-gn", 0.9, "undecided"),
        ("isgd-gn-constant", 0.9, "undecided"),
        ("isgd-gn-constant", 0.01, "holds"),
    ],
)
def test_a_run_of_full_length_decides_where_the_paper_has_a_length(optimizer, error, verdict):
    assert training_claim("p", [run(optimizer, error)], True, shortened=False).verdict == verdict


@pytest.mark.parametrize(("steps", "verdict"), [(200, "undecided"), (120_000, "does not hold")])
def test_solved_steps_of_a_constant_alpha_are_judged_by_their_flow_time(steps, verdict):
    row = run("isgd-gn-constant", 2.5, alpha=1e-3, steps=steps)
    claim = training_claim("p", [row], True, shortened=False, flow_time=120.0)
    assert claim.verdict == verdict
    assert "of 120" in claim.ours
    panel = row | {"panels": ["ε = 2, α = 0.001"]}
    found = Figure2().claims({"preset": "paper", "rows": [panel]})
    assert of(found, "ε = 2, α = 0.001: implicit steps solved").verdict == verdict


def test_one_failed_seed_decides_whatever_the_others_leave_open():
    rows = [run("adam", None, stop="diverged"), run("adam", 0.9, seed=1, stop="time_limit")]
    assert training_claim("p", rows, True, shortened=False).verdict == "does not hold"
    assert training_claim("p", rows, False, shortened=False).verdict == "undecided"
    assert training_claim("p", rows[:1], False, shortened=True).verdict == "holds"


def test_better_and_close_are_judged_seed_by_seed():
    sgd = [run("sgd", 4e-4), run("sgd", 8e-4, seed=1)]
    assert better_claim("p", [run("isgd-adam", 1e-4)], sgd, shortened=False).verdict == "holds"
    worse = [run("isgd-adam", 1e-4), run("isgd-adam", 7e-4, seed=1)]
    assert better_claim("p", worse, sgd, shortened=False).verdict == "does not hold"
    undecided = better_claim("p", worse, sgd, shortened=True)
    assert undecided.verdict == "undecided"
    assert "at least 2× better on 1 of 2 seeds" in undecided.ours  # as they stand
    assert close_claim("p", [run("isgd-adam", 7e-4)], sgd, shortened=False).verdict == "holds"
    assert close_claim("p", [run("isgd-adam", 4e-3)], sgd, shortened=False).verdict == "does not hold"
    assert close_claim("p", [run("isgd-adam", 4e-4, seed=9)], sgd, shortened=False).verdict == "not measured"


def test_what_holds_with_a_second_phase_has_a_heading_of_its_own():
    both = training_claim("p", [run("isgd-adam", 0.01, steps=30_050, implicit=50)], True, shortened=False)
    alone = training_claim("p", [run("isgd-adam", 0.01, steps=50, implicit=50)], True, shortened=False)
    assert group(both) == "Hold with a second phase"
    assert "50 implicit steps, then 30,000 of Adam" in both.ours
    assert group(alone) == "Hold"
    assert group(Claim("p", "o", "does not hold", second_phase=True)) == "Do not hold"


@pytest.mark.parametrize(
    ("error", "preset", "verdict"),
    [(1e-3, "quick", "holds"), (3e-3, "quick", "undecided"), (3e-3, "paper", "does not hold")],
)
def test_the_largest_error_of_figure_3_is_judged_as_a_training_is(error, preset, verdict):
    found = Figure3().claims({"preset": preset, "rows": [run("isgd-adam", error)]})
    claim = of(found, "ISGD, Adam, α = 0.5: absolute error less than 0.2 %")
    assert (claim.verdict, claim.asked) == (verdict, False)
    found = Figure3().claims({"preset": preset, "rows": [run("isgd-gn", error, stop="target")]})
    expected = "holds" if error < 2e-3 else "undecided"  # it stopped at a target of its own
    assert of(found, "its own α: absolute error").verdict == expected


def test_figure_4_counts_nothing_of_sgd_and_adam_as_said():
    rows = [run("sgd", 40.0, alpha=5e-4, stop="diverged", panel="α = 0.0005")]
    found = Figure4().claims({"preset": "quick", "rows": rows})
    claim = of(found, "α = 0.0005: SGD trains")
    assert (claim.verdict, claim.asked) == ("does not hold", True)
    assert of(found, "α = 0.5: SGD does not converge").asked
    assert not of(Figure3().claims({"preset": "quick", "rows": rows}), "α = 0.5: SGD does not converge").asked


def test_the_paper_says_of_a_large_alpha_that_sgd_fails_for_the_small_epsilon_only():
    found = Figure2().claims({"preset": "paper", "rows": []})
    assert of(found, "ε = 2, α = 0.5: SGD does not converge").asked
    assert not of(found, "ε = 0.01, α = 0.5: SGD does not converge").asked


@pytest.mark.parametrize("largest", [1.1e4, 8e4])
def test_an_eigenvalue_at_parameters_that_the_paper_does_not_name_decides_nothing(largest):
    spectra = [
        {"panel": panel, "at": at, "hessian_largest": factor * largest}
        for panel, factor in (("u_L", 1), ("u_H", 1e5))
        for at in ("start", "end of Adam")
    ]
    found = Figure1().claims({"rows": [], "spectra": spectra})
    assert of(found, "u_L: largest eigenvalue").verdict == "undecided"
    assert of(found, "rises significantly").verdict == "holds"
    moved = [s | ({"hessian_largest": largest} if s["at"] == "start" else {}) for s in spectra]
    assert of(Figure1().claims({"rows": [], "spectra": moved}), "rises").verdict == "undecided"
    flat = [s | {"hessian_largest": largest} for s in spectra]
    assert of(Figure1().claims({"rows": [], "spectra": flat}), "rises").verdict == "does not hold"
    assert of(Figure1().claims({"rows": []}), "rises").verdict == "not measured"


def quadratic(**decays):
    """Rows of the stiff quadratic with these decays of GD by α."""
    exact = {"actual": -1.0, "predicted": -1.0}
    return [
        {
            "alpha": float(alpha), "gd_decay": decay, "gd_bound": decay,
            "igd_decay": 0.5 / k, "igd_bound": 0.5 / k,
            "igd_steps": 10, "adam_steps": 5, "gd_loss_decay": exact, "igd_loss_decay": exact,
        }
        for k, (alpha, decay) in enumerate(decays.items(), 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("decays", "verdict"),
    [
        ({"1e-5": 1 - 2e-9, "1e-4": 1 - 2e-8, "3.2e-4": 4.7}, "holds"),
        ({"1e-5": 2.0, "1e-4": 3.0}, "not measured"),  # unstable everywhere
        ({"1e-5": 1 - 2e-9, "1e-4": 3.0}, "does not hold"),
        ({"1e-4": 1 - 2e-8, "1e-3": 0.99, "1e-2": 9.0}, "does not hold"),
    ],
)
def test_the_stability_limit_of_gd_can_be_missed_on_either_side(decays, verdict):
    assert of(stiff_claims(quadratic(**decays)), "GD is stable up to").verdict == verdict


def test_equations_of_the_stiff_quadratic_are_judged():
    rows = quadratic(**{"1e-4": 1 - 2e-8, "3.2e-4": 4.7})
    found = stiff_claims(rows)
    for equation in ("Eq. 7:", "Eq. 8:", "Eq. 10:", "Eq. 11:", "at least O(1e8)"):
        assert of(found, equation).verdict == "holds"
    assert of(found, "½·1/max").verdict == "does not hold"
    wrong = [row | {"igd_loss_decay": {"actual": -1.1, "predicted": -1.0}, "igd_decay": 0.7} for row in rows]
    for equation in ("Eq. 8:", "Eq. 11:", "smaller for larger α"):
        assert of(stiff_claims(wrong), equation).verdict == "does not hold"


def test_contraction_judges_equation_11_where_the_step_is_solved_and_asks_the_rest():
    panel = {"step": 0, "alpha": 1.0, "residual": 1e-6, "within_10_percent": 0.5}
    decay = lambda actual: {"loss_decay": {"actual": actual, "predicted": -1.0}}
    unsolved = panel | {"alpha": 100.0, "residual": 0.02} | decay(-0.5)
    found = Contraction.claims({"rows": [panel | decay(-1.0), unsolved]})
    assert of(found, "Eq. 11").verdict == "holds"
    assert of(found, "always decays").verdict == "holds"
    modes = of(found, "Eq. 27 without I₀")
    assert (modes.verdict, modes.asked) == ("does not hold", True)
    only = of(Contraction.claims({"rows": [unsolved]}), "Eq. 27 without I₀")
    assert only.verdict == "undecided"  # no step that solves its equation
    assert of(Contraction.claims({"rows": [panel | decay(-0.9)]}), "Eq. 11").verdict == "does not hold"
    assert of(Contraction.claims({"rows": [panel | decay(0.1)]}), "always").verdict == "does not hold"


def test_table_2_needs_every_seed_and_every_accuracy():
    row = lambda name, paper, seed=0, **changed: {
        "optimizer": name, "batch": 32, "seed": seed,
        "accuracy": [changed.get(f"a{k}", v) for k, v in enumerate(PAPER[paper, 32])],
    }  # fmt: skip
    rows = [row("ISGD, L-BFGS", "ISGD"), row("SGD", "SGD"), row("Adam", "Adam")]
    found = table2_claims(rows, is_mnist=True)
    assert of(found, "b = 32, ISGD, L-BFGS: the paper's accuracies").verdict == "holds"
    assert of(found, "b = 32: ISGD, L-BFGS is as accurate as SGD").verdict == "holds"
    assert of(found, "b = 32: ISGD, L-BFGS is as accurate as Adam").verdict == "does not hold"
    off = table2_claims([*rows, row("SGD", "SGD", seed=1, a4=0.3, a5=0.9)], is_mnist=True)
    accuracies = of(off, "b = 32, SGD: the paper's accuracies")
    assert accuracies.verdict == "does not hold"
    assert "4 of 6" in accuracies.ours
    assert of(off, "b = 32, SGD: collapses").verdict == "does not hold"
    assert all(claim.asked for claim in table2_claims(rows, is_mnist=False))


def test_the_cost_beside_adam_is_judged_in_every_pair():
    ratios = lambda largest: {
        "rows": [{"ratio_to_adam": {"isgd": {"median": 1.0, "min": 0.9, "max": largest}}}]
    }
    assert Overhead.claims(ratios(1.2))[0].verdict == "holds"
    assert Overhead.claims(ratios(2.0))[0].verdict == "does not hold"


def test_single_trainings_that_stopped_at_a_target_leave_a_larger_error_open():
    summary = lambda error: run("isgd-gn", 1e-4, stop="target") | {"max_error": error}
    summaries = {f"poisson2d-paper-isgd-gn-seed{k}": summary(e) for k, e in enumerate((9e-4, 2.6e-3))}
    claim = trainings.claims(summaries)[0]
    assert (claim.verdict, claim.asked) == ("undecided", True)
    assert "1 of 2 seeds" in claim.ours


def test_figure_5_asks_what_its_second_phase_does_and_whether_isgd_is_close_to_sgd():
    row = lambda name, error, alpha: run(
        name, error, alpha=alpha, steps=300_500, implicit=500, panel="α = 0.005"
    )
    rows = [row("isgd-adam", 0.004, 0.005), row("sgd", 0.037, 0.005)]
    found = Figure5().claims({"preset": "paper", "rows": rows})
    assert of(found, "very close to SGD").verdict == "does not hold"
    control = of(found, "α = 0.05: ISGD, Adam is better than its second phase alone")
    assert control.command.endswith("--optimizer adam --alpha 0.001 --steps 35000")
    implicit = of(found, "α = 0.05: ISGD, Adam trains without a second phase")
    assert "--implicit-steps 3500000" in implicit.command
