"""What an object is, by content: for comparing two objects, and for telling one run from another on disk."""

import dataclasses
import dis
import functools
import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

_LIBRARIES = ("jax", "jaxlib", "optax", "flax", "numpy", "isgd_optax", "pinns")
"""Whose functions are told by what they close over: how they compute it is told by their versions."""
MEASURED = {"measured": True}
"""Metadata of fields of a dataclass that tell how it came about, not what it is."""
ADDED = {"added": True}
"""Metadata of fields that tell nothing where they are as by default: runs from before they were go on."""


def fingerprint(value: Any, *, code: bool = False) -> Any:
    """JSON values that tell ``value`` from another one, the same in every process.

    Arrays are given by shape, dtype and a digest of their content, dataclasses by their fields, functions by
    their names, constants, plain globals and what they close over, anything else by its ``repr`` or, where
    that is none of its own, by its type and what plain values it holds.

    Args:
      value: A problem, an optimiser, settings: anything.
      code: Whether functions, and objects that can be called, are told by their instructions too, with those
        of the user's functions that they call. They are others in each version of Python.

    Returns:
      Strings, numbers, lists and dictionaries.
    """
    return _fingerprint(value, (), code)


def digest(value: Any, *, code: bool = False) -> str:
    """The fingerprint of ``value``, as a short string."""
    return _hash(json.dumps(fingerprint(value, code=code), sort_keys=True).encode())


def _fingerprint(value: Any, within: tuple[int, ...], code: bool) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"  # which differs from itself
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if id(value) in within:
        return "..."  # closures may hold themselves
    inside = lambda item: _fingerprint(item, (*within, id(value)), code)
    if _is_key(value):
        with jax.ensure_compile_time_eval():  # it may be asked for while a program is traced
            return inside(np.asarray(jax.random.key_data(value)))
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        array = np.ascontiguousarray(np.asarray(value))
        if array.dtype.hasobject:  # its bytes are addresses
            return [list(array.shape), inside(array.tolist())]
        return f"{array.dtype}{list(array.shape)} {_hash(array.tobytes())}"
    if _is_dataclass(value):
        fields = {name: inside(item) for name, item in contents(value).items()}
        return {"type": _name(type(value))} | fields | _of_call(value, inside, code)
    if isinstance(value, ModuleType):  # its text is a path
        return value.__name__
    if isinstance(value, nnx.Variable):  # its text, and a module's, is cut and rounded as arrays are printed
        return inside(value[...])
    if isinstance(value, nnx.Module):
        parts = {name: inside(item) for name, item in vars(value).items() if not name.startswith("_")}
        return {"type": _name(type(value))} | parts
    if isinstance(value, Mapping):
        return {str(key): inside(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):  # whose order differs from process to process
        return {"set": sorted((inside(item) for item in value), key=repr)}
    if isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", None)
        return dict(zip(fields, map(inside, value), strict=True)) if fields else [inside(v) for v in value]
    if hasattr(value, "__func__"):  # a bound method
        return {"function": inside(value.__func__), "self": inside(value.__self__)}
    if hasattr(value, "__code__"):
        return _of_function(value, inside, code)
    if isinstance(value, functools.partial):
        return {"function": inside(value.func), "arguments": [inside(value.args), inside(value.keywords)]}
    if callable(value) and (wrapped := getattr(value, "__wrapped__", None)):  # jitted
        return inside(wrapped)
    if callable(value) and hasattr(value, "__qualname__"):
        return _name(value)
    if " at 0x" not in (text := repr(value)):
        return text
    plain = {key: item for key, item in getattr(value, "__dict__", {}).items() if _is_plain(item)}
    found = {key: inside(item) for key, item in plain.items()}
    return {"type": _name(type(value))} | found | _of_call(value, inside, code)


def _of_call(value: Any, inside: Callable[[Any], Any], code: bool) -> dict[str, Any]:
    """What an object of the user's does when it is called."""
    if not code or not callable(value) or is_library(type(value).__module__):
        return {}
    return {"call": inside(type(value).__call__)}


def _of_function(value: Any, inside: Callable[[Any], Any], code: bool) -> dict[str, Any]:
    codes = _codes(value.__code__)
    known = getattr(value, "__globals__", {})
    instructions = (i for part in codes for i in dis.get_instructions(part))
    names = sorted({i.argval for i in instructions if i.opname == "LOAD_GLOBAL"} & known.keys())
    plain = {name: inside(known[name]) for name in names if _is_plain(known[name])}
    found = {
        "function": _name(value),
        "constants": [text for part in codes for c in part.co_consts for text in _constants(c)],
        "names": [name for part in codes for name in part.co_names],
        "closure": {},
        "arguments": [inside(value.__defaults__), inside(value.__kwdefaults__)],
    }
    if plain:
        found["globals"] = plain
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        try:
            found["closure"][name] = inside(cell.cell_contents)
        except ValueError:  # deleted, or not yet set
            found["closure"][name] = "empty"
    if code:
        found["code"] = _hash(b"".join(part.co_code for part in codes))
        called = {name: getattr(known[name], "__wrapped__", known[name]) for name in names}
        own = {k: f for k, f in called.items() if hasattr(f, "__code__") and not is_library(f.__module__)}
        found["called"] = {name: inside(function) for name, function in own.items()}
    return found


def of_user(value: Any) -> list[Any]:
    """The objects of classes that are none of these libraries' own, in what a value holds or it itself."""
    if isinstance(value, (Mapping, list, tuple)):
        items = value.values() if isinstance(value, Mapping) else value
        return [found for item in items for found in of_user(item)]
    if _is_plain(value):
        return []
    return of_user(contents(value)) if is_library(type(value).__module__) else [value]


def is_library(name: str) -> bool:
    """Whether a dotted name is that of a part of one of these."""
    return name.partition(".")[0] in _LIBRARIES


def _constants(constant: Any) -> list[str]:
    """The texts of a constant that is a plain value, or of those in it: literals of a list are one tuple."""
    if isinstance(constant, (tuple, frozenset)):
        if all(isinstance(item, str) for item in constant):
            return []  # the names of arguments in a call
        inner = [text for item in constant for text in _constants(item)]
        return sorted(inner) if isinstance(constant, frozenset) else inner
    return [repr(constant)] if isinstance(constant, (int, float, str, bytes, complex)) else []


def _codes(code: CodeType) -> list[CodeType]:
    """The code of a function and of those that it defines."""
    return [code, *(c for part in code.co_consts if isinstance(part, CodeType) for c in _codes(part))]


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str, np.ndarray, np.generic, jax.Array))


