"""The comparison of figures 2 to 6: every optimiser at several learning rates on one problem."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks._experiments import Experiment
from benchmarks.paper._claims import Claim, claim, spread
from benchmarks.paper._study import LABELS, Case, common_title, final, select

TRAINED = 5e-2  # relative L2 error up to which a network counts as trained
WITH_ALPHA = ("sgd", "adam", "isgd-adam", "isgd-lbfgs", "isgd-gn-constant")


def comparison(
    title: str,
    alphas: Sequence[float],
    make: Callable[..., Experiment],
    *,
    steps: dict[float, int] | int | None = None,
    gauss_newton: dict[str, Any] | None = None,
) -> list[Case]:
    """Each optimiser at each α, a panel for every α; those without an α of their own in all panels.

    Args:
      title: what the panels' names begin with.
      alphas: learning rates.
      make: ``make(optimizer=..., alpha=..., ...)``, the experiment.
      steps: iterations instead of the preset's, of the optimisers that are not Gauss–Newton, by α or
        for all.
      gauss_newton: further options of those that are.
    """
    panels = {alpha: f"{title}, α = {alpha:g}" if title else f"α = {alpha:g}" for alpha in alphas}

    def case(shown: Sequence[float], optimizer: str, alpha: float | None) -> Case:
        options: dict[str, Any] = {"optimizer": optimizer, "alpha": alpha}
        if optimizer.startswith("isgd-gn"):
            options |= gauss_newton or {}
        else:
            options["steps"] = steps[shown[0]] if isinstance(steps, dict) else steps
        if optimizer.endswith("lbfgs"):
            options["dtype"] = "float64"  # in float32 its line search ends far from the minimum
        return Case(tuple(panels[a] for a in shown), make(**options))

    cases = [case([alpha], name, alpha) for alpha in alphas for name in WITH_ALPHA]
    return [*cases, *(case(alphas, name, None) for name in ("lbfgs", "isgd-gn"))]


def training_claim(
    paper: str, runs: Sequence[dict[str, Any]], trains: bool, *, name: str = "", shortened: bool
) -> Claim:
    """That an optimiser trains, on every seed, or that it does not, on any.

    Args:
      paper: the claim.
      runs: the optimiser's rows, a seed each.
      trains: whether the paper has it train.
      name: of the optimiser, unless the claim says it.
      shortened: whether the runs are shorter than the paper's. What was shortened, or ended by its time,
        and has neither trained nor diverged decides nothing.
    """
    errors = [final(run, "rel_l2") for run in runs]
    trained = [error is not None and error <= TRAINED for error in errors]
    open_ended = any(
        not done and error is not None and (shortened or run["stop_reason"] == "time_limit")
        for done, error, run in zip(trained, errors, runs, strict=True)
    )
    holds = all(trained) if trains else not any(trained)
    lost = None in errors if trains else any(trained)  # no further step could mend it
    count = f"; {sum(trained)} of {len(runs)} seeds trained" if len(runs) > 1 else ""
    return claim(
        paper,
        f"{name}: rel. L2 {spread(errors)}{count}".removeprefix(": "),
        holds if runs else None,
        decided=lost or not open_ended,
    )


def stability_claims(
    rows: list[dict[str, Any]], explicit: Mapping[str, bool | None], *, shortened: bool
) -> list[Claim]:
    """That ISGD trains at every α, and what the paper says of SGD and Adam.

    Args:
      rows: the study's.
      explicit: of every panel, whether the paper has SGD and Adam train there; None where it does not say.
      shortened: see :func:`training_claim`.
    """
    claims = []
    for panel, trains in explicit.items():
        for name in ("isgd-adam", "isgd-lbfgs", "isgd-gn-constant"):
            runs = select(rows, panel, optimizer=name)
            paper = f"{panel}: ISGD trains well"
            claims.append(training_claim(paper, runs, True, name=LABELS[name], shortened=shortened))
        for name in ("sgd", "adam") if trains is not None else ():
            paper = f"{panel}: {LABELS[name]} {'trains well' if trains else 'does not converge'}"
            runs = select(rows, panel, optimizer=name)
            claims.append(training_claim(paper, runs, bool(trains), shortened=shortened))
    ours = [row for row in rows if row["optimizer"] == "isgd-gn"]
    for panels in dict.fromkeys(tuple(row["panels"]) for row in ours):
        runs = select(ours, panels[0])
        paper = f"{common_title(panels)}: ISGD trains well".removeprefix(": ")
        claims.append(
            training_claim(paper, runs, True, name=f"{LABELS['isgd-gn']}, its own α", shortened=shortened)
        )
    return claims
