"""The one rule by which trainings are judged, for every row and every seed.

A training has *trained* if its relative L2 error is at most :data:`TRAINED`. It has *failed* if it diverged,
or if it has not trained and is at least as long as the paper's. Else it is *open*: a longer run could still
turn it. An optimiser trains if every seed has trained, and does not as soon as one has failed; it trains
nowhere if every seed has failed. What open trainings leave open is undecided.
"""

from collections.abc import Iterable
from typing import Any

from benchmarks._optimizers import METHODS
from benchmarks.paper._rows import final

TRAINED = 5e-2  # relative L2 error up to which a network counts as trained; the cut is ours, not the paper's
MARGIN = 2.0  # "better", and at most this "close": the paper's words have no numbers
ROUNDING = 1e-9  # of a flow time, a product of the same numbers in another order


def trained(run: dict[str, Any], *, shortened: bool, flow_time: float | None = None) -> bool | None:
    """Whether a run, a row of a study, has trained, True, or failed, False; None where it is open.

    Args:
      run: Row with ``optimizer``, ``stop_reason``, ``rel_l2`` and, for isgd-gn-constant, ``num_steps`` and
        ``alpha``.
      shortened: Whether it has fewer iterations than the paper's.
      flow_time: The paper's iterations times α, with which steps of backward Euler are compared: each is
        worth what α is. None where the paper does not say.
    """
    error = final(run, "rel_l2")
    good = error is not None and error <= TRAINED
    return good or (False if is_final(run, shortened=shortened, flow_time=flow_time) else None)


def is_final(run: dict[str, Any], *, shortened: bool, flow_time: float | None = None) -> bool:
    """Whether a run is as long as the paper's, or diverged; see :func:`trained`.

    L-BFGS, which the paper runs "until convergence", ends here by its number of steps, and Gauss–Newton with
    its own α, which the paper has not, by a target or time: neither is ever as long as the paper's.
    """
    if run["stop_reason"] == "diverged":
        return True
    method = METHODS[run["optimizer"]]
    if method.line_search or method.adapts:
        return False
    if method.gauss_newton:
        return flow_time is not None and run["num_steps"] * run["alpha"] >= flow_time * (1 - ROUNDING)
    return not shortened and run["stop_reason"] == "num_steps"


def is_better(error: float | None, other: float | None) -> bool:
    """Whether an error is at most 1/MARGIN of another; None is that of a run that diverged."""
    return error is not None and (other is None or MARGIN * error <= other)


def every(values: Iterable[bool | None]) -> bool | None:
    """Whether all are true, in three-valued logic.

    Examples:
      >>> every([True, None]), every([False, None]), every([True, True])
      (None, False, True)
    """
    values = list(values)
    if False in values:
        return False
    return None if None in values else True
