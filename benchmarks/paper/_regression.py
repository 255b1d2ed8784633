"""What figures 5 and 6 share: a function approximated at four learning rates (Appendix C.1)."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Literal

import pinns
from benchmarks._experiments import Regression
from benchmarks.paper._claims import Claim
from benchmarks.paper._comparison import comparison
from benchmarks.paper._figures import draw_curves, draw_solutions
from benchmarks.paper._panel_claims import Panel, own_alpha_claims, panel_claims
from benchmarks.paper._study import Case, Study, panels

# "up to 350 K" epochs at the smallest, "35 k" at the next, "smaller epochs" at the others.
PAPER_STEPS = {0.005: 350_000, 0.05: 35_000, 0.5: 35_000, 2.5: 35_000}
QUICK_STEPS = 3_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegressionStudy(Study):
    """A function approximated by every optimiser at α = 0.005, 0.05, 0.5 and 2.5."""

    setting: ClassVar[str] = (
        "4×50 tanh network, all points, float32 (L-BFGS and Gauss–Newton float64). The paper gives "
        '"up to 350 K" epochs at α = 0.005, "35k" at 0.05, fewer at 0.5 and 2.5: 350,000 and 35,000 '
        "gradients here, a seventh of them in implicit steps of K1 = 100, the rest in the second phase, Adam "
        "at 0.001. Its epochs may as well be implicit steps and no second phase follow (350 K at 0.005 and "
        '35 K at 0.05 are the same flow time): that is not recorded with Adam inside. "ISGD, L-BFGS" was '
        "recorded with five sixths of its budget in implicit steps."
    )
    function: ClassVar[Literal["multiscale", "discontinuous"]]
    explicit: ClassVar[tuple[bool, ...]]
    """Whether the paper has SGD and Adam train, for every α."""

    def cases(self, seed: int) -> list[Case]:
        """Every optimiser at every learning rate."""
        quick = self.preset == "quick"
        make = lambda **chosen: Regression(function=self.function, preset=self.preset, seed=seed, **chosen)
        return comparison(
            "",
            tuple(PAPER_STEPS),
            make,
            steps=QUICK_STEPS if quick else PAPER_STEPS,
            gauss_newton={"time_limit": 4.0 if quick else 120.0},
        )

    def draw(self, result: dict[str, Any], folder: Path) -> None:
        """Curves and solutions."""
        rows = result["rows"]
        draw_curves(rows, folder / f"{self.name}.png")
        exact = dict.fromkeys(panels(rows), pinns.FunctionApproximation(self.function))
        draw_solutions(rows, exact, folder / f"{self.name}-solutions.png")

    def claims(self, result: dict[str, Any]) -> list[Claim]:
        """That ISGD is stable where SGD and Adam are not."""
        rows, shortened = result["rows"], result["preset"] == "quick"
        claims = []
        for (alpha, steps), trains in zip(PAPER_STEPS.items(), self.explicit, strict=True):
            run = f"python -m benchmarks run regression --function {self.function} --preset paper"
            panel = Panel(
                alpha,
                steps,
                explicit=trains,
                lbfgs=True,
                epochs=True,
                control=f"{run} --optimizer adam --alpha 0.001 --steps {steps}",
                implicit=f"{run} --optimizer isgd-adam --alpha {alpha:g} --steps {100 * steps} "
                f"--implicit-steps {100 * steps}",
            )
            claims += panel_claims(rows, f"α = {alpha:g}", panel, shortened=shortened)
        return [*claims, *own_alpha_claims(rows, shortened=shortened)]
