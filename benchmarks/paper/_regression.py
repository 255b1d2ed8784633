"""What figures 5 and 6 share: a function approximated at four learning rates (Appendix C.1)."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Literal

import pinns
from benchmarks._experiments import Regression
from benchmarks.paper._claims import Claim
from benchmarks.paper._comparison import comparison, stability_claims
from benchmarks.paper._figures import draw_curves, draw_solutions
from benchmarks.paper._study import Case, Study, panels

# "up to 350 K" epochs at the smallest, "35 k" at the next, "smaller epochs" at the others.
PAPER_STEPS = {0.005: 350_000, 0.05: 35_000, 0.5: 35_000, 2.5: 35_000}
QUICK_STEPS = 3_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegressionStudy(Study):
    """A function approximated by every optimiser at α = 0.005, 0.05, 0.5 and 2.5."""

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
        explicit = {
            f"α = {alpha:g}": trains for alpha, trains in zip(PAPER_STEPS, self.explicit, strict=True)
        }
        shortened = result["preset"] == "quick"
        return stability_claims(result["rows"], explicit, shortened=shortened)
