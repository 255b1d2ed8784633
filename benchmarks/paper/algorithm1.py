"""What Algorithm 1 and Table 1 leave open: K1, the split of the total, and the inner Adam's state."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from benchmarks._experiments import Ode
from benchmarks.paper._claims import Claim, claim, median, spread
from benchmarks.paper._comparison import TRAINED
from benchmarks.paper._figures import draw_curves
from benchmarks.paper._study import Case, Study, select

INNER_STEPS = (10, 100, 1000)
SHARES = {"2 % in implicit steps": 0.02, "half": 0.5, "all": 1.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Algorithm1(Study):
    """Algorithm 1's open choices: K1, the share of implicit steps, a fresh or a carried inner Adam."""

    name: ClassVar[str] = "algorithm1"

    def cases(self, seed: int) -> list[Case]:
        """The ODE with ε = 2 at α = 0.5, every choice."""
        total = 4_000 if self.preset == "quick" else 102_000
        return [
            Case(
                (panel,),
                Ode(
                    preset=self.preset,
                    optimizer="isgd-adam",
                    seed=seed,
                    steps=total,
                    inner_steps=inner_steps,
                    implicit_steps=max(inner_steps, round(share * total)),
                    reset_inner=reset,
                    decay=False,
                ),
                f"K1 = {inner_steps}, {'reset' if reset else 'carried'}",
            )
            for panel, share in SHARES.items()
            for inner_steps in INNER_STEPS
            for reset in (True, False)
        ]

    def draw(self, result: dict[str, Any], folder: Path) -> None:
        """Curves."""
        draw_curves(result["rows"], folder / "algorithm1.png")

    def claims(self, result: dict[str, Any]) -> list[Claim]:
        """Whether Table 1's total suffices, by its reading; and which inner state is better."""
        found, wins = [], []
        for panel in SHARES:
            errors = {}
            for inner_steps in INNER_STEPS:
                for state in ("reset", "carried"):
                    runs = select(result["rows"], panel, label=f"K1 = {inner_steps}, {state}")
                    errors[inner_steps, state] = [run["rel_l2"] for run in runs]
                if errors[inner_steps, "reset"] and errors[inner_steps, "carried"]:
                    wins.append(
                        median(errors[inner_steps, "reset"]) <= median(errors[inner_steps, "carried"])
                    )
            medians = [median(values) for values in errors.values() if values]
            shown = ", ".join(f"K1 = {k}, {s}: {spread(v)}" for (k, s), v in errors.items() if v)
            found.append(
                claim(
                    f"Table 1's total trains the ODE with ε = 2, read as: {panel}",
                    shown,
                    max(medians) <= TRAINED if medians else None,
                )
            )
        found.append(
            claim(
                "Algorithm 1 starts its inner Adam at k = 0, which reads as a fresh state; it serves better",
                f"a fresh one ends with the smaller error in {sum(wins)} of {len(wins)} cases",
                sum(wins) > len(wins) / 2 if wins else None,
            )
        )
        return found