def contents(value: Any) -> dict[str, Any]:
    """Fields of a dataclass and what is set on an object, but for what it has computed and measured."""
    fields = dataclasses.fields(value) if _is_dataclass(value) else ()
    left_out = {field.name for field in fields if field.metadata.get("measured")}
    added = [field for field in fields if field.metadata.get("added")]
    left_out |= {field.name for field in added if getattr(value, field.name) == field.default}
    found = {field.name: getattr(value, field.name) for field in fields} | getattr(value, "__dict__", {})
    return {k: item for k, item in found.items() if k not in left_out and not is_cached(value, k)}


def is_cached(value: Any, name: str) -> bool:
    """Whether an attribute is a ``functools.cached_property``, which is there only once it was asked for."""
    return isinstance(getattr(type(value), name, None), functools.cached_property)


def _is_key(value: Any) -> bool:
    """Whether ``value`` is an array of random keys, which NumPy does not take."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _name(kind: Any) -> str:
    return f"{_module(getattr(kind, '__module__', ''))}.{kind.__qualname__}"


def _module(name: str) -> str:
    """The name of a module: of the one that runs, that by which others import it."""
    if name not in ("__main__", "__mp_main__"):
        return name
    main = sys.modules.get(name)
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None:
        return spec.name.removesuffix(".__main__")
    return Path(file).stem if file else name


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
    if _is_key(one):
        with jax.ensure_compile_time_eval():
            first, second = (np.asarray(jax.random.key_data(key)) for key in (one, other))
        return one.dtype == other.dtype and np.array_equal(first, second)
    if isinstance(one, (np.ndarray, jax.Array)):
        return one.dtype == other.dtype and np.array_equal(np.asarray(one), np.asarray(other))
    if _is_dataclass(one):
        return _equal(contents(one), contents(other))
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
