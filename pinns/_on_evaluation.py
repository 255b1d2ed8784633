"""What a training shows to the user after every chunk, and what the user writes into its history."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinns._ends import asks_for_end
from pinns._options import History, OnEvaluation

Teller = Callable[[History, Callable[[], Any], Callable[[], Any]], bool]


def teller(on_evaluation: OnEvaluation | None) -> Teller:
    """``tell(history, model, result)``: calls ``on_evaluation`` with as many of these as it takes.

    ``model()`` and ``result()`` are made only where it takes them. It says whether the training ends, and
    leaves plain values in the newest row.
    """
    if on_evaluation is None:
        return lambda history, model, result: False
    call: Callable[..., Any] = on_evaluation
    number = _number_of_arguments(call)

    def tell(history: History, model: Callable[[], Any], result: Callable[[], Any]) -> bool:
        given = (lambda: history, model, result)[:number]
        ends = asks_for_end(call(*(make() for make in given)))
        row = history[-1]
        for name, value in list(row.items()):
            try:
                row[name] = _plain(value, repr(name))
            except TypeError:
                del row[name]  # what ends the training must not keep it from being saved
                raise
        return ends

    return tell


def _number_of_arguments(call: Callable[..., Any]) -> int:
    """How many arguments it must be given, of the three that there are."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except ValueError:  # some builtins have no signature
        return 1
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return max(1, sum(p.default is p.empty for p in positional))


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a history, with the arrays of columns of the user's as lists and numbers of Python.

    Raises:
      TypeError: A column of something else, which cannot be written to a file.
    """
    return {name: _plain(value, repr(name)) for name, value in row.items()}


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, (jax.Array, np.ndarray, np.generic)) and _is_real(value):
        return np.asarray(value).tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item, name) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, (str, int)) for key in value):
        return {str(key): _plain(item, name) for key, item in value.items()}
    raise TypeError(
        f"the column {name} that on_evaluation writes into the history must hold real numbers, arrays or "
        "texts, or lists or dictionaries (with texts or whole numbers as keys) of them, got "
        f"{type(value).__name__}."
    )


def _is_real(array: Any) -> bool:
    return any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))
