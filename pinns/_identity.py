"""What an object is, by content: for comparing two objects, and for telling one run from another on disk."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def fingerprint(value: Any) -> Any:
    """JSON values that tell ``value`` from another one, the same in every process.

    Arrays are given by shape, dtype and a digest of their content, dataclasses by their fields, functions by
    their names, constants and what they close over, anything else by its ``repr``.

    Args:
      value: A problem, an optimiser, settings: anything.

    Returns:
      Strings, numbers, lists and dictionaries.
    """
    return _fingerprint(value, ())


def digest(value: Any) -> str:
    """The fingerprint of ``value``, as a short string."""
    return _hash(json.dumps(fingerprint(value), sort_keys=True).encode())


def _fingerprint(value: Any, within: tuple[int, ...]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if id(value) in within:
        return "..."  # closures may hold themselves
    inside = lambda item: _fingerprint(item, (*within, id(value)))
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return inside(np.asarray(jax.random.key_data(value)))
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        array = np.ascontiguousarray(np.asarray(value))
        return f"{array.dtype}{list(array.shape)} {_hash(array.tobytes())}"
    if _is_dataclass(value):
        return {"type": _name(type(value))} | {name: inside(item) for name, item in _contents(value).items()}
    if isinstance(value, Mapping):
        return {str(key): inside(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [inside(item) for item in value]
    if hasattr(value, "__func__"):  # a bound method
        return [inside(value.__func__), inside(value.__self__)]
    if hasattr(value, "__code__"):
        code = value.__code__
        constants = [repr(c) for c in code.co_consts if isinstance(c, (int, float, str, complex))]
        cells = [inside(cell.cell_contents) for cell in value.__closure__ or ()]
        return [_name(value), constants, list(code.co_names), cells, inside(value.__defaults__)]
    if isinstance(value, functools.partial):
        return [inside(value.func), inside(value.args), inside(value.keywords)]
    if callable(value) and hasattr(value, "__qualname__"):
        return _name(value)
    text = repr(value)
    return text if " at 0x" not in text else _name(type(value))


def _contents(value: Any) -> dict[str, Any]:
    """Fields of a dataclass and what else was set on it."""
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)} | getattr(
        value, "__dict__", {}
    )


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _name(kind: Any) -> str:
    return f"{getattr(kind, '__module__', '')}.{kind.__qualname__}"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class ByContent:
    """An object that may hold arrays, comparable and hashable: equal where its fields hold equal values.

    Args:
      value: The object; a dataclass is compared field by field, anything else by ``==``.
    """

    def __init__(self, value: Any):
        self.value = value
        self._hash = hash(str(fingerprint(value)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByContent) and self._hash == other._hash and _equal(self.value, other.value)


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, (np.ndarray, jax.Array)):
        return one.dtype == other.dtype and np.array_equal(np.asarray(one), np.asarray(other))
    if _is_dataclass(one):
        return _equal(_contents(one), _contents(other))
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
