"""The comparison of figures 2 to 6: every optimiser at several learning rates on one problem."""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks._experiment import Experiment
from benchmarks.paper._study import Case

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
