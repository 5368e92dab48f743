"""What the methods of built-in objects do to them: read, write, or read and write one key.

What is not listed counts as a write: in doubt, dependent.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import logging
import re
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MappingProxyType,
    MethodType,
    ModuleType,
    TracebackType,
)
from uuid import UUID

MAPPINGS = (dict,)
SETS = (set,)
SEQUENCES = (list, collections.deque, bytearray)
CONTAINERS = MAPPINGS + SETS + SEQUENCES
FUTURES = (asyncio.Future,)

READS: dict[type, frozenset[str]] = {
    dict: frozenset(["items", "keys", "values", "copy", "__iter__", "__len__", "fromkeys"]),
    list: frozenset(["copy", "count", "index", "__iter__", "__len__"]),
    collections.deque: frozenset(["copy", "count", "index", "__iter__", "__len__"]),
    bytearray: frozenset(
        [
            "decode",
            "hex",
            "find",
            "index",
            "count",
            "startswith",
            "endswith",
            "copy",
            "split",
            "join",
            "strip",
        ]
    ),
    set: frozenset(
        [
            "copy",
            "union",
            "intersection",
            "difference",
            "symmetric_difference",
            "issubset",
            "issuperset",
            "isdisjoint",
            "__iter__",
            "__len__",
        ]
    ),
    asyncio.Future: frozenset(
        [
            "done",
            "result",
            "exception",
            "cancelled",
            "get_loop",
            "add_done_callback",
            "remove_done_callback",
            "get_name",
            "get_coro",
            "get_stack",
            "print_stack",
            "cancelling",
        ]
    ),
}
"""Methods that change nothing."""

KEYED_READS: dict[type, frozenset[str]] = {
    dict: frozenset(("get", "__getitem__", "__contains__")),
    set: frozenset(("__contains__",)),
}
"""Methods that read what belongs to their first argument."""

KEYED_WRITES: dict[type, frozenset[str]] = {
    dict: frozenset(("pop", "setdefault", "__setitem__", "__delitem__", "move_to_end")),
    set: frozenset(("add", "discard", "remove")),
}
"""Methods that change what belongs to their first argument."""

FIXED = (
    int,
    float,
    complex,
    str,
    bytes,
    tuple,
    frozenset,
    range,
    slice,
    type(None),
    type(Ellipsis),
    type(NotImplemented),
    type,
    date,
    time,
    timedelta,
    tzinfo,
    Decimal,
    Fraction,
    Enum,
    PurePath,
    UUID,
    re.Pattern,
    re.Match,
    BaseException,
    CodeType,
    FrameType,
    TracebackType,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    CoroutineType,
    GeneratorType,
    AsyncGeneratorType,
    MappingProxyType,
    super,
    property,
    staticmethod,
    classmethod,
    contextvars.ContextVar,
    contextvars.Context,
    contextvars.Token,
    logging.Logger,
    logging.LoggerAdapter,
    asyncio.AbstractEventLoop,
)
"""Objects through which no task reaches another: immutable, or a task's own."""

MODULE = ModuleType

HARMLESS = frozenset(
    [
        "len",
        "sorted",
        "sum",
        "min",
        "max",
        "any",
        "all",
        "repr",
        "str",
        "format",
        "enumerate",
        "zip",
        "map",
        "filter",
        "iter",
        "reversed",
        "list",
        "tuple",
        "dict",
        "set",
        "frozenset",
        "bool",
        "print",
        "next",
        "dumps",
        "deepcopy",
        "copy",
        "deque",
        "Counter",
        "OrderedDict",
        "defaultdict",
        "chain",
        "islice",
        "product",
        "iscoroutine",
        "isfuture",
        "wait",
        "gather",
        "ensure_future",
    ]
)
"""Functions that only read the containers they are given, by name."""


def kind_of(value: object) -> type | None:
    """The built-in kind of container or future that this is, or None."""
    for kind in (*CONTAINERS, *FUTURES):
        if isinstance(value, kind):
            return kind
    return None
