"""What figures 3 and 4 share: a 2-D problem at α = 0.0005 and 0.5 (Sections 4.2 and 4.3)."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from benchmarks._experiments import Helmholtz, Poisson2d
from benchmarks.paper._claims import UNRECORDED, Claim, claim, spread
from benchmarks.paper._comparison import comparison
from benchmarks.paper._figures import draw_curves, draw_maps
from benchmarks.paper._panel_claims import Panel, own_alpha_claims, panel_claims
from benchmarks.paper._rules import every, is_final
from benchmarks.paper._study import LABELS, Case, Study, final, select
from benchmarks.paper._training_claims import has_second_phase

ALPHAS = (5e-4, 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoDimensionalStudy(Study):
    """A 2-D problem solved by every optimiser at α = 0.0005 and 0.5."""

    kind: ClassVar[type[Poisson2d] | type[Helmholtz]]
    error: ClassVar[float]
    iterations: ClassVar[tuple[int, int]]
    """Of Table 1: of SGD and Adam, and of "ISGD, Adam"."""
    explicit_said: ClassVar[bool]
    """Whether the paper's text says that SGD and Adam fail at the larger α."""
    setting: ClassVar[str] = (
        "Preset quick: 4×50 tanh network, 1,000 + 200 random points, 1,500 gradients of Table 1's, half of "
        "them in implicit steps, cosine decay; Gauss–Newton 20 seconds on Sobol points drawn anew every 10 "
        "steps. Preset paper, which is not recorded: 6×100, 4,000 + 400 points, Table 1's counts. What "
        "Gauss–Newton does on the paper's network, with 1,000 + 200 points, is a record of its own below."
    )

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
        """That ISGD is stable where SGD and Adam are not, and how large its largest error is."""
        rows, shortened = result["rows"], result["preset"] == "quick"
        plain, isgd = self.iterations
        claims = []
        for alpha in ALPHAS:
            run = f"python -m benchmarks run {self.kind.name} --preset paper"
            small = alpha == ALPHAS[0]
            panel = Panel(
                alpha,
                plain,
                explicit=small,
                said=self.explicit_said and not small,
                control=f"{run} --optimizer adam --alpha 0.0005 --steps {isgd}",
                control_alpha=alpha if small else None,
                implicit=f"{run} --optimizer isgd-adam --alpha {alpha:g} --implicit-steps {isgd}",
            )
            claims += panel_claims(rows, f"α = {alpha:g}", panel, shortened=shortened)
        claims += own_alpha_claims(rows, shortened=shortened)
        for name in ("isgd-adam", "isgd-lbfgs", "isgd-gn"):
            runs = select(rows, f"α = {ALPHAS[1]:g}", optimizer=name)
            claims.append(self._error_claim(name, runs, shortened=shortened))
        return claims

    def _error_claim(self, name: str, runs: list[dict[str, Any]], *, shortened: bool) -> Claim:
        """That the largest error is small enough, by the same rule as that an optimiser trains."""
        below = self.error
        errors = [final(row, "max_error") for row in runs]
        alpha = "its own α" if name == "isgd-gn" else f"α = {ALPHAS[1]:g}"
        held = every(
            True if error is not None and error < below else False if done else None
            for error, done in zip(errors, (is_final(run, shortened=shortened) for run in runs), strict=True)
        )
        return claim(
            f"{LABELS[name]}, {alpha}: absolute error less than {100 * below:g} %",
            f"largest error {spread(errors)}" if runs else UNRECORDED,
            bool(held) if runs else None,
            decided=held is not None,
            asked=name != "isgd-adam",
            second_phase=has_second_phase(runs),
        )
