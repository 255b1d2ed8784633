"""Results on disk: JSON that a reader and a program can use, written all or nothing."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON, its ``rows`` on a line each; non-finite numbers become null."""
    rows = value.get("rows", [])
    text = _json(value | {"rows": []} if rows else value, indent=2)
    lines = ",\n".join(f"    {_json(row)}" for row in rows)
    write_text(path, text.replace('"rows": []', f'"rows": [\n{lines}\n  ]' if rows else '"rows": []') + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Writes one JSON value per line."""
    write_text(path, "".join(f"{_json(row)}\n" for row in rows))


def write_text(path: Path, text: str) -> None:
    """Writes ``text``, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(plain(value), indent=indent, ensure_ascii=False)


def plain(value: Any) -> Any:
    """As JSON has it: lists, and null for non-finite numbers."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class Table(NamedTuple):
    """A table; ``str`` aligns it."""

    header: list[str]
    rows: list[list[str]]

    @classmethod
    def of(cls, rows: Iterable[Any], columns: Mapping[str, Callable[[Any], Any]]) -> "Table":
        """A line for each row, with what each column's function makes of it."""
        return cls(list(columns), [[str(text(row)) for text in columns.values()] for row in rows])

    @classmethod
    def of_lines(cls, lines: Sequence[Mapping[str, Any]]) -> "Table":
        """A line for each of several mappings from the same headings to what stands below them."""
        return cls(list(lines[0] if lines else ()), [list(map(str, line.values())) for line in lines])

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [self.header, ["-" * width for width in widths], *self.rows]
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)).rstrip()
            for cells in lines
        )
