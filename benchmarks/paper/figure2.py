"""Figure 2: the singularly perturbed ODE, smooth and with a layer (Eq. 19, Section 4.1, Table 1)."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import pinns
from benchmarks._experiments import Ode
from benchmarks.paper._claims import Claim
from benchmarks.paper._comparison import comparison
from benchmarks.paper._figures import draw_curves, draw_solutions
from benchmarks.paper._panel_claims import Panel, own_alpha_claims, panel_claims
from benchmarks.paper._study import LABELS, Case, Study, panels, select
from benchmarks.paper._training_claims import better_claim

EPSILONS = (2.0, 0.01)
ALPHAS = (1e-3, 0.5)
ITERATIONS = {2.0: (120_000, 102_000), 0.01: (400_000, 360_000)}  # Table 1: of SGD and Adam, of "ISGD, Adam"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure2(Study):
    """Figure 2: ODE with ε = 2 and 0.01 (Eq. 19), α = 0.001 and 0.5, every optimiser."""

    name: ClassVar[str] = "figure2"
    setting: ClassVar[str] = (
        "4×50 tanh network, 400 random points, batches of 40 at α = 0.001; Table 1's iteration counts "
        "with preset paper. Table 1 gives totals alone: 2,000 of 102,000 gradients (ε = 2) and 60,000 of "
        "360,000 (ε = 0.01) lie in implicit steps of K1 = 100 here, the rest in the second phase, Adam at "
        "0.001; Adam at α = 0.001, beside which it stands, makes 120,000 and 400,000. L-BFGS makes 10,000 "
        "steps after the implicit ones, in float64 on all points; Gauss–Newton 200 steps at a constant α, "
        'or as many as reach 1e-6 with its own. Table 1 has "ISGD, Adam" alone.'
    )

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
        """That ISGD is stable where SGD and Adam are not, and for ε = 2 better than both."""
        rows, shortened = result["rows"], result["preset"] == "quick"
        claims = []
        for epsilon in EPSILONS:
            for alpha in ALPHAS:
                title = f"ε = {epsilon:g}, α = {alpha:g}"
                claims += panel_claims(rows, title, _panel(epsilon, alpha), shortened=shortened)
                if epsilon == EPSILONS[0]:
                    claims += [
                        better_claim(
                            f"{title}: ISGD, Adam significantly improves the convergence of {LABELS[name]}",
                            select(rows, title, optimizer="isgd-adam"),
                            select(rows, title, optimizer=name),
                            shortened=shortened,
                        )
                        for name in ("sgd", "adam")
                    ]
        return [*claims, *own_alpha_claims(rows, shortened=shortened)]


def _panel(epsilon: float, alpha: float) -> Panel:
    """What Section 4.1 says: that SGD and Adam fail at a large α stands in its passage on ε = 0.01."""
    plain, isgd = ITERATIONS[epsilon]
    run = f"python -m benchmarks run ode --epsilon {epsilon:g} --preset paper"
    small = alpha == ALPHAS[0]
    return Panel(
        alpha,
        plain,
        explicit=small,
        said=not small and epsilon == EPSILONS[1],
        control=f"{run} --optimizer adam --alpha 0.001 --batch-size 400 --steps {isgd}",
        control_alpha=alpha if small else None,
        implicit=f"{run} --optimizer isgd-adam --alpha {alpha:g} --implicit-steps {isgd}",
    )
