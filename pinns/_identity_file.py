"""The file that tells which run a folder holds."""

import json
import os
import re
from pathlib import Path
from typing import Any

from pinns._identity import differences

_SHOWN = 3  # differences in a message


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
