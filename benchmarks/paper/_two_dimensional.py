"""What figures 3 and 4 share: a 2-D problem at α = 0.0005 and 0.5 (Sections 4.2 and 4.3)."""

from typing import ClassVar

from benchmarks._artefact import Row
from benchmarks._claims import Claim, claim, spread
from benchmarks._experiment import Experiment
from benchmarks._optimizers import GAUSS_NEWTON, ISGD_ADAM, ISGD_LBFGS, Method
from benchmarks.paper._comparison import Comparison
from benchmarks.paper._panel_claims import Panel
from benchmarks.paper._rows import final, select
from benchmarks.paper._rules import all_below
from benchmarks.paper._training_claims import has_second_phase

ALPHAS = (5e-4, 0.5)


def two_panels(kind: type[Experiment], iterations: int, gradients: int, *, said: bool) -> tuple[Panel, ...]:
    """Both learning rates; ``said``: whether the paper's text has SGD and Adam fail at the larger one."""
    return tuple(
        Panel(
            kind=kind,
            alpha=alpha,
            iterations=iterations,
            gradients=gradients,
            rate=ALPHAS[0],
            explicit=alpha == ALPHAS[0],
            said=said and alpha != ALPHAS[0],
        )
        for alpha in ALPHAS
    )


class TwoDimensional(Comparison):
    """A 2-D problem solved by every optimiser at α = 0.0005 and 0.5."""

    error: ClassVar[float]
    """The largest absolute error that the paper states."""
    setting = (
        "Preset quick: 4×50 tanh network, 1,000 + 200 random points, 1,500 gradients of Table 1's, half of "
        "them in implicit steps, cosine decay; Gauss–Newton 20 seconds on Sobol points drawn anew every 10 "
        "steps. Preset paper, which is not recorded: 6×100, 4,000 + 400 points, Table 1's counts. What "
        "Gauss–Newton does on the paper's network, with 1,000 + 200 points, is a record of its own below."
    )
    quick_steps = 1_500
    seconds = (20.0, 600.0)

    @classmethod
    def claims(cls, result: Row) -> list[Claim]:
        """That ISGD is stable where SGD and Adam are not, and how large its largest error is."""
        methods = (ISGD_ADAM, ISGD_LBFGS, GAUSS_NEWTON)
        return [*super().claims(result), *(cls._error_claim(method, result) for method in methods)]

    @classmethod
    def _error_claim(cls, method: Method, result: Row) -> Claim:
        """That the largest error is small enough, by the same rule as that an optimiser trains."""
        runs = select(result["rows"], cls.panels[1].title, optimizer=method.name)
        alpha = "its own α" if method.adapts else f"α = {ALPHAS[1]:g}"
        held = all_below(cls.error, "max_error", runs, shortened=result["preset"] == "quick")
        return claim(
            f"{method.label}, {alpha}: absolute error less than {100 * cls.error:g} %",
            f"largest error {spread(final(run, 'max_error') for run in runs)}",
            held,
            measured=runs,
            asked=method is not ISGD_ADAM,
            second_phase=has_second_phase(runs),
        )
