"""The engine: whatever is measured cell by cell is resumed, recorded, drawn and judged here."""

import abc
import itertools
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax

from benchmarks._claims import Claim
from benchmarks._environment import command, environment
from benchmarks._files import Table, plain, write_json
from benchmarks._options import Options

Row = dict[str, Any]


class Artefact(Options, abc.ABC):
    """A grid of cells, each of which gives a row of the file NAME.json.

    A subclass says which cells there are and measures one. It makes the table, the claims and the figures
    from what the file holds, so that they can be made of recorded results.
    """

    out: Path | None = None
    """Folder of the results, by default one below runs/. Trainings that are there are not run again."""
    progress: bool = True
    """Show progress."""

    name: ClassVar[str]
    kind: ClassVar[Literal["field", "paper", "peers"]] = "paper"
    """Which part of the report it stands in."""
    setting: ClassVar[str] = ""
    """What is run, and what of the paper is read how."""
    note: ClassVar[str] = ""
    """What the columns of the table are, where their names do not say it."""
    axes: ClassVar[tuple[str, ...]] = ()
    """The entries of a row that tell which cell it is."""
    identity: ClassVar[tuple[str, ...]] = ()
    """Options, or entries of ``head``, that a file must share for its rows to be kept."""
    dtype: ClassVar[Literal["float32", "float64"]] = "float32"

    def cells(self) -> Iterable[Row]:
        """What is to be measured, in order: the arguments of ``measure``."""
        return [{}]

    @abc.abstractmethod
    def measure(self, **cell: Any) -> Row:
        """The row of a cell, but for the cell itself; with a ``call`` if another one has made it."""

    def head(self) -> Row:
        """What the file tells of all rows, beside the options that are its identity."""
        return {}

    def is_stale(self, row: Row) -> bool:
        """Whether a row is to be made again though it is there."""
        del row
        return False

    def complete(self, result: Row, measured: Sequence[Row]) -> Row:
        """What the file holds in the end, from its rows and the cells that were measured now."""
        del measured
        return result

    @classmethod
    @abc.abstractmethod
    def data(cls, result: Row) -> Table:
        """What was measured, as a table."""

    @classmethod
    def judge(cls, result: Row) -> Iterable[Claim]:
        """What the paper says beside it."""
        del result
        return ()

    @classmethod
    def claims(cls, result: Row) -> list[Claim]:
        """All that ``judge`` gives."""
        return list(cls.judge(result))

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Saves the figures as NAME*.png."""
        del result, folder

    def folder(self) -> Path:
        """Where the results go: by default runs/NAME or runs/NAME-PRESET."""
        return self.out or Path("runs") / "-".join(filter(None, (self.name, getattr(self, "preset", ""))))

    def run(self) -> Row:
        """Measures what is missing, writes NAME.json after every cell, then draws and prints.

        Rows of other cells stay in the file: recorded results grow, by seeds for example. A row tells
        which of the file's ``calls`` made it.
        """
        jax.config.update("jax_enable_x64", self.dtype == "float64")
        folder = self.folder()
        path = folder / f"{self.name}.json"
        options = {key: getattr(self, key) for key in self.identity if hasattr(self, key)}
        head = options | self.head()
        stored = self._stored(path, {key: plain(head[key]) for key in self.identity})
        known = [row | {"call": stored["calls"][row["call"]]} for row in stored.get("rows", [])]
        rows = {self._key(row): row for row in known}
        cells = {self._key(cell): cell for cell in self.cells()}
        missing = [key for key in cells if key not in rows or self.is_stale(rows[key])]
        call, result = {"command": command(), **environment()}, {**stored, **(head if missing else {})}
        for i, key in enumerate(missing):
            if self.progress:
                print(f"[{i + 1}/{len(missing)}] {self.describe(**cells[key])}", file=sys.stderr)
            rows[key] = {**cells[key], "call": call, **self.measure(**cells[key])}
            write_json(path, _numbered(result | {"rows": list(rows.values())}))
        others = [row for key, row in rows.items() if key not in cells]
        result |= {"rows": [*others, *(rows[key] for key in cells)]}
        result = _numbered(self.complete(result, [cells[key] for key in missing]))
        write_json(path, result)
        self.draw(result, folder)
        kept = "" if missing else f"nothing measured: all rows are in {path}; without it they are made anew"
        print(*filter(None, (str(self.data(result)), self.note, kept, f"results in {folder}")), sep="\n")
        return result

    def describe(self, **cell: Any) -> str:
        """A cell in words, while it is measured."""
        return ", ".join(f"{key} {value}" for key, value in cell.items()) or self.name

    def _stored(self, path: Path, identity: Row) -> Row:
        """The file, to be continued.

        Raises:
          ValueError: If it is of another identity, or older than what rows tell of their calls: it would be
            lost.
        """
        stored = json.loads(path.read_text()) if path.exists() else {}
        if stored and "calls" not in stored:
            raise ValueError(
                f"{path} does not say what made its rows: it is older than that; choose another folder with "
                "--out, or remove it."
            )
        for key, value in identity.items():
            if stored and stored.get(key) != value:
                raise ValueError(
                    f"{path} holds a result with {key} = {stored.get(key)!r}, not {value!r}; choose another "
                    "folder with --out, or remove it."
                )
        return stored

    def _key(self, row: Row) -> tuple[Any, ...]:
        """What tells a cell from others, whether it comes from a file or not."""
        return tuple(_hashable(row[axis]) for axis in self.axes)


def title(documented: Any) -> str:
    """The first line of the documentation of a class or module."""
    return (documented.__doc__ or "").splitlines()[0]


def grid(**axes: Iterable[Any]) -> list[Row]:
    """All combinations, the last axis first."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _numbered(result: Row) -> Row:
    """The file: each row with the number of the call that made it, in a list of all calls."""
    calls, rows = [], []
    for row in result["rows"]:
        if row["call"] not in calls:
            calls.append(row["call"])
        rows.append(row | {"call": calls.index(row["call"])})
    return {"calls": calls, **{key: value for key, value in result.items() if key != "calls"}, "rows": rows}


def _hashable(value: Any) -> Any:
    """A value that can be compared: 10ˣ, for one, is not the same to the last bit everywhere."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return tuple(value) if isinstance(value, list) else value
