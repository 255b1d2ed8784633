"""What Algorithm 1 and Table 1 leave open: K1, the split of the total, and the inner Adam's state."""

import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar

from benchmarks._experiments import Ode
from benchmarks.paper._claims import Claim, claim, median, spread
from benchmarks.paper._comparison import TRAINED
from benchmarks.paper._figures import draw_curves
from benchmarks.paper._study import Case, Study, final, select

INNER_STEPS = (10, 100, 1000)
TOTALS = {"quick": 4_000, "paper": 102_000}  # K0·K1 + K2; the latter is Table 1's
MARGIN = 2  # Adam at a constant rate ends somewhere in a band of oscillations
# Of the total in implicit steps, at least one step.
SHARES = {"2 %, or one step": 0.02, "half": 0.5, "all": 1.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Algorithm1(Study):
    """Algorithm 1's open choices: K1, the share of implicit steps, a fresh or a carried inner Adam."""

    name: ClassVar[str] = "algorithm1"

    def cases(self, seed: int) -> list[Case]:
        """The ODE with ε = 2 at α = 0.5, every choice."""
        total = TOTALS[self.preset]
        return [
            Case(
                (panel,),
                Ode(
                    preset=self.preset,
                    optimizer="isgd-adam",
                    seed=seed,
                    steps=total,
                    inner_steps=inner_steps,
                    implicit_steps=_within(share, inner_steps, total),
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
        """Whether the total suffices, by its reading; and which inner state is better."""
        found, pairs = [], []
        total = TOTALS[result["preset"]]
        for panel, share in SHARES.items():
            errors = {}
            for inner_steps in INNER_STEPS:
                for state in ("reset", "carried"):
                    runs = select(result["rows"], panel, label=f"K1 = {inner_steps}, {state}")
                    errors[inner_steps, state] = [final(run, "rel_l2") for run in runs]
                # The state of a single step is fresh either way.
                several = _within(share, inner_steps, total) > inner_steps
                if several and errors[inner_steps, "reset"] and errors[inner_steps, "carried"]:
                    pairs.append([median(errors[inner_steps, state]) for state in ("reset", "carried")])
            medians = [median(values) for values in errors.values() if values]
            shown = ", ".join(f"K1 = {k}, {s}: {spread(v)}" for (k, s), v in errors.items() if v)
            holds = max(medians, default=math.inf) <= TRAINED
            found.append(
                claim(
                    f"a total of {total:,} trains the ODE with ε = 2 whatever K1; in implicit steps: {panel}",
                    shown,
                    holds if medians else None,
                    decided=holds or result["preset"] == "paper",
                    asked=True,
                )
            )
        better = sum(MARGIN * fresh < carried for fresh, carried in pairs)
        worse = sum(MARGIN * carried < fresh for fresh, carried in pairs)
        found.append(
            claim(
                "Algorithm 1 starts its inner Adam anew at every step: as good as carrying its state on",
                f"in the end {MARGIN}× better in {better}, {MARGIN}× worse in {worse} of {len(pairs)} cases",
                worse == 0 if pairs else None,
                asked=True,
            )
        )
        return found


def _within(share: float, inner_steps: int, total: int) -> int:
    """K0·K1."""
    return max(inner_steps, round(share * total))
