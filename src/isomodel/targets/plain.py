"""What a user observes, as plain data: comparable between executions, and JSON.

Objects without a plain form become the name of their type: never their ``repr``, which may
hold an address.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from isomodel.targets.declare import Opaque, Ranked

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""What the default ``repr`` of an object in an error's message ends with."""

_ATOMS = (str, int, float, bool, type(None))


def plain(value: Any) -> Any:
    """``value`` as nested dicts, lists, strings, numbers, booleans and None."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is Ranked:
        return {"ranked": value.value}
    if kind is Opaque:
        return {"opaque": value.value}
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, BaseException):
        return {"error": kind.__name__, "message": _ADDRESS.sub(" at 0x", str(value))}
    if isinstance(value, str):  # of a class of its own, as libraries return them
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else _fields(value)


def _fields(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    dump = getattr(value, "model_dump", None)  # pydantic
    if callable(dump) and not isinstance(value, type):
        return plain(dump())
    try:
        return plain(msgspec.to_builtins(value, str_keys=True))
    except (TypeError, ValueError):
        return f"<{type(value).__name__}>"


def _key(key: Any) -> str:
    return str(plain(key))
