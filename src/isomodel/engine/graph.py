"""The object graph: which objects that can change two users' roots both reach.

The search runs after every execution, so it has two passes. The fast one only asks whether
there may be something shared: level by level with one call of ``gc.get_referents`` each, one
decision a type, about 1 ms for 1,500 objects. The exact one, with paths, runs only if there
may be. What a type means:

- *stop*: atoms, modules, classes, loops, tasks and other running code, locks, loggers, weak
  references, context variables. They hold no user's state, or none that stays.
- *pass*: tuples, read-only views, functions (closure, defaults, attributes), bound methods,
  frozen dataclasses and frozen structs, exceptions. They can't change but may lead to what can.
- *report*: everything else, also while it is empty. An instance without any attribute and a
  mapping seen by all only through a read-only view are left out by the exact pass.

Class attributes are shared by all instances, and most of them are constants. Only a change
tells state from a constant: give ``before``, the ``class_state`` of the start.

Out of sight: module globals; what C objects hide from the garbage collector; locals of running
code; class attributes that are no containers, or are changed more than three levels down.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import dataclasses
import decimal
import enum
import fractions
import functools
import logging
import operator
import os
import pathlib
import re
import struct
import sys
import sysconfig
import threading
import types
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from gc import get_referents
from typing import Any, TypeAlias

from isomodel.values.execution import Shared

_STOP, _PASS, _UNFOLD, _REPORT = range(4)

_STOPS: tuple[type, ...] = (
    # atoms
    *(int, float, complex, str, bytes, range, slice, type(None), type(...), type(NotImplemented)),
    *(decimal.Decimal, fractions.Fraction, uuid.UUID, enum.Enum, pathlib.PurePath, re.Pattern),
    *(date, time, timedelta, tzinfo, struct.Struct, types.GenericAlias, types.UnionType),
    # definitions
    *(type, types.ModuleType, types.CodeType, property, staticmethod, classmethod),
    *(types.GetSetDescriptorType, types.MemberDescriptorType, types.MethodDescriptorType),
    *(types.WrapperDescriptorType, types.ClassMethodDescriptorType),
    # running code and what drives it
    *(asyncio.AbstractEventLoop, asyncio.Task, asyncio.Handle, types.CoroutineType),
    *(types.GeneratorType, types.AsyncGeneratorType, types.FrameType, types.TracebackType),
    *(threading.Thread, concurrent.futures.Executor),
    # locks, which hold no data: what they guard is found by itself
    *(asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Barrier),
    *(threading.Event, threading.Condition, threading.Semaphore, threading.Barrier),
    *(type(threading.Lock()), type(threading.RLock())),
    # bookkeeping
    *(contextvars.ContextVar, contextvars.Context, contextvars.Token, weakref.ref),
    *(logging.Logger, logging.LoggerAdapter, logging.Handler, logging.Manager, logging.Filter),
)
_PASSES = (
    *(tuple, frozenset, types.MappingProxyType, types.CellType, types.MethodType),
    *(types.BuiltinMethodType, types.MethodWrapperType, functools.partial, BaseException),
)


def _decide(kind: type) -> int:
    """What to do with objects of this type: the first rule that fits."""
    if issubclass(kind, _STOPS) or kind.__module__ == "typing":
        return _STOP
    if issubclass(kind, types.FunctionType):
        return _UNFOLD
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return _UNFOLD
    config = getattr(kind, "__struct_config__", None)
    return _PASS if issubclass(kind, _PASSES) or getattr(config, "frozen", False) else _REPORT


class _Decisions(dict[type, int]):
    """One decision a type, made once."""

    def __missing__(self, kind: type) -> int:
        self[kind] = decision = _decide(kind)
        return decision


_DECISIONS = _Decisions()

ClassState: TypeAlias = tuple[tuple[type, str, Any], ...]
"""Class attributes that hold a container: class, name, and a copy of what it held."""


def shared_objects(
    roots: Mapping[str, Mapping[str, object]],
    common: Iterable[object] = (),
    *,
    groups: Iterable[Iterable[str]] = (),
    before: ClassState = (),
) -> tuple[Shared, ...]:
    """The topmost objects that can change and that two users' roots both reach.

    ``roots`` has each user's objects by name; at ``common`` ones (the target itself, a pool)
    the search stops. Users of one of the ``groups`` may share. What lies below a shared object
    is not listed again. An object of three users is listed for the first with each other one.
    """
    common = (*common, os.environ, sys.stdin, sys.stdout, sys.stderr)
    allowed = {id(thing) for thing in common}
    parts = _parts(roots, groups)
    changed = [item for item in before if _changed(item, allowed)]
    if not changed and not _may_share(roots, parts, allowed):
        return ()
    reached = {user: _Reach(user, roots[user], allowed) for user in roots}
    found = [*_instances(roots, reached, parts, allowed), *_classes(changed, reached, parts)]
    return tuple(sorted(found, key=lambda item: (item.paths, item.type)))


def _parts(roots: Mapping[str, Any], groups: Iterable[Iterable[str]]) -> dict[str, str]:
    """Each user with a name for the users it may share with: the first of its group."""
    parts = {user: user for user in roots}
    for group in groups:
        members = list(group)
        parts.update((user, members[0]) for user in members if user in roots)
    return parts


def _may_share(
    roots: Mapping[str, Mapping[str, object]], parts: Mapping[str, str], allowed: set[int]
) -> bool:
    """The fast pass: whether the exact one could find anything."""
    owners: dict[int, str] = {}
    decisions = _DECISIONS
    for user, part in parts.items():
        level: list[Any] = [list(roots[user].values())]
        while level:
            following = []
            for item in get_referents(*level):
                decision = decisions[type(item)]
                if not decision:
                    continue
                key = id(item)
                owner = owners.get(key)
                if owner is None and key in allowed:
                    continue
                if owner is None or (owner != part and decision != _REPORT):
                    owners[key] = part
                    following.append(_unfolded(item) if decision == _UNFOLD else item)
                elif owner != part and _has_state(item):
                    return True
            level = following
    return False


def _unfolded(item: Any) -> tuple[Any, ...]:
    """What a function carries with it, or a frozen dataclass holds.

    Neither globals, which belong to the module, nor a ``__dict__``, which would look mutable.
    """
    if type(item) is types.FunctionType:
        return tuple(value for _, value in _function_edges(item))
    return tuple(_attributes(item).values())


def _has_state(thing: Any) -> bool:
    """Whether this is more than an instance of a plain class without any attribute."""
    if type(thing).__basicsize__ > object.__basicsize__ + 2 * struct.calcsize("P"):
        return True
    own = _own_dict(thing)
    return bool(own) or any(
        item is not own and item is not type(thing) for item in get_referents(thing)
    )


class _Reach:
    """All that one user's roots reach, each with the shortest path, and by which edges.

    Of equally short paths the first in the alphabet counts: objects in a set have no order.
    At the objects in ``halt`` the walk stops.
    """

    def __init__(
        self,
        user: str,
        roots: Mapping[str, object],
        allowed: set[int],
        halt: Mapping[int, Any] = types.MappingProxyType({}),
    ) -> None:
        self.found: dict[int, tuple[str, Any]] = {}
        self.writable: set[int] = set()
        start = [(f"{user}.{name}" if user else "", root, True) for name, root in roots.items()]
        level = self._offered(start, allowed)
        while level:
            self.found.update(level)
            edges = [
                (path + text, referent, type(item) is not types.MappingProxyType)
                for key, (path, item) in level.items()
                if key not in halt
                for text, referent in _edges(item)
            ]
            level = self._offered(edges, allowed)

    def _offered(
        self, edges: list[tuple[str, Any, bool]], allowed: set[int]
    ) -> dict[int, tuple[str, Any]]:
        """The objects at the end of these edges that are new, each with its best path."""
        level: dict[int, tuple[str, Any]] = {}
        for path, item, writable in edges:
            key = id(item)
            if not _DECISIONS[type(item)] or key in allowed:
                continue
            if writable:
                self.writable.add(key)
            best = level.get(key)
            if key not in self.found and (
                best is None or (len(path), path) < (len(best[0]), best[0])
            ):
                level[key] = path, item
        return level


def _edges(item: Any) -> Iterator[tuple[str, Any]]:
    """What an object refers to, in attribute notation; its ``__dict__`` is not an object here.

    Types are asked for with ``type``: ``isinstance`` would call code of a proxy object.
    """
    kind = type(item)
    if kind is types.FunctionType:
        yield from _function_edges(item)
        return
    attributes = _attributes(item)
    named = [*_items(kind, item), *((f".{name}", value) for name, value in attributes.items())]
    yield from named
    known = {id(value) for _, value in named} | {id(_own_dict(item))}
    for referent in get_referents(item):
        if id(referent) not in known and _DECISIONS[type(referent)]:
            transparent = kind in (types.CellType, types.MappingProxyType)
            yield ("" if transparent else f".<{type(referent).__name__}>"), referent


def _function_edges(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=False):
        yield f".<closure {name}>", cell
    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    for name, value in zip(arguments[len(arguments) - len(defaults) :], defaults, strict=False):
        yield f".<default {name}>", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f".<default {name}>", value
    yield from ((f".{name}", value) for name, value in function.__dict__.items())


def _items(kind: type, item: Any) -> Iterator[tuple[str, Any]]:
    if issubclass(kind, dict):
        for key, value in dict.items(item):
            if _DECISIONS[type(value)]:
                yield f"[{_key(key)}]", value
            if _DECISIONS[type(key)]:
                yield f".<key {_key(key)}>", key
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        yield from ((f".{name}", value) for name, value in zip(kind._fields, item, strict=False))
    elif issubclass(kind, list | tuple | deque):
        yield from ((f"[{place}]", value) for place, value in enumerate(item))
    elif issubclass(kind, set | frozenset):
        yield from (("{...}", value) for value in item)
    elif kind is types.BuiltinMethodType:
        yield ".__self__", item.__self__
    elif issubclass(kind, BaseException):
        yield ".args", BaseException.args.__get__(item)  # type: ignore[attr-defined]


def _key(key: Any) -> str:
    """A key as text, without calling code of the target."""
    if isinstance(key, tuple):
        return f"({', '.join(_key(part) for part in key)})"
    plain = type(key) in (str, int, float, bool, bytes, type(None))
    return f"{key!r:.40}" if plain else f"<{type(key).__name__}>"


def _own_dict(item: Any) -> dict[str, Any] | None:
    try:
        found = object.__getattribute__(item, "__dict__")
    except AttributeError:
        return None
    return found if type(found) is dict else None


def _attributes(item: Any) -> dict[str, Any]:
    """Instance attributes by name, those in slots too, without calling code of the target."""
    kind: Any = type(item)
    found = dict(_own_dict(item) or {})
    for name, member in _slots(kind):
        with contextlib.suppress(AttributeError):
            found.setdefault(name, member.__get__(item))
    return found


@functools.lru_cache(maxsize=1024)
def _slots(kind: Any) -> tuple[tuple[str, types.MemberDescriptorType], ...]:
    return tuple(
        (name, member)
        for cls in kind.__mro__
        for name, member in vars(cls).items()
        if type(member) is types.MemberDescriptorType
    )


def _instances(
    roots: Mapping[str, Mapping[str, object]],
    reached: Mapping[str, _Reach],
    parts: Mapping[str, str],
    allowed: set[int],
) -> list[Shared]:
    """The topmost shared objects, for the first user that reaches each and every other one."""
    users: dict[int, list[str]] = {}
    things: dict[int, Any] = {}
    for user, reach in reached.items():
        for key, (_, thing) in reach.found.items():
            users.setdefault(key, []).append(user)
            things[key] = thing
    shared = {
        key: thing
        for key, thing in things.items()
        if _DECISIONS[type(thing)] == _REPORT
        and len({parts[user] for user in users[key]}) > 1
        and any(key in reached[user].writable for user in users[key])
        and _has_state(thing)
    }
    hits = {
        key: thing
        for user in roots
        for key, (_, thing) in _Reach(user, roots[user], allowed, shared).found.items()
        if key in shared
    }
    return [
        Shared(
            (users[key][0], other),
            (reached[users[key][0]].found[key][0], reached[other].found[key][0]),
            type(thing).__name__,
        )
        for key, thing in _topmost(hits, lambda key: reached[users[key][0]].found[key][0], allowed)
        for other in users[key][1:]
        if parts[other] != parts[users[key][0]]
    ]


def _topmost(
    things: Mapping[int, Any], path: Callable[[int], str], allowed: set[int]
) -> list[tuple[int, Any]]:
    """Those that no other one leads to; of some that lead to each other, the first by path."""
    order = sorted(things, key=lambda key: (len(path(key)), path(key)))
    below = {key: _Reach("", {"": things[key]}, allowed).found for key in order}
    return [
        (key, things[key])
        for place, key in enumerate(order)
        if not any(
            key in below[other] and (other not in below[key] or earlier < place)
            for earlier, other in enumerate(order)
            if other != key
        )
    ]


def own_classes() -> tuple[type, ...]:
    """The classes defined outside the standard library and installed packages.

    Takes some milliseconds: call it once, and again when more modules have been imported.
    """
    found: dict[type, None] = {}
    waiting: list[type] = [object]
    while waiting:
        subclasses: list[type] = type.__subclasses__(waiting.pop())
        for cls in subclasses:
            if cls not in found:
                found[cls] = None
                waiting.append(cls)
    own = {name: is_own_module(name) for name in {cls.__module__ for cls in found}}
    return tuple(cls for cls in found if own[cls.__module__])


def is_own_module(name: str) -> bool:
    """Whether this module is neither of the standard library nor of an installed package."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and not file.startswith(_libraries())


