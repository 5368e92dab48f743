"""What the methods of built-in objects do to them: read, write, or read and write one key.

What is not listed counts as a write: in doubt, dependent.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import gc
import itertools
import logging
import re
from collections.abc import Callable, Iterable, Sequence
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
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    SimpleNamespace,
    TracebackType,
    WrapperDescriptorType,
)
from typing import Any
from uuid import UUID

MAPPINGS = (dict,)
SETS = (set,)
SEQUENCES = (list, collections.deque, bytearray)
CONTAINERS = MAPPINGS + SETS + SEQUENCES
FUTURES = (asyncio.Future,)

READS: dict[type, frozenset[str]] = {
    dict: frozenset(
        [
            "items",
            "keys",
            "values",
            "copy",
            "__iter__",
            "__len__",
            "fromkeys",
            "most_common",
            "elements",
            "total",
        ]
    ),
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
    dict: frozenset(("pop", "setdefault", "__setitem__", "__delitem__")),
    set: frozenset(("add", "discard", "remove")),
}
"""Methods that change what belongs to their first argument."""

FIXED: tuple[type, ...] = (
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
    BuiltinFunctionType,
    MethodType,
    CoroutineType,
    GeneratorType,
    AsyncGeneratorType,
    enumerate,
    zip,
    map,
    filter,
    reversed,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
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


_MAPPINGS: tuple[dict[Any, Any], ...] = ({}, collections.OrderedDict())
_SEQUENCES: tuple[Sequence[Any], ...] = ([], collections.deque(), bytearray())

LAZY: frozenset[type] = frozenset(
    (
        enumerate,
        zip,
        map,
        filter,
        itertools.chain,
        itertools.islice,
        *(
            kind
            for each in _MAPPINGS
            for view in (each.keys(), each.values(), each.items())
            for kind in (type(view), type(iter(view)), type(reversed(view)))
        ),
        *(type(iter(each)) for each in (*_SEQUENCES, set(), ())),
        *(type(reversed(each)) for each in _SEQUENCES),
    )
)
"""Views and iterators written in C, which look into their container as they go."""

_DEEP = 4
"""How far to look for that: ``enumerate(zip(...))`` has iterators within iterators."""


def looked_into(thing: object, depth: int = _DEEP) -> list[Any]:
    """The containers that this view or iterator is going to look into; none for anything else."""
    if type(thing) not in LAZY and not (depth < _DEEP and type(thing) is tuple):
        return []
    found: list[Any] = []
    for each in gc.get_referents(thing) if depth else ():
        if TRAITS[type(each)].size is not None:
            found.append(each)
        else:
            found += looked_into(each, depth - 1)
    return found


SIZES = frozenset(["len", "bool"])
"""Functions to which only the number of things in a container matters."""

FORMATS = frozenset(
    [
        "join",
        "format",
        "format_map",
        "translate",
        "union",
        "intersection",
        "difference",
        "symmetric_difference",
        "isdisjoint",
        "issubset",
        "issuperset",
    ]
)
"""Methods of texts and frozen sets that read the containers they are given."""

STACK_READERS = frozenset(
    [
        "sys",
        "dataclasses",
        "inspect",
        "warnings",
        "logging",
        "traceback",
        "typing",
        "types",
        "enum",
        "gc",
    ]
)
"""Modules whose functions look at who called them: nobody may stand in between."""

_NAMED = (ModuleType, type, FunctionType)
_BOUND = (MethodType, BuiltinFunctionType, MethodWrapperType)
_IN_C = (BuiltinFunctionType, MethodWrapperType, MethodDescriptorType, WrapperDescriptorType)
_PLAIN = (SimpleNamespace,)
_OURS = "isomodel."
_LAYER = "isomodel.targets.factory"
_HEAP_TYPE = 1 << 9
"""Flag of classes that are made at run time, as those of Python code are."""


class Traits:
    """What matters about the objects of one class, found out once.

    ``fixed``: no task reaches another through them. ``kind``: the built-in container or future
    that they are, ``keyed`` a dict or set, ``size`` its length. ``mortal``: a weak reference
    tells of their end. ``named``: their name says which they are. ``opaque``: they have state of
    which the attributes do not tell. ``silent``: nothing about them is recorded. ``fields``: tells
    what is looked at where an object is read as a whole; None for one that tells itself.
    ``bound``: they are methods of an object; ``in_c``: callable, and written in C.
    """

    __slots__ = (
        "bound",
        "fields",
        "fixed",
        "has_dict",
        "in_c",
        "keyed",
        "kind",
        "mortal",
        "named",
        "opaque",
        "silent",
        "size",
    )

    def __init__(self, kind: type) -> None:
        self.kind = next((k for k in (*CONTAINERS, *FUTURES) if issubclass(kind, k)), None)
        self.fixed = issubclass(kind, FIXED) and self.kind is None
        self.named = issubclass(kind, _NAMED)
        ours = str(kind.__module__)
        self.silent = self.fixed or (ours.startswith(_OURS) and not ours.startswith(_LAYER))
        plain = self.silent or self.named or kind is object or issubclass(kind, _PLAIN)
        made = bool(kind.__flags__ & _HEAP_TYPE) and ours != "builtins"
        self.opaque = self.kind is None and not plain and not made
        self.keyed = self.kind in (*MAPPINGS, *SETS)
        self.mortal = kind.__weakrefoffset__ != 0
        self.bound = issubclass(kind, _BOUND)
        self.in_c = issubclass(kind, _IN_C)
        self.has_dict = kind.__dictoffset__ != 0
        self.size: Callable[[Any], int] | None = None if self.kind is None else _size(self.kind)
        self.fields: Callable[[Any], Iterable[str]] | None = None
        if "__dataclass_fields__" in kind.__dict__:
            names = tuple(kind.__dict__["__dataclass_fields__"])
            self.fields = lambda thing: names
        elif issubclass(kind, _PLAIN):
            self.fields = vars


class _ByClass(dict[type, Traits]):
    def __missing__(self, kind: type) -> Traits:
        traits = self[kind] = Traits(kind)
        return traits


TRAITS = _ByClass()
"""The traits of each class met so far."""


def _size(kind: type) -> Callable[[Any], int] | None:
    return kind.__len__ if kind in CONTAINERS else None


def kind_of(value: object) -> type | None:
    """The built-in kind of container or future that this is, or None."""
    return TRAITS[type(value)].kind


def is_fixed(value: object) -> bool:
    """Whether no task reaches another through this."""
    return TRAITS[type(value)].fixed
