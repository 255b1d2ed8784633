"""The file that tells which run a folder holds."""

import json
import os
import re
from pathlib import Path
from typing import Any

from pinns._identity import is_library

_SHOWN = 3  # differences in a message
_PARTS = ("function", "closure", "arguments", "globals")  # of a function's fingerprint, no author's names


def differences(one: Any, other: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Where two fingerprints differ: the names that lead there, and the value of each; ``...`` for none."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        inside = ("constants", "names") if is_library(str(one.get("function", ""))) else ()
        for key in sorted((one.keys() | other.keys()) - set(inside)):
            inner = path if key in _PARTS else ".".join(filter(None, (path, key)))
            pair = (one.get(key, ...), other.get(key, ...))
            if any(value not in (None, ...) for value in pair):  # else a field of a later version, unused
                found += differences(*pair, inner)
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [d for pair in zip(one, other, strict=True) for d in differences(*pair, path)]
    return [] if one == other or _is_same_name(one, other) else [(path, one, other)]


def _is_same_name(one: Any, other: Any) -> bool:
    """Whether two names are of one thing: in a script and a module, or moved between modules of ours."""
    names = sorted(map(str, (one, other)), key=lambda name: not name.startswith("__main__."))
    if names[0].startswith("__main__."):
        return names[1].endswith(names[0].removeprefix("__main__"))
    ends = [(name.partition(".")[0], name.rpartition(".")[2]) for name in names]
    return ends[0] == ends[1] and ends[0][0] in ("isgd_optax", "pinns") and "<locals>" not in names[0]


def short(error: BaseException | None) -> str:
    """What an error says, in few words."""
    text = str(error) or type(error).__name__
    return text if len(text) < 200 else f"{text[:80]} ... {text[-110:]}"


def check_identity(file: Path, identity: dict[str, Any]) -> None:
    """Writes what a run is, or refuses another run than that which the file tells of.

    Raises:
      ValueError: It is another run, or the file is damaged.
    """
    identity = json.loads(json.dumps(identity))
    if not file.exists():
        temporary = file.with_suffix(".tmp")
        with temporary.open("w") as stream:
            stream.write(json.dumps(identity, indent=2))
            stream.flush()
            os.fsync(stream.fileno())  # a power cut would leave an empty file
        temporary.replace(file)
        return
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(
            f"{file} is damaged ({short(error)}), so that nothing tells whether the run in {file.parent} is "
            "this one: delete the file if it is, and it is written anew."
        ) from error
    different = differences(found, identity)
    if different:
        raise ValueError(
            f"{file.parent} holds another run: {_listed(different)}. Choose another directory, or delete "
            "this one to start anew."
        )


def _listed(different: list[tuple[str, Any, Any]]) -> str:
    """The first few differences, each once: an optimiser's settings stand in several of its functions."""
    lines = list(dict.fromkeys(_difference(*difference) for difference in different))
    more = f", and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return ", ".join(lines[:_SHOWN]) + more


def _difference(path: str, there: Any, here: Any) -> str:
    names = path.split(".")
    name = path if len(names) <= 3 else f"{names[0]}: {names[-1]}"
    shown = [
        json.dumps(value, ensure_ascii=False) if value is not ... else "nothing" for value in (there, here)
    ]
    if max(map(len, shown)) > 80 or all(re.fullmatch('"[0-9a-f]{16}"', text) for text in shown):
        return f"{name} is another"
    return f"{name} is {shown[0]} there and {shown[1]} here"