@functools.cache
def _libraries() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple(sysconfig.get_path(name) + os.sep for name in names)


def class_state(classes: Iterable[type]) -> ClassState:
    """What the containers in attributes of these classes hold now.

    Taken when the target has started, it tells ``shared_objects`` which of them users changed.
    """
    return tuple(
        (cls, name, _copied(value))
        for cls in classes
        for name, value in vars(cls).items()
        if isinstance(value, list | dict | set | bytearray | deque) and not name.startswith("__")
    )


def _copied(value: Any, depth: int = 3) -> Any:
    """The structure of containers within containers; what they hold is not copied."""
    if depth and isinstance(value, dict):
        return {key: _copied(item, depth - 1) for key, item in dict.items(value)}
    if depth and isinstance(value, list | deque):
        return [_copied(item, depth - 1) for item in value]
    if depth and isinstance(value, set):
        return set(value)
    return bytes(value) if isinstance(value, bytearray) else value


def _same(old: Any, new: Any) -> bool:
    """Whether two copies hold the very same objects; ``==`` could call code of the target."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = len(old) == len(new) and all(map(operator.is_, old, new))
        return keys and all(map(_same, old.values(), new.values()))
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return old is new or (isinstance(old, set | bytes) and old == new)


def _changed(item: tuple[type, str, Any], allowed: set[int]) -> bool:
    cls, name, old = item
    value = vars(cls).get(name)
    return id(value) not in allowed and not _same(old, _copied(value))


def _classes(
    changed: Iterable[tuple[type, str, Any]],
    reached: Mapping[str, _Reach],
    parts: Mapping[str, str],
) -> list[Shared]:
    """The changed class attributes that instances of two users have in common."""
    found = []
    for cls, name, _ in changed:
        paths: dict[str, str] = {}
        for user, reach in reached.items():
            for path, thing in reach.found.values():
                if issubclass(type(thing), cls) and name not in (_own_dict(thing) or ()):
                    paths.setdefault(user, f"{path}.{name}")
                    break
        kind = f"{type(vars(cls).get(name)).__name__} of class {cls.__name__}"
        users = list(paths)
        found += [
            Shared((users[0], other), (paths[users[0]], paths[other]), kind)
            for other in users[1:]
            if parts[other] != parts[users[0]]
        ]
    return found
