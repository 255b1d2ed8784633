"""What the paper says of a panel of figures 2 to 6, beside what was measured there."""

import dataclasses
from typing import Any

from benchmarks.paper._claims import Claim
from benchmarks.paper._study import LABELS, common_title, select
from benchmarks.paper._training_claims import better_claim, open_claim, training_claim


@dataclasses.dataclass(frozen=True)
class Panel:
    """What the paper says of one learning rate.

    Args:
      alpha: Learning rate α of SGD and Adam, and of the implicit steps.
      iterations: The paper's iterations at it; times α the flow time that steps of a constant α must cover.
      explicit: Whether the paper has SGD and Adam train; None where nothing is known of it.
      said: Whether its text says so.
      lbfgs: Whether the paper's ISGD may be "ISGD, L-BFGS" there: Table 1 has "ISGD, Adam" alone.
      control: Command of the second phase alone, Adam with as many gradients, where no row has it.
      control_alpha: Learning rate of the row of Adam that has it, if any.
      implicit: Command of "ISGD, Adam" with implicit steps alone.
      epochs: Whether the paper counts epochs, which may be implicit steps; else gradients.
    """

    alpha: float
    iterations: int
    explicit: bool | None
    control: str
    implicit: str
    said: bool = True
    epochs: bool = False
    lbfgs: bool = False
    control_alpha: float | None = None


def panel_claims(rows: list[dict[str, Any]], title: str, panel: Panel, *, shortened: bool) -> list[Claim]:
    """That ISGD trains at this α, what the paper says of SGD and Adam, and what its second phase does.

    Args:
      rows: Rows of the study.
      title: Name of the panel in the rows.
      panel: What the paper says of it.
      shortened: Whether the study's runs are shorter than the paper's.
    """
    of = lambda name: select(rows, title, optimizer=name)
    flow_time = panel.alpha * panel.iterations
    claims = [
        training_claim(f"{title}: ISGD, Adam trains", of("isgd-adam"), True, shortened=shortened),
        training_claim(
            f"{title}: ISGD, L-BFGS trains",
            of("isgd-lbfgs"),
            True,
            shortened=shortened,
            asked=not panel.lbfgs,
        ),
        training_claim(
            f"{title}: implicit steps solved by Gauss–Newton train, without a second phase",
            of("isgd-gn-constant"),
            True,
            shortened=shortened,
            flow_time=flow_time,
            asked=True,
        ),
    ]
    if panel.explicit is not None:
        claims += [
            training_claim(
                f"{title}: {LABELS[name]} {'trains' if panel.explicit else 'does not converge'}",
                of(name),
                panel.explicit,
                shortened=shortened,
                asked=not panel.said,
            )
            for name in ("sgd", "adam")
        ]
    return claims + _second_phase_claims(rows, title, panel, shortened=shortened)


def _second_phase_claims(
    rows: list[dict[str, Any]], title: str, panel: Panel, *, shortened: bool
) -> list[Claim]:
    """What the implicit steps add to the second phase, and what they do without it."""
    of = lambda name: select(rows, title, optimizer=name)
    adam = [
        run
        for run in of("adam")
        if panel.control_alpha is not None and run["alpha"] == panel.control_alpha and not shortened
    ]
    counted = "implicit steps, the paper's epochs" if panel.epochs else "gradients in implicit steps"
    return [
        better_claim(
            f"{title}: ISGD, Adam is better than its second phase alone, Adam with as many gradients",
            of("isgd-adam") if adam else [],
            adam,
            shortened=shortened,
            asked=True,
            command=panel.control,
        ),
        better_claim(
            f"{title}: ISGD, L-BFGS is better than its second phase alone, L-BFGS",
            of("isgd-lbfgs"),
            of("lbfgs"),
            shortened=shortened,
            asked=True,
        ),
        open_claim(
            f"{title}: ISGD, Adam trains without a second phase, all its {counted}",
            panel.implicit,
        ),
    ]


def own_alpha_claims(rows: list[dict[str, Any]], *, shortened: bool) -> list[Claim]:
    """That Gauss–Newton with its own α, which the paper has not, trains."""
    ours = [row for row in rows if row["optimizer"] == "isgd-gn"]
    return [
        training_claim(
            f"{common_title(panels)}: {LABELS['isgd-gn']} with its own α trains".removeprefix(": "),
            select(ours, panels[0]),
            True,
            shortened=shortened,
            asked=True,
        )
        for panels in dict.fromkeys(tuple(row["panels"]) for row in ours)
    ]
