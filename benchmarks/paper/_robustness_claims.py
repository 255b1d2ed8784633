"""What the paper says of the learning rate, beside a sweep of it."""

from typing import Any

from benchmarks.paper._claims import Claim, claim, median, number
from benchmarks.paper._rules import MARGIN, TRAINED, Outcome, all_train

ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
IMPLICIT = "-implicit"  # ends the name of a method that makes implicit steps alone
SECOND_PHASES = {"isgd-adam": "adam", "isgd-lbfgs": "lbfgs"}
SECOND_RATE = 1e-3  # of Adam there


def robustness_claims(rows: list[dict[str, Any]], names: dict[str, str]) -> list[Claim]:
    """Whether each optimiser trains at every α and, at the end, how much its second phase does.

    All runs are shorter than the paper's: what has neither trained nor diverged is open.

    Args:
      rows: Errors of an optimiser on a problem for every α, one row a seed; None where it diverged.
      names: Optimisers by the names of the rows.
    """
    found = []
    for problem, optimizer in dict.fromkeys((r["problem"], r["optimizer"]) for r in rows):
        if optimizer == "lbfgs":
            continue  # it has no α
        seeds = _errors(rows, problem, optimizer)
        outcomes: list[Outcome] = [_outcome(error) for errors in seeds for error in errors]
        stable = all_train(outcomes)
        expected = optimizer.startswith("isgd")
        shown = medians(rows, problem, optimizer)
        trained, lost = (outcomes.count(kind) for kind in ("trained", "failed"))
        found.append(
            claim(
                f"{problem}: {names[optimizer]} {'trains at every' if expected else 'is sensitive to'} α",
                f"rel. L2 {number(min(shown))} to {number(max(shown))}; trained at {trained}, diverged at "
                f"{lost} of {len(outcomes)}",
                bool(stable) if expected else not stable,
                decided=stable is not None,
                asked=optimizer.startswith("isgd-gn") or optimizer.endswith(IMPLICIT),
                second_phase=optimizer in SECOND_PHASES,
            )
        )
    problems = dict.fromkeys(row["problem"] for row in rows)
    return found + [c for problem in problems for c in _second_phase_claims(rows, problem, names)]


def _second_phase_claims(rows: list[dict[str, Any]], problem: str, names: dict[str, str]) -> list[Claim]:
    """That the two phases are better than the second one alone, with as many gradients."""
    found = []
    for whole, plain in SECOND_PHASES.items():
        ours, theirs = _errors(rows, problem, whole), _errors(rows, problem, plain)
        if not ours or not theirs:
            continue
        rate = f" at {SECOND_RATE:g}" if plain == "adam" else ""
        k = ALPHAS.index(SECOND_RATE)  # L-BFGS has the same there as at every other
        alone = median(errors[k] for errors in theirs)
        values = medians(rows, problem, whole)
        better = sum(MARGIN * value <= alone for value in values)
        found.append(
            claim(
                f"{problem}: {names[whole]} is better than its second phase alone, {names[plain]}{rate}",
                f"rel. L2 {number(min(values))} to {number(max(values))} against {number(alone)}; at least "
                f"{MARGIN:g}× better at {better} of {len(values)} values of α",
                better == len(values),
                decided=False,
                asked=True,
                second_phase=True,
            )
        )
    return found


def _outcome(error: float | None) -> Outcome:
    if error is None:
        return "failed"
    return "trained" if error <= TRAINED else "open"


def _errors(rows: list[dict[str, Any]], problem: str, optimizer: str) -> list[list[float | None]]:
    """Errors for every α, by seed."""
    return [r["rel_l2"] for r in rows if (r["problem"], r["optimizer"]) == (problem, optimizer)]


def medians(rows: list[dict[str, Any]], problem: str, optimizer: str) -> list[float]:
    """Median error over the seeds for every α, +∞ where it diverged."""
    return [median(values) for values in zip(*_errors(rows, problem, optimizer), strict=True)]
