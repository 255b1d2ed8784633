"""Results on disk: JSON that a reader and a program can use, written all or nothing."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON; non-finite numbers become null."""
    write_text(path, json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Writes one JSON value per line."""
    write_text(path, "".join(json.dumps(_plain(row), ensure_ascii=False) + "\n" for row in rows))


def write_rows(path: Path, value: dict[str, Any]) -> None:
    """Writes ``value`` as JSON, indented, with each of its ``rows`` on one line."""
    head = json.dumps(_plain({**value, "rows": []}), indent=2, ensure_ascii=False)
    rows = ",\n".join("    " + json.dumps(_plain(row), ensure_ascii=False) for row in value["rows"])
    write_text(path, head.replace('"rows": []', f'"rows": [\n{rows}\n  ]') + "\n")


def stored_result(path: Path, **identity: Any) -> dict[str, Any]:
    """The result on disk, to be continued; {} if there is none.

    Args:
      path: of the result.
      identity: entries that it must have.

    Raises:
      ValueError: if it has others: writing there would lose it.
    """
    if not path.exists():
        return {}
    stored = json.loads(path.read_text())
    for key, value in json.loads(json.dumps(identity)).items():
        if stored.get(key) != value:
            raise ValueError(
                f"{path} holds a result with {key} = {stored.get(key)!r}, not {value!r}; choose another "
                "folder with --out, or remove it."
            )
    return stored


def write_text(path: Path, text: str) -> None:
    """Writes ``text``, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class Table(NamedTuple):
    """A table; ``str`` aligns it."""

    header: list[str]
    rows: list[list[str]]

    def __str__(self) -> str:
        return table(self.header, self.rows)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Rows as aligned text."""
    widths = [max(len(cells[i]) for cells in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)).rstrip() for cells in lines
    )
