"""What Algorithm 1 and Table 1 leave open: K1, the split of the total, and the inner Adam's state."""

from collections.abc import Iterable
from typing import Any

from benchmarks._artefact import Row
from benchmarks._claims import Claim, claim, spread
from benchmarks._experiments import Ode
from benchmarks._optimizers import ISGD_ADAM
from benchmarks.paper._rows import by_seed, final, select
from benchmarks.paper._rules import MARGIN, every, is_better, trained
from benchmarks.paper._study import Case, Study

INNER_STEPS = (10, 100, 1000)
STATES = ("reset", "carried")  # of the inner Adam
TOTALS = {"quick": 4_000, "paper": 102_000}  # K0·K1 + K2; the latter is Table 1's
# Of the total in implicit steps, at least one step.
SHARES = {"2 %, or one step": 0.02, "half": 0.5, "all": 1.0}


class Algorithm1(Study):
    """Algorithm 1's open choices: K1, the share of implicit steps, a fresh or a carried inner Adam."""

    name = "algorithm1"
    setting = (
        "ODE with ε = 2, α = 0.5, constant rates of 0.001, all 400 points, 4,000 gradients of Table 1's "
        "102,000 with preset quick. Adam at a constant rate ends somewhere in a band of oscillations."
    )

    def cases(self, seed: int) -> list[Case]:
        """The ODE with ε = 2 at α = 0.5, every choice."""
        total = TOTALS[self.preset]
        return [
            Case(
                (panel,),
                Ode(
                    preset=self.preset,
                    optimizer=ISGD_ADAM.name,
                    seed=seed,
                    steps=total,
                    inner_steps=inner_steps,
                    implicit_steps=_within(share, inner_steps, total),
                    reset_inner=state == STATES[0],
                    decay=False,
                ),
                _label(inner_steps, state),
            )
            for panel, share in SHARES.items()
            for inner_steps in INNER_STEPS
            for state in STATES
        ]

    @classmethod
    def judge(cls, result: Row) -> Iterable[Claim]:
        """Whether the total suffices, by its reading; and which inner state is better."""
        pairs, total, shortened = [], TOTALS[result["preset"]], result["preset"] == "quick"
        for panel, share in SHARES.items():
            of = lambda k, state, panel=panel: select(result["rows"], panel, label=_label(k, state))
            choices = {_label(k, state): of(k, state) for k in INNER_STEPS for state in STATES}
            # The state of a single step is fresh either way.
            several = [k for k in INNER_STEPS if _within(share, k, total) > k]
            pairs += [[of(k, state) for state in STATES] for k in several]
            outcomes = [trained(run, shortened=shortened) for runs in choices.values() for run in runs]
            errors = {k: spread(final(run, "rel_l2") for run in runs) for k, runs in choices.items() if runs}
            yield claim(
                f"a total of {total:,} trains the ODE with ε = 2 whatever K1; in implicit steps: {panel}",
                ", ".join(f"{label}: {error}" for label, error in errors.items()),
                every(outcomes),
                measured=outcomes,
                asked=True,
            )
        pairs = [pair for pair in pairs if all(pair)]
        better = sum(_better(fresh, carried) for fresh, carried in pairs)
        worse = sum(_better(carried, fresh) for fresh, carried in pairs)
        yield claim(
            "Algorithm 1 starts its inner Adam anew at every step: as good as carrying its state on",
            f"on every seed {MARGIN:g}× better in {better}, {MARGIN:g}× worse in {worse} of "
            f"{len(pairs)} cases",
            None if shortened else worse == 0,
            measured=pairs,
            asked=True,
        )


def _better(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> bool:
    """Whether some runs end MARGIN times better than others, seed by seed."""
    pairs = by_seed(some, others)
    return bool(pairs) and all(is_better(*(final(run, "rel_l2") for run in pair)) for pair in pairs)


def _within(share: float, inner_steps: int, total: int) -> int:
    """K0·K1."""
    return max(inner_steps, round(share * total))


def _label(inner_steps: int, state: str) -> str:
    """What a choice is called in rows and figures."""
    return f"K1 = {inner_steps}, {state}"
