"""The engine: whatever is measured cell by cell is resumed, recorded, drawn and judged here."""

import abc
import dataclasses
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

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Artefact(abc.ABC):
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
    """Options, or entries of ``head``, that a file must share for its rows to be kept; without any, all is
    measured anew."""
    entry: ClassVar[str] = "rows"
    """What the rows are called in the file; an artefact without axes is a single one, not called anything."""
    dtype: ClassVar[Literal["float32", "float64"]] = "float32"

    def cells(self) -> Iterable[Row]:
        """What is to be measured, in order: the arguments of ``measure``."""
        return [{}]

    @abc.abstractmethod
    def measure(self, **cell: Any) -> Row:
        """The row of a cell, but for the cell itself."""

    def head(self) -> Row:
        """What the file tells of all rows, beside the options that are its identity."""
        return {}

    def is_stale(self, **cell: Any) -> bool:
        """Whether the row of a cell is to be made again though there is one."""
        del cell
        return False

    @classmethod
    def pack(cls, rows: Sequence[Row]) -> Row:
        """The rows as they lie in the file."""
        return {cls.entry: rows} if cls.axes else rows[0]

    @classmethod
    def unpack(cls, stored: Row) -> Sequence[Row]:
        """The rows of a file."""
        return stored.get(cls.entry, [])

    def extra(self, stored: Row, cells: Sequence[Row]) -> Row:
        """Further entries of the file, from those of the stored one and the cells that were measured now."""
        del stored, cells
        return {}

    @classmethod
    @abc.abstractmethod
    def data(cls, result: Row) -> Table:
        """What was measured, as a table."""

    @classmethod
    def claims(cls, result: Row) -> list[Claim]:
        """What the paper says beside it."""
        del result
        return []

    @classmethod
    def draw(cls, result: Row, folder: Path) -> None:
        """Saves the figures as NAME*.png."""
        del result, folder

    def folder(self) -> Path:
        """Where the results go: by default runs/NAME or runs/NAME-PRESET."""
        return self.out or Path("runs") / "-".join(filter(None, (self.name, getattr(self, "preset", ""))))

    def run(self) -> Row:
        """Measures what is missing, writes NAME.json after every cell, then draws and prints.

        Rows of other cells stay in the file: recorded results grow, by seeds for example.
        """
        jax.config.update("jax_enable_x64", self.dtype == "float64")
        folder = self.folder()
        path = folder / f"{self.name}.json"
        options = {key: getattr(self, key) for key in self.identity if hasattr(self, key)}
        head = {"command": command(), **options, **self.head(), **environment()}
        stored = self._stored(path, {key: plain(head[key]) for key in self.identity})
        rows = {self._key(row): row for row in self.unpack(stored)}
        cells = {self._key(cell): cell for cell in self.cells()}
        missing = [key for key, cell in cells.items() if key not in rows or self.is_stale(**cell)]
        if stored and rows.keys() >= cells.keys():
            head |= stored  # what made the rows is said of them, not what draws them again
        result = {**stored, **head}
        for i, key in enumerate(missing):
            if self.progress:
                print(f"[{i + 1}/{len(missing)}] {self.describe(**cells[key])}", file=sys.stderr)
            rows[key] = {**cells[key], **self.measure(**cells[key])}
            write_json(path, result | self.pack(list(rows.values())))
        others = [row for key, row in rows.items() if key not in cells]
        result |= self.extra(stored, [cells[key] for key in missing])
        result |= self.pack([*others, *(rows[key] for key in cells)])
        write_json(path, result)
        self.draw(result, folder)
        print(*filter(None, [str(self.data(result)), self.note, f"results in {folder}"]), sep="\n")
        return result

    def describe(self, **cell: Any) -> str:
        """A cell in words, while it is measured."""
        return ", ".join(f"{key} {value}" for key, value in cell.items()) or self.name

    def _stored(self, path: Path, identity: Row) -> Row:
        """The file, to be continued; nothing if there is none or all is measured anew.

        Raises:
          ValueError: If it is of another identity: writing there would lose it.
        """
        stored = json.loads(path.read_text()) if path.exists() else {}
        if not identity or not self.unpack(stored):
            return {}
        for key, value in identity.items():
            if stored.get(key) != value:
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


def _hashable(value: Any) -> Any:
    """A value that can be compared: 10ˣ, for one, is not the same to the last bit everywhere."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return tuple(value) if isinstance(value, list) else value
