"""The rows of a study, whether they come from a file or not."""

from collections.abc import Sequence
from typing import Any

from benchmarks._claims import median

Row = dict[str, Any]
Rows = Sequence[Row]


def panels(rows: Rows) -> list[str]:
    """The panels of a study, in order."""
    return list(dict.fromkeys(panel for row in rows for panel in row["panels"]))


def where(rows: Rows, **wanted: Any) -> list[Row]:
    """The rows that have these values."""
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def select(rows: Rows, panel: str, **wanted: Any) -> list[Row]:
    """Those of them that a panel shows."""
    return where([row for row in rows if panel in row["panels"]], **wanted)


def medians(rows: Rows, quantity: str, **wanted: Any) -> list[float]:
    """Median over the seeds for every α, of rows that hold a value for each; +∞ where it diverged."""
    return [median(values) for values in zip(*(r[quantity] for r in where(rows, **wanted)), strict=True)]


def final(row: dict[str, Any], quantity: str) -> float | None:
    """An error at the end; None where the run diverged, whose row has that of its last finite state."""
    return None if row["stop_reason"] == "diverged" else row[quantity]


def by_seed(ours: Rows, others: Rows) -> list[tuple[Row, Row]]:
    """Those of the same seed beside each other."""
    theirs = {row["seed"]: row for row in others}
    return [(row, theirs[row["seed"]]) for row in ours if row["seed"] in theirs]
