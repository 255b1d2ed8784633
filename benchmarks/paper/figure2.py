"""Figure 2: the singularly perturbed ODE, smooth and with a layer (Eq. 19, Section 4.1, Table 1)."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import pinns
from benchmarks._experiments import Ode
from benchmarks.paper._claims import Claim
from benchmarks.paper._comparison import comparison, stability_claims
from benchmarks.paper._figures import draw_curves, draw_solutions
from benchmarks.paper._study import Case, Study, panels

EPSILONS = (2.0, 0.01)
ALPHAS = (1e-3, 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure2(Study):
    """Figure 2: ODE with ε = 2 and 0.01 (Eq. 19), α = 0.001 and 0.5, every optimiser."""

    name: ClassVar[str] = "figure2"

    def cases(self, seed: int) -> list[Case]:
        """Every optimiser at every learning rate."""
        quick = self.preset == "quick"
        make = lambda epsilon: lambda **chosen: Ode(epsilon=epsilon, preset=self.preset, seed=seed, **chosen)
        return [
            case
            for epsilon in EPSILONS
            for case in comparison(
                f"ε = {epsilon:g}",
                ALPHAS,
                make(epsilon),
                steps=2_000 if quick else None,
                gauss_newton={"time_limit": 5.0 if quick else 600.0},
            )
        ]

    def draw(self, result: dict[str, Any], folder: Path) -> None:
        """Curves and solutions."""
        rows = result["rows"]
        draw_curves(rows, folder / "figure2.png")
        exact = {
            panel: pinns.SingularlyPerturbedODE(float(panel.split()[2].rstrip(","))) for panel in panels(rows)
        }
        draw_solutions(rows, exact, folder / "figure2-solutions.png")

    def claims(self, result: dict[str, Any]) -> list[Claim]:
        """That ISGD is stable where SGD and Adam are not."""
        explicit = {
            f"ε = {epsilon:g}, α = {alpha:g}": trains
            for epsilon in EPSILONS
            for alpha, trains in zip(ALPHAS, (None, False), strict=True)
        }
        return stability_claims(result["rows"], explicit, shortened=result["preset"] == "quick")
