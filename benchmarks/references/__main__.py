"""The command line: ``python -m benchmarks.references NAME --out FILE.npz``."""

import importlib.metadata
import json
import platform
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from benchmarks.references import RECIPES


def generate(
    name: Annotated[str, tyro.conf.Positional], out: Path | None = None, coefficients: bool = False
) -> Path:
    """Compute a reference solution and the figure to which it agrees with a finer computation.

    Args:
      name: Which, e.g. kdv; another word lists all.
      out: The file, by default runs/references/NAME.npz.
      coefficients: Make the series that the package pinns keeps instead of the table.

    Returns:
      The file, which also holds the floor of every output, the seconds that it took, the versions and this
      command.
    """
    if name not in RECIPES:
        raise SystemExit(f"no reference is called {name!r}; there are {', '.join(RECIPES)}.")
    recipe, start = RECIPES[name], time.perf_counter()
    if coefficients:
        arrays, floor = recipe.coefficients()
    else:
        table = recipe.table()
        arrays = {**{f"axis_{key}": axis for key, axis in table.axes.items()}, "values": table.values}
        arrays["outputs"] = np.array(table.outputs)
        floor = recipe.floor(table)
    path = Path("runs", "references", f"{name}.npz") if out is None else out
    path.parent.mkdir(parents=True, exist_ok=True)
    versions = {package: importlib.metadata.version(package) for package in ("numpy", "scipy")}
    arguments = [name, *(["--coefficients"] if coefficients else [])]
    contents: dict[str, Any] = {
        "floor": floor,
        "seconds": time.perf_counter() - start,
        "versions": json.dumps({"python": platform.python_version(), **versions}),
        "command": shlex.join(["python", "-m", "benchmarks.references", *arguments]),
        **arrays,
    }
    np.savez_compressed(path, **contents)
    print(f"{path}: floor {', '.join(f'{value:.1e}' for value in floor)}, {path.stat().st_size} bytes")
    return path


def main(args: list[str] | None = None) -> None:
    """Parses the command line and does what it says."""
    tyro.cli(generate, prog="python -m benchmarks.references", args=args)


if __name__ == "__main__":
    main(sys.argv[1:])
