"""The recorder: accesses of one execution, under labels that are the same in every execution.

An object is labelled by the task that made it, its class, and how many of the class that task had
made (findings on the prototype: labels that differ between executions silently lose results); one
that was there before by its place in the program; any other by the way on which it was first
reached, or else by the task that first touched it.

Limits. The last kind of label depends on the order of events where two tasks may be first: such a
conflict is seen in each execution, but not known again in another. An object that bears no weak
reference (a list, a dict) lives until the next step in which anything is recorded, lest another
one take its address and with it its label: what it refers to is freed that much later.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields
from enum import Enum
from sys import getrefcount
from types import FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple, Protocol

from isomodel.tracking.containers import TRAITS

Label = Hashable

_ALL = "*"
"""Stands for the keys of a container, their number and order."""

_HERE = (__name__.rpartition(".")[0] + ".", "isomodel.engine.")
"""Modules that do accesses for the program."""

_UNSHARED = next(map(getrefcount, {0: object()}.values()))
"""What is counted of an object to which only a dict refers, when it is asked about like this."""

_TELLING_REPR = frozenset(["datetime", "decimal", "fractions", "pathlib", "uuid"])
"""Modules whose values are equal where their texts are."""

_EXACT: frozenset[type] = frozenset([str, int, float, bytes, bool, type(None)])


class Access(NamedTuple):
    """Step number ``step`` (from 1) of this task read or wrote what ``label`` names.

    ``where`` is the source line, as "file:line in function", if the recorder was asked for it.
    """

    task: str
    step: int
    label: Label
    write: bool
    where: str = ""


_new = tuple.__new__
"""Makes a named tuple in a third of the time."""


class Runner(Protocol):
    """The running task: its stable name, and how many steps it has begun; 0 outside any task."""

    @property
    def name(self) -> str:
        """Stable in every execution."""

    @property
    def steps(self) -> int:
        """The number of the running step, from 1."""


class Place:
    """Something that is read and written: part of an object, a name.

    ``read`` and ``written`` say in which stretch that was last recorded.
    """

    __slots__ = ("label", "read", "written")

    def __init__(self, label: Label) -> None:
        self.label = label
        self.read = self.written = -1


class _Reference(weakref.ref[Any]):
    __slots__ = ("key",)
    key: int


class _Entry:
    """What is known of one object."""

    __slots__ = ("label", "places", "thing")

    def __init__(self, label: Label, thing: Any) -> None:
        self.label = label
        self.thing = thing
        self.places: dict[Hashable, Place] = {}


class Recorder:
    """Records while it is the active one (see ``hooks``).

    ``who`` tells which task is running. ``standing`` has labels of objects that were there
    before, by id; whoever gives it keeps them alive. ``telling`` are the ids of the code objects
    that tell of their accesses, ``modules`` the names of the modules they belong to. ``located``
    asks for source lines, which take longer than all else.
    """

    def __init__(
        self,
        who: Callable[[], Runner],
        *,
        standing: Mapping[int, Label] | None = None,
        telling: frozenset[int] = frozenset(),
        modules: frozenset[str] = frozenset(),
        located: bool = False,
    ) -> None:
        self.telling = telling
        self.modules = modules
        self._who = who
        self._located = located
        self._standing = standing or {}
        self._accesses: list[Access] = []
        self._entries: dict[int, _Entry] = {}
        self._held: dict[int, Any] = {}
        self._named: dict[Label, _Entry] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._runner: Runner | None = None
        self._task = ""
        self._step = 0
        self._stretch = 0

    @property
    def accesses(self) -> tuple[Access, ...]:
        """What was recorded so far, in order, each access once for as long as a step runs."""
        return tuple(self._accesses)

    def __len__(self) -> int:
        return len(self._accesses)

    def forget(self) -> None:
        """Let go of all objects."""
        self._entries.clear()
        self._held.clear()
        self._runner = None

    # Labels

    def label(self, thing: Any) -> Label:
        """The stable name of this object; by its maker, if it has none yet."""
        return self._entry(thing).label

    def knows(self, thing: Any) -> bool:
        """Whether this object has a name."""
        return id(thing) in self._entries

    def reached(self, thing: Any, owner: Any, way: Hashable) -> None:
        """Name this object by the way to it, if it has no name yet.

        ``owner`` is the object or, as a tuple, the label of what the way begins at.
        """
        key = id(thing)
        if key not in self._entries and not TRAITS[type(thing)].named:
            label = self._standing.get(key)
            if label is None:
                label = (owner if type(owner) is tuple else self._entry(owner).label, way)
            self._enter(thing, label)

    def born(self, thing: Any) -> None:
        """Name this new object by its maker."""
        if id(thing) not in self._entries:
            self._enter(thing, self._made(thing))

    def _entry(self, thing: Any) -> _Entry:
        entry = self._entries.get(id(thing))
        if entry is not None:
            return entry
        if TRAITS[type(thing)].named:
            return self.named(_label_of_named(thing))
        label = self._standing.get(id(thing))
        return self._enter(thing, self._made(thing) if label is None else label)

    def named(self, label: Label) -> _Entry:
        """What is known of something that goes by this name in every execution."""
        entry = self._named.get(label)
        if entry is None:
            entry = self._named[label] = _Entry(label, None)
        return entry

    def _made(self, thing: Any) -> Label:
        made = (self._who().name, type(thing).__qualname__)
        number = self._numbers[made] = self._numbers.get(made, 0) + 1
        return (*made, number)

    def _enter(self, thing: Any, label: Label) -> _Entry:
        key = id(thing)
        reference: Any = None
        if TRAITS[type(thing)].mortal:
            reference = _Reference(thing, self._gone)
            reference.key = key
        else:  # has to live on, lest another object takes its address and its name
            self._held[key] = thing
        entry = self._entries[key] = _Entry(label, reference)
        return entry

    def _gone(self, reference: Any) -> None:
        entry = self._entries.get(reference.key)
        if entry is not None and entry.thing is reference:
            del self._entries[reference.key]

    # Accesses

    def touch(self, thing: Any, part: Hashable, *, write: bool) -> None:
        """The running task reads or writes this part of an object."""
        self._touch(self._entries.get(id(thing)) or self._entry(thing), part, write)

    def touch_name(self, owner: Label, part: Hashable, *, write: bool, told: str = "") -> None:
        """The same for a part of what goes by a name: a module, a class, a function.

        ``told`` is kept instead of the source line, where something says better what is done.
        """
        self._touch(self.named(owner), part, write, told)

    def _touch(self, entry: _Entry, part: Hashable, write: bool, told: str = "") -> None:
        place = entry.places.get(part)
        if place is None:
            place = entry.places[part] = Place((entry.label, part))
        runner = self._who()
        if runner is not self._runner or runner.steps != self._step:
            self._turn(runner)
        stretch = self._stretch
        if write:
            if place.written == stretch:
                return
            place.written = stretch
        else:
            if place.read == stretch:
                return
            place.read = stretch
        if self._step:
            where = (told or _caller()) if self._located else ""
            access = (self._task, self._step, place.label, write, where)
            self._accesses.append(_new(Access, access))

    def read_size(self, container: Any) -> None:
        """Keys, number and order."""
        self._touch(self._entry(container), _ALL, False)

    def read_all(self, container: Any) -> None:
        """Keys, number and order; every value."""
        self._whole(container, write=False)

    def write_all(self, container: Any) -> None:
        """Anything in it may change."""
        self._whole(container, write=True)

    def _whole(self, container: Any, *, write: bool) -> None:
        entry = self._entry(container)
        self._touch(entry, _ALL, write)
        if TRAITS[type(container)].keyed:
            for key in list(container):
                self._touch(entry, self.key(key), write)

    def read_key(self, container: Any, key: Any) -> None:
        """What belongs to this key, or that nothing does."""
        self._touch(self._entry(container), self.key(key), False)

    def write_key(self, container: Any, key: Any, *, moved: bool) -> None:
        """What belongs to this key; with ``moved`` it came, went or changed its place."""
        entry = self._entry(container)
        self._touch(entry, self.key(key), True)
        if moved:
            self._touch(entry, _ALL, True)

    def key(self, key: Any) -> Label:
        """A key by value where that is stable, by its label where it is equal only to itself.

        Of a class that defines equality in ways of its own all keys are taken to be one.
        """
        kind = type(key)
        if kind in _EXACT:
            return key if key != _ALL else ("text", _ALL)
        if issubclass(kind, (str, int, float, bytes)):
            return _plain(key)
        if issubclass(kind, tuple):
            return ("tuple", *map(self.key, key))
        if issubclass(kind, frozenset):
            return ("frozenset", frozenset(map(self.key, key)))
        if issubclass(kind, Enum):
            return (kind.__qualname__, key.name)
        if issubclass(kind, MethodType):
            return (self.label(key.__self__), key.__func__.__qualname__)
        if TRAITS[kind].named or _is_equal_only_to_itself(kind):
            return self.label(key)
        if kind.__module__.partition(".")[0] in _TELLING_REPR:
            return (kind.__qualname__, repr(key))
        if _is_value(kind):
            parts = (getattr(key, field.name) for field in fields(key) if field.compare)
            return (kind.__qualname__, *map(self.key, parts))
        return (kind.__qualname__, "any")

    # Steps

    def _turn(self, runner: Runner) -> None:
        """Another step runs than the last time."""
        self._runner = runner
        self._task = runner.name
        self._step = runner.steps
        self._stretch += 1
        while (held := self._held) and min(map(getrefcount, held.values())) <= _UNSHARED:
            self._drop()  # and what only that referred to, the next time round

    def _drop(self) -> None:
        """Let go of what nobody else refers to any more."""
        held = self._held
        counts = zip(held, map(getrefcount, held.values()), strict=True)
        for key in [key for key, count in counts if count <= _UNSHARED]:
            del self._entries[key]
            del held[key]


def _caller() -> str:
    """The line of the program that is running."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_HERE):
        frame = frame.f_back
    file = os.path.basename(frame.f_code.co_filename)
    return f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"


def _plain(key: Any) -> Label:
    """The value without its class: as equal to others as the key is."""
    plain: tuple[Label] = key.__getnewargs__()
    return plain[0]


def _is_equal_only_to_itself(kind: Any) -> bool:
    equals: object = kind.__eq__
    return equals is object.__eq__


def _is_value(kind: type) -> bool:
    """Whether this is a frozen dataclass, equal where its fields are."""
    parameters: Any = kind.__dict__.get("__dataclass_params__")
    code = getattr(kind.__eq__, "__code__", None)
    generated = code is not None and code.co_filename.startswith("<")
    return parameters is not None and parameters.eq and parameters.frozen and generated


def _label_of_named(thing: Any) -> Label:
    if isinstance(thing, ModuleType):
        return ("module", thing.__name__)
    kind = "function" if isinstance(thing, FunctionType) else "class"
    return (kind, f"{thing.__module__}.{thing.__qualname__}")
