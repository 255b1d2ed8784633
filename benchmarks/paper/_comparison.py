"""The comparison of figures 2 to 6: every optimiser at several learning rates, a panel for each."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks._artefact import Row
from benchmarks._claims import Claim
from benchmarks._optimizers import COMPARED, GAUSS_NEWTON, ISGD_ADAM, Method
from benchmarks.paper._figures import draw_maps, draw_solutions
from benchmarks.paper._panel_claims import Panel, own_alpha_claims, panel_claims
from benchmarks.paper._study import Case, Study

AT_ALPHA = tuple(method for method in COMPARED if method.has_rate and not method.adapts)
WITHOUT_ALPHA = tuple(method for method in COMPARED if method not in AT_ALPHA)


class Comparison(Study):
    """Every optimiser in every panel."""

    panels: ClassVar[tuple[Panel, ...]]
    quick_steps: ClassVar[int]
    seconds: ClassVar[tuple[float, float]]
    """Of Gauss–Newton, with presets quick and paper."""

    def cases(self, seed: int) -> list[Case]:
        """Every optimiser at every learning rate; those without, or with one of their own, in all panels."""
        found = []
        for group in dict.fromkeys(panel.group for panel in self.panels):
            panels = [panel for panel in self.panels if panel.group == group]
            found += [self._case([panel], m, panel.alpha, seed) for panel in panels for m in AT_ALPHA]
            found += [self._case(panels, method, None, seed) for method in WITHOUT_ALPHA]
        return found

    def _case(self, shown: Sequence[Panel], method: Method, alpha: float | None, seed: int) -> Case:
        quick, panel = self.preset == "quick", shown[0]
        options: dict[str, Any] = {"optimizer": method.name, "alpha": alpha, "seed": seed}
        if method.gauss_newton:
            options["time_limit"] = self.seconds[not quick]
        else:
            options["steps"] = self.quick_steps if quick else panel.steps
        if method.line_search:
            options["dtype"] = "float64"  # in float32 its line search ends far from the minimum
        experiment = panel.kind(preset=self.preset, **panel.options, **options)
        return Case(tuple(each.title for each in shown), experiment, group=panel.group)

    @classmethod
    def group(cls, panels: Sequence[str]) -> str:
        """The problem that several panels have in common."""
        return next(panel.group for panel in cls.panels if panel.title == panels[0])

    @classmethod
    def judge(cls, result: Row) -> Iterable[Claim]:
        """What the paper says of every panel, and what Gauss–Newton does with its own α."""
        rows, shortened = result["rows"], result["preset"] == "quick"
        for panel in cls.panels:
            yield from panel_claims(rows, panel, shortened=shortened)
        yield from own_alpha_claims(rows, cls.shown, shortened=shortened)

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Curves and, in 1-D, solutions, or else maps of them and their errors, where the runs are there."""
        rows = result["rows"]
        super().draw(result, folder)
        problems = {panel.title: panel.problem() for panel in cls.panels}
        if all(problem.domain.dim == 1 for problem in problems.values()):
            draw_solutions(rows, problems, folder / f"{cls.name}-solutions.png")
            return
        study, maps = cls(preset=result["preset"], out=folder), {}
        for case in study.cases(min(row["seed"] for row in rows)):
            path = study.place(case) / "prediction.npz"
            if case.experiment.method in (ISGD_ADAM, GAUSS_NEWTON) and path.exists():
                title = f"{case.label}, {case.panels[0]}" if len(case.panels) == 1 else case.label
                maps[title] = path
        if maps:
            draw_maps(maps, folder / f"{cls.name}-maps.png")
