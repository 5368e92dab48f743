"""What handing out a value means: whether it can change unseen, and what it leads to."""

from __future__ import annotations

import array
import asyncio
import concurrent.futures
import contextvars
import decimal
import enum
import fractions
import functools
import gc
import logging
import pathlib
import random
import re
import struct
import sys
import threading
import types
import uuid
import weakref
from collections import deque
from datetime import date, time, timedelta, tzinfo
from typing import Any, Final

from isomodel.engine.control.sources import is_machinery
from isomodel.engine.tracking.boxes import BOXES

ATOM: Final = 0
"""Cannot change, or keeps no state of the program's."""
TRACKED: Final = 1
"""Notes itself what is done to it."""
BOX: Final = 2
"""A container that notes itself what is done to it."""
PLAIN: Final = 3
"""A container for which there is a box."""
RAW: Final = 4
"""Has no box; whether it has changed is seen by comparing what it holds."""
PASS: Final = 5
"""Cannot change itself, but may lead to what can."""
CONSUMED: Final = 6
"""Changes by being used, and leads to what it goes through."""
OPAQUE: Final = 7
"""May change in ways nobody sees."""

_ATOMS: tuple[type, ...] = (
    *(int, float, complex, str, bytes, range, slice, type(None), type(...), type(NotImplemented)),
    *(decimal.Decimal, fractions.Fraction, uuid.UUID, enum.Enum, pathlib.PurePath, re.Pattern),
    *(re.Match, date, time, timedelta, tzinfo, struct.Struct, types.GenericAlias, types.UnionType),
    *(type, types.ModuleType, types.CodeType, property, staticmethod, classmethod),
    *(types.GetSetDescriptorType, types.MemberDescriptorType, types.MethodDescriptorType),
    *(types.WrapperDescriptorType, types.ClassMethodDescriptorType, types.FrameType),
    *(asyncio.AbstractEventLoop, asyncio.Handle, BaseException, types.TracebackType),
    *(threading.Thread, concurrent.futures.Executor, threading.Event, threading.Condition),
    *(threading.Semaphore, threading.Barrier, type(threading.Lock()), type(threading.RLock())),
    *(contextvars.ContextVar, contextvars.Context, contextvars.Token, weakref.ref),
    *(logging.Logger, logging.LoggerAdapter, logging.Handler, logging.Manager, logging.Filter),
    *(random.SystemRandom, functools._lru_cache_wrapper),
)
"""Random numbers that the system gives are the running operation's own here. An ``lru_cache`` is
taken to be what it looks like: a function whose results do not depend on when it is called."""

_CONSUMED: tuple[type, ...] = (
    *(types.GeneratorType, types.AsyncGeneratorType, enumerate, zip, map, filter, reversed),
    *(type(iter({})), type(iter({}.values())), type(iter({}.items())), type(iter([]))),
    *(type(iter(())), type(iter(set())), type(iter(deque())), type(reversed([]))),
    *(type(iter(range(0))), type(iter("")), type(iter(b""))),
)
"""What changes by being used, and may lead to other things."""

_PASSES: tuple[type, ...] = (
    *(tuple, frozenset, types.MethodType, types.BuiltinMethodType, types.MethodWrapperType),
    *(types.FunctionType, functools.partial, types.MappingProxyType, types.CoroutineType),
    *(type({}.keys()), type({}.values()), type({}.items()), super),
)

_PASSES_BY_NAME = frozenset(
    ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable",
     "FutureIter", "async_generator_wrapped_value", "_asyncio.FutureIter")
)  # fmt: skip

_OURS = frozenset(("isomodel.targets.guard", "isomodel.targets.declare", "__future__"))
"""What runs inside a program without being one: the run itself notes what it does."""

_HEAP, _IMMUTABLE = 1 << 9, 1 << 8
"""Flags of CPython's types."""

_RAWS: tuple[type, ...] = (list, dict, set, deque, bytearray, array.array, types.CellType)


def is_plain_class(kind: type) -> bool:
    """Whether instances keep all of their state in attributes: no base is written in C."""
    return all(base is object or _is_made_in_python(base) for base in kind.__mro__)


def _is_made_in_python(kind: type) -> bool:
    if not kind.__flags__ & _HEAP or kind.__flags__ & _IMMUTABLE:
        return False
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    return module is None or kind.__module__ == "__main__" or str(file).endswith((".py", ".pyc"))


class Kinds(dict[type, int]):
    """What values of each type are, decided once a type."""

    def __init__(self) -> None:
        super().__init__()
        self.tracked: set[type] = set()
        self._for_now: weakref.WeakSet[type] = weakref.WeakSet()
        self._boxes = frozenset(BOXES.values())

    def track(self, kinds: set[type]) -> None:
        """From now on instances of these classes, and of those below them, note themselves."""
        self.tracked = kinds
        self.clear()

    def track_for_now(self, kind: type) -> None:
        """The same for one class, of which nothing is kept."""
        self._for_now.add(kind)

    def __missing__(self, kind: type) -> int:
        decided = self._decide(kind)
        if not self._for_now or self._for_now.isdisjoint(kind.__mro__):
            self[kind] = decided
        return decided

    def _decide(self, kind: type) -> int:
        if kind in self._boxes:
            return BOX
        if kind in BOXES:
            return PLAIN
        if issubclass(kind, asyncio.Future):
            return TRACKED if getattr(kind, "notes_itself", False) else OPAQUE
        if issubclass(kind, _ATOMS) or kind.__module__ == "typing":
            return ATOM
        if issubclass(kind, _RAWS):
            return RAW
        if issubclass(kind, _CONSUMED):
            return CONSUMED
        if issubclass(kind, _PASSES) or kind.__name__ in _PASSES_BY_NAME:
            return PASS
        if not (self.tracked.isdisjoint(kind.__mro__) and self._for_now.isdisjoint(kind.__mro__)):
            return TRACKED if is_plain_class(kind) else OPAQUE
        if is_machinery(kind.__module__) or kind.__module__ in _OURS:
            return ATOM
        if getattr(getattr(kind, "__struct_config__", None), "frozen", False):
            return PASS
        return OPAQUE


def inside(value: Any) -> list[Any]:
    """What a value that cannot change itself leads to: not globals, which are looked at apart."""
    kind = type(value)
    if kind is types.FunctionType:
        found = [*(value.__closure__ or ()), *(value.__defaults__ or ())]
        if value.__kwdefaults__:
            found += value.__kwdefaults__.values()
        if value.__dict__:
            found.append(value.__dict__)
        return found
    return _referents(value)


def _referents(value: Any) -> list[Any]:

    return gc.get_referents(value)
