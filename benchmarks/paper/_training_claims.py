"""Claims about trainings: that an optimiser trains, fails, or does better or as well as another."""

from collections.abc import Callable
from typing import Any

from benchmarks._claims import Claim, claim, number, spread
from benchmarks._optimizers import METHODS
from benchmarks.paper._rows import Rows, by_seed, final
from benchmarks.paper._rules import MARGIN, every, is_better, is_final, trained


def training_claim(
    paper: str,
    runs: Rows,
    trains: bool,
    *,
    shortened: bool,
    flow_time: float | None = None,
    asked: bool = False,
) -> Claim:
    """That an optimiser trains, on every seed, or that it does not, on any; see the rule in ``_rules``.

    Args:
      paper: Statement of the claim, with the optimiser's name.
      runs: Rows of the optimiser, a seed each.
      trains: Whether the paper has it train.
      shortened: Whether the runs are shorter than the paper's.
      flow_time: Flow time of the paper's runs; see :func:`benchmarks.paper._rules.trained`.
      asked: Whether the paper does not say it.
    """
    outcomes = [trained(run, shortened=shortened, flow_time=flow_time) for run in runs]
    errors = spread(final(run, "rel_l2") for run in runs)
    count = f"; {outcomes.count(True)} of {len(runs)} seeds trained" if len(runs) > 1 else ""
    return claim(
        paper,
        ", ".join(filter(None, [f"rel. L2 {errors}{count}", _flow_time(runs, flow_time), phases(runs)])),
        every(outcomes if trains else [each if each is None else not each for each in outcomes]),
        measured=runs,
        asked=asked,
        second_phase=has_second_phase(runs),
    )


def better_claim(paper: str, ours: Rows, others: Rows, *, shortened: bool, **marks: Any) -> Claim:
    """That on every seed the error is at most 1/MARGIN of another's, with the same network and points."""
    return _pairwise(paper, ours, others, is_better, f"at least {MARGIN:g}× better", shortened, **marks)


def close_claim(paper: str, ours: Rows, others: Rows, *, shortened: bool) -> Claim:
    """That on every seed two errors are within a factor of MARGIN of each other."""
    close = lambda a, b: a is not None and b is not None and max(a, b) <= MARGIN * min(a, b)
    return _pairwise(paper, ours, others, close, f"within {MARGIN:g}× of it", shortened)


def error_claim(
    named: str, runs: Rows, limit: float, *, shortened: bool, shown: str = "", asked: bool = True
) -> Claim:
    """That the largest error is small enough, by the same rule as that an optimiser trains."""
    errors = [final(run, "max_error") for run in runs]
    below = [error is not None and error < limit for error in errors]
    return claim(
        f"{named}: absolute error less than {100 * limit:g} %",
        f"largest error {spread(errors)}{shown}",
        every(
            small or (False if is_final(run, shortened=shortened) else None)
            for small, run in zip(below, runs, strict=True)
        ),
        measured=runs,
        asked=asked,
        second_phase=has_second_phase(runs),
    )


def open_claim(paper: str, command: str) -> Claim:
    """A question whose answer nothing recorded gives, with the command that would."""
    return claim(paper, "", None, measured=False, asked=True, command=command)


def has_second_phase(runs: Rows) -> bool:
    """Whether plain steps follow the implicit ones of Algorithm 1 in any run."""
    return any(k2 > 0 for _, k2 in map(_phase_lengths, runs))


def phases(runs: Rows) -> str:
    """K0 and K2 of "ISGD, Adam" or "ISGD, L-BFGS" in words; nothing of other optimisers."""
    known = sorted({_phase_lengths(run) for run in runs} - {(0, 0)})
    plain = next((m.label for run in runs if (m := METHODS[run["optimizer"]].second_phase)), "")
    return "; ".join(
        f"{k0:,} implicit steps, then {k2:,} of {plain}" if k2 else f"{k0:,} implicit steps"
        for k0, k2 in known
    )


def _phase_lengths(run: dict[str, Any]) -> tuple[int, int]:
    """K0 and K2 of Algorithm 1; zeros for another optimiser."""
    if not METHODS[run["optimizer"]].second_phase:
        return 0, 0
    return run["num_implicit_steps"], max(0, run["num_steps"] - run["num_implicit_steps"])


def _flow_time(runs: Rows, flow_time: float | None) -> str:
    """How far along the gradient flow steps of a constant α have come, and how far the paper's go."""
    if flow_time is None or not runs:
        return ""
    return f"flow time {number(max(run['num_steps'] * run['alpha'] for run in runs))} of {flow_time:g}"


def _pairwise(
    paper: str,
    ours: Rows,
    others: Rows,
    relation: Callable[[float | None, float | None], bool],
    text: str,
    shortened: bool,
    *,
    command: str = "",
    asked: bool = False,
) -> Claim:
    """A relation of the errors of two optimisers, seed by seed; decided where both runs are final."""
    pairs = by_seed(ours, others)
    holds = [relation(final(a, "rel_l2"), final(b, "rel_l2")) for a, b in pairs]  # as the runs stand
    known = [all(is_final(run, shortened=shortened) for run in pair) for pair in pairs]
    shown = " against ".join(spread(final(run, "rel_l2") for run in runs) for runs in (ours, others))
    return claim(
        paper,
        f"rel. L2 {shown}; {text} on {sum(holds)} of {len(pairs)} seeds",
        every(held if decided else None for held, decided in zip(holds, known, strict=True)),
        measured=pairs,
        command=command,
        asked=asked,
        second_phase=has_second_phase(ours),
    )
