"""What the paper says of a panel of figures 2 to 6, beside what was measured there."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pinns
from benchmarks._claims import Claim
from benchmarks._experiments import PaperExperiment
from benchmarks._optimizers import (
    ADAM,
    GAUSS_NEWTON,
    ISGD_ADAM,
    ISGD_LBFGS,
    LBFGS,
    SGD,
    SOLVED,
    Budget,
    Method,
)
from benchmarks.paper._rows import Rows, select
from benchmarks.paper._training_claims import better_claim, close_claim, open_claim, training_claim


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """A problem at a learning rate, and what the paper says of it.

    Args:
      kind: Experiment of the problem.
      alpha: Learning rate α of SGD and Adam, and of the implicit steps.
      explicit: Whether the paper has SGD and Adam train; None where nothing is known of it.
      said: Whether its text says so.
      options: Those of the experiment that choose the problem.
      group: What the problem is called where there are several.
      steps: Iterations of every optimiser but Gauss–Newton, where they are not Table 1's.
      epochs: Whether the paper counts epochs, which may be implicit steps; else gradients.
      lbfgs: Whether the paper's ISGD may be "ISGD, L-BFGS" there: Table 1 has "ISGD, Adam" alone.
      improves: Whether the paper has ISGD improve the convergence significantly.
      close: Whether it has it very close to SGD.
      control: Further options of the command that would measure the second phase alone.
    """

    kind: type[PaperExperiment]
    alpha: float
    explicit: bool | None
    said: bool = True
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    group: str = ""
    steps: int | None = None
    epochs: bool = False
    lbfgs: bool = False
    improves: bool = False
    close: bool = False
    control: str = ""

    @property
    def title(self) -> str:
        """Its name in rows and figures."""
        return ", ".join(filter(None, (self.group, f"α = {self.alpha:g}")))

    def problem(self) -> pinns.Problem:
        """What is solved."""
        return self.kind(**self.options).problem()

    @property
    def budgets(self) -> tuple[Budget, Budget]:
        """The paper's of "ISGD, Adam", and of SGD and Adam."""
        implicit, plain = self.kind(**self.options).paper_budgets()
        return (implicit.scaled(self.steps), plain.scaled(self.steps)) if self.steps else (implicit, plain)

    @property
    def command(self) -> str:
        """What trains on the problem, without the optimiser."""
        words = {k: f"{v:g}" if isinstance(v, float) else v for k, v in self.options.items()}
        options = "".join(f" --{key} {word}" for key, word in words.items())
        return f"python -m benchmarks run {self.kind.name}{options} --preset paper --optimizer"


def panel_claims(rows: Rows, panel: Panel, *, shortened: bool) -> Iterable[Claim]:
    """That ISGD trains at this α, what the paper says of SGD and Adam, and what its second phase does.

    Args:
      rows: Rows of the study.
      panel: What the paper says of it.
      shortened: Whether the study's runs are shorter than the paper's.
    """
    of = lambda method: select(rows, panel.title, optimizer=method.name)

    def trains(text: str, method: Method, expected: bool = True, **marks: Any) -> Claim:
        return training_claim(f"{panel.title}: {text}", of(method), expected, shortened=shortened, **marks)

    def better(text: str, ours: Method, others: Rows, **marks: Any) -> Claim:
        text = f"{panel.title}: {ours.label} {text}"
        return better_claim(text, of(ours), others, shortened=shortened, **marks)

    if panel.close:
        text = f"{panel.title}: {ISGD_ADAM.label}, with a second phase, is very close to {SGD.label}"
        yield close_claim(text, of(ISGD_ADAM), of(SGD), shortened=shortened)
    solved = "implicit steps solved by Gauss–Newton train, without a second phase"
    covered = panel.alpha * panel.budgets[1].iterations  # the flow time that steps of a constant α must cover
    yield trains(f"{ISGD_ADAM.label} trains", ISGD_ADAM)
    yield trains(f"{ISGD_LBFGS.label} trains", ISGD_LBFGS, asked=not panel.lbfgs)
    yield trains(solved, SOLVED, flow_time=covered, asked=True)
    if panel.explicit is not None:
        verb = "trains" if panel.explicit else "does not converge"
        for m in (SGD, ADAM):
            yield trains(f"{m.label} {verb}", m, panel.explicit, asked=not panel.said)

    # What the implicit steps add to the second phase, and what they do without it.
    gradients, rate = panel.budgets[0].iterations, panel.budgets[0].outer_learning_rate
    adam = [run for run in of(ADAM) if run["alpha"] == rate and not shortened]
    inside, counted = f" --implicit-steps {gradients}", "gradients in implicit steps"
    if panel.epochs:
        inside = f" --steps {100 * gradients} --implicit-steps {100 * gradients}"
        counted = "implicit steps, the paper's epochs"
    control = f"{panel.command} {ADAM.name} --alpha {rate:g}{panel.control} --steps {gradients}"
    alone = "is better than its second phase alone,"
    enough = f"{alone} {ADAM.label} with at least as many gradients"
    yield better(enough, ISGD_ADAM, adam, asked=True, command=control)
    yield better(f"{alone} {LBFGS.label}", ISGD_LBFGS, of(LBFGS), asked=True)
    yield open_claim(
        f"{panel.title}: {ISGD_ADAM.label} trains without a second phase, all its {counted}",
        f"{panel.command} {ISGD_ADAM.name} --alpha {panel.alpha:g}{inside}",
    )
    if panel.improves:
        for m in (SGD, ADAM):
            yield better(f"significantly improves the convergence of {m.label}", ISGD_ADAM, of(m))


def own_alpha_claims(rows: Rows, shown: Callable[[Sequence[str]], str], *, shortened: bool) -> list[Claim]:
    """That Gauss–Newton with its own α, which the paper has not, trains; ``shown`` names its panels."""
    ours = [row for row in rows if row["optimizer"] == GAUSS_NEWTON.name]
    text = f"{GAUSS_NEWTON.label} with its own α trains"
    return [
        training_claim(
            ": ".join(filter(None, [shown(panels), text])),
            select(ours, panels[0]),
            True,
            shortened=shortened,
            asked=True,
        )
        for panels in dict.fromkeys(tuple(row["panels"]) for row in ours)
    ]
