"""The rows of a study, whether they come from a file or not."""

from typing import Any


def panels(rows: list[dict[str, Any]]) -> list[str]:
    """The panels of a study, in order."""
    return list(dict.fromkeys(panel for row in rows for panel in row["panels"]))


def select(rows: list[dict[str, Any]], panel: str, **wanted: Any) -> list[dict[str, Any]]:
    """The rows that a panel shows and that have these values."""
    return [
        row for row in rows if panel in row["panels"] and all(row[k] == value for k, value in wanted.items())
    ]


def final(row: dict[str, Any], quantity: str) -> float | None:
    """An error at the end; None where the run diverged, whose row has that of its last finite state."""
    return None if row["stop_reason"] == "diverged" else row[quantity]
