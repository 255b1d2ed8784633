"""What figures 3 and 4 share: a 2-D problem at α = 0.0005 and 0.5 (Sections 4.2 and 4.3)."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from benchmarks._experiments import Helmholtz, Poisson2d
from benchmarks.paper._claims import Claim, claim, spread
from benchmarks.paper._comparison import comparison, stability_claims
from benchmarks.paper._figures import draw_curves, draw_maps
from benchmarks.paper._study import LABELS, Case, Study, final, select

ALPHAS = (5e-4, 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoDimensionalStudy(Study):
    """A 2-D problem solved by every optimiser at α = 0.0005 and 0.5."""

    kind: ClassVar[type[Poisson2d] | type[Helmholtz]]
    error: ClassVar[float]

    def cases(self, seed: int) -> list[Case]:
        """Every optimiser at every learning rate."""
        quick = self.preset == "quick"
        make = lambda **chosen: self.kind(preset=self.preset, seed=seed, **chosen)
        return comparison(
            "",
            ALPHAS,
            make,
            steps=1_500 if quick else None,
            gauss_newton={"time_limit": 20.0 if quick else 600.0},
        )

    def draw(self, result: dict[str, Any], folder: Path) -> None:
        """Curves and solutions."""
        rows = result["rows"]
        draw_curves(rows, folder / f"{self.name}.png")
        seed = min(row["seed"] for row in rows)
        maps = {}
        for case in self.cases(seed):
            path = folder / "runs" / case.slug / "prediction.npz"
            if case.experiment.optimizer in ("isgd-adam", "isgd-gn") and path.exists():
                title = f"{case.label}, {case.panels[0]}" if len(case.panels) == 1 else case.label
                maps[title] = path
        if maps:
            draw_maps(maps, folder / f"{self.name}-maps.png")

    def claims(self, result: dict[str, Any]) -> list[Claim]:
        """That ISGD is stable where SGD and Adam are not."""
        small, large = (f"α = {alpha:g}" for alpha in ALPHAS)
        explicit = {small: None, large: False}
        shortened = result["preset"] == "quick"
        claims = stability_claims(result["rows"], explicit, shortened=shortened)
        for name in ("isgd-adam", "isgd-lbfgs", "isgd-gn"):
            runs = select(result["rows"], large, optimizer=name)
            errors = [final(row, "max_error") for row in runs]
            below = all(error is not None and error < self.error for error in errors)
            alpha = "its own α" if name == "isgd-gn" else large
            claims.append(
                claim(
                    f"absolute error less than {100 * self.error:g} %",
                    f"{LABELS[name]}, {alpha}: largest error {spread(errors)}",
                    below if runs else None,
                    decided=below or not shortened,
                )
            )
        return claims
