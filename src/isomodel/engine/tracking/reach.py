"""Reach: what a step could touch without any tracked object noticing.

A bare container (in a local variable, a closure, a module) tells nobody that it is used. So a
step counts as having read every one that its task could reach, and as having written those whose
content has changed when the step is over. Something of an unknown type counts as written.
"""

from __future__ import annotations

import asyncio
import operator
import sys
import types
from collections import deque
from collections.abc import Iterable
from typing import Any

from isomodel.engine.tracking.boxes import BOXES, ListBox, SetBox, boxed, hook
from isomodel.engine.tracking.kinds import (
    BOX,
    CONSUMED,
    OPAQUE,
    PASS,
    PLAIN,
    RAW,
    TRACKED,
    Kinds,
    inside,
)
from isomodel.engine.tracking.sink import READ, WHOLE, WRITE, Label, Sink

MOST = 2_000
"""How many values are looked through; a task that can reach more may touch anything."""

Reached = dict[Label, int]
"""What a task can touch unseen in its next step, and how."""


class Reach:
    """Looks through what is handed out, and compares what cannot note changes itself."""

    def __init__(self, sink: Sink) -> None:
        self.kinds = Kinds()
        self._sink = sink
        self._raws: dict[int, tuple[Any, str, Any]] = {}
        self._cells: dict[int, tuple[Any, str, Any]] = {}
        self._compared: dict[int, tuple[Any, str, Any]] = {}
        self._lists: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self._gathers: list[Any] = []

    def clear(self) -> None:
        """Forget what was met: nothing of an execution is kept alive after it."""
        self._raws.clear()
        self._cells.clear()
        self._compared.clear()
        self._lists.clear()
        self._gathers.clear()

    def listen(self) -> None:
        """Be asked when a box hands out something."""
        hook.handed = self.handed_by_box

    # Handing out

    def handed_by_attribute(self, holder: Any, label: str, name: str, value: Any) -> Any:
        """What an attribute hands out; a box for a container that only this attribute refers to.

        Called with one reference to ``value`` in the caller, which ``SOLE`` allows for.
        """
        kind = self.kinds[type(value)]
        if kind == BOX:
            return self._handed_box(value)
        if kind == PASS:
            if self._leads_nowhere(value):
                return value
        elif kind == PLAIN:
            count = sys.getrefcount(value)
            if count == SOLE:
                return self._box_in_attribute(holder, f"{label}.{name}", name, value)
            if count < SOLE:  # made for this access
                return value
        self.notice(value, f"{label}.{name}")
        return value

    def _leads_nowhere(self, value: Any) -> bool:
        """Whether this is a plain function, a method of a tracked object, or a tuple of atoms."""
        kind = type(value)
        if kind is types.MethodType:
            if self.kinds[type(value.__self__)] > TRACKED:
                return False
            value = value.__func__
            kind = type(value)
        if kind is types.FunctionType:
            return not (value.__closure__ or value.__defaults__ or value.__kwdefaults__)
        return kind is tuple and all(self.kinds[type(part)] <= TRACKED for part in value)

    def handed_by_box(self, value: Any, holder: Any, key: Any, extra: int) -> Any:
        """The same for an item of a box."""
        kind = self.kinds[type(value)]
        if kind <= TRACKED:
            return value
        label = f"{holder.label}[{key!r:.60}]" if type(key) in (str, int) else f"{holder.label}[]"
        if kind == PLAIN and sys.getrefcount(value) == SOLE + extra:
            box = boxed(value, label)
            if isinstance(holder, dict):
                dict.__setitem__(holder, key, box)
            elif isinstance(holder, list) and type(key) is int:
                list.__setitem__(holder, key, box)
                self._replaced(holder, value, box)
            else:
                self.notice(value, label)
                return value
            return self._handed_box(box)
        self.notice(value, label)
        return value

    def box_in_class(self, holder: type, name: str) -> None:
        """Put a box in the place of a container that only this class refers to."""
        value = vars(holder)[name]
        if sys.getrefcount(value) == SOLE - 1:
            box = boxed(value, f"class {holder.__qualname__}.{name}")
            type.__setattr__(holder, name, box)

    def box_in_module(self, names: dict[str, Any], name: str, label: str) -> bool:
        """The same for a module; whether it was done."""
        value = names[name]
        if sys.getrefcount(value) == SOLE - 1:
            names[name] = boxed(value, label)
            return True
        return False

    def _box_in_attribute(self, holder: Any, label: str, name: str, value: Any) -> Any:
        box = boxed(value, label)
        try:
            own = object.__getattribute__(holder, "__dict__")
        except AttributeError:
            own = {}
        if own.get(name) is value:
            own[name] = box
            return self._handed_box(box)
        for cls in type(holder).__mro__:
            there = vars(cls).get(name)
            if there is value:
                box.label = f"class {cls.__qualname__}.{name}"
                type.__setattr__(cls, name, box)
                return self._handed_box(box)
            if type(there) is types.MemberDescriptorType:
                there.__set__(holder, box)
                return self._handed_box(box)
        self.notice(value, label)  # from a place unknown
        return value

    def _handed_box(self, box: Any) -> Any:
        """C code reads sets, and changes lists, without asking them."""
        if type(box) is SetBox:
            self._sink.touch((box.label, WHOLE), READ)
        elif type(box) is ListBox and id(box) not in self._lists and not self._sink.resting:
            self._lists[id(box)] = box, tuple(list.__iter__(box))
        return box

    def _replaced(self, holder: Any, value: Any, box: Any) -> None:
        """An item of this list has become a box, which is no change."""
        if id(holder) in self._lists:
            before = self._lists[id(holder)][1]
            now = tuple(box if item is value else item for item in before)
            self._lists[id(holder)] = holder, now

    def notice(self, value: Any, label: str) -> None:
        """The running step can use this value from now on."""
        if self.kinds[type(value)] <= TRACKED:
            return
        sink = self._sink
        for place, mode in self.reached_from((value,), label, numbered=False).items():
            sink.touch(place, mode)

    def read_all(self, value: Any, label: str) -> None:
        """The running step hands this to somebody who reads all of it."""
        kind = self.kinds[type(value)]
        if kind <= TRACKED or (kind == PASS and self._leads_nowhere(value)):
            return
        self.notice(value, label)
        if kind == BOX:
            self._sink.touch((value.label, WHOLE), READ)
        if kind in (BOX, PLAIN, RAW) or type(value) is tuple:
            for part in content(value):
                if part is not value:
                    self.read_all(part, label)

    # Looking through

    def reached_from(self, roots: Iterable[Any], label: str, *, numbered: bool = True) -> Reached:
        """What can be used through these, without an attribute being read.

        What is met for the first time is called by ``label``, with a number where these are not
        one attribute or item: its number among what is met in the frames of one task.
        """
        kinds = self.kinds
        found: Reached = {}
        if self._sink.resting:
            return found
        seen: set[int] = set()
        level = list(roots)
        while level:
            following: list[Any] = []
            for value in level:
                kind = kinds[type(value)]
                if kind <= TRACKED:
                    continue
                key = id(value)
                if key in seen:
                    continue
                seen.add(key)
                if kind == PASS:
                    following += inside(value)
                elif kind == BOX:
                    self._handed_box(value)
                elif kind == CONSUMED:
                    found[self._opaque(value, label, numbered), WHOLE] = WRITE
                    following += inside(value)
                elif type(value).__name__ == "_GatheringFuture":
                    found.update(self._gathering(value))
                elif kind == OPAQUE:
                    found[self._opaque(value, label, numbered), WHOLE] = WRITE
                else:
                    if type(value) is types.CellType and self._holds_something_new(value):
                        self._box_in_cell(value, label)
                    known = self._raws.get(key)
                    name = known[1] if known else self._raw(value, label, numbered)
                    found[name, WHOLE] = READ
                    following += content(value)
            if len(seen) > MOST:
                self._sink.forget_all()
                return found
            level = following
        return found

    def _opaque(self, value: Any, label: str, numbered: bool) -> str:
        known_as = self._raws.get(id(value))
        if known_as is not None:
            return known_as[1]
        kind = type(value)
        self._sink.meet(kind)
        known = f"{label}:{self._sink.number(kind.__qualname__)}" if numbered else label
        self._raws[id(value)] = value, known, None  # it stays where it is while it is known
        return known

    def _raw(self, value: Any, label: str, numbered: bool) -> str:
        kind = type(value).__qualname__
        name = f"{label}:{self._sink.number(kind)}" if numbered else label
        known_as = value, name, content(value)
        self._raws[id(value)] = known_as
        (self._cells if type(value) is types.CellType else self._compared)[id(value)] = known_as
        return name

    def _holds_something_new(self, cell: Any) -> bool:
        """Whether a container has come into this closure that was not met before."""
        try:
            value = cell.cell_contents
        except ValueError:
            return False
        return type(value) in BOXES and id(value) not in self._raws

    def _box_in_cell(self, cell: Any, label: str) -> None:
        try:
            value = cell.cell_contents
        except ValueError:
            return
        if type(value) in BOXES and sys.getrefcount(value) == SOLE - 1:
            number = self._sink.number("closure")
            cell.cell_contents = boxed(value, f"{self._sink.who}:{number}")

    # What only counts down

    def gathers(self, callback: Any) -> None:
        """A callback is added to a future; if it is that of ``gather``, it will count down."""
        if _is_of_gather(callback) and callback not in self._gathers:
            self._sink.label(callback)
            self._gathers.append(callback)

    def counts_down(self, callback: Any, args: tuple[Any, ...]) -> Label | None:
        """What is counted, if this callback only counts that one more task has ended well."""
        if _is_of_gather(callback):
            label = (self._sink.label(callback), "count")
        elif getattr(callback, "__func__", None) is _ENDED_IN_GROUP:
            label = (self._sink.label(callback.__self__), "_tasks")
        else:
            return None
        return label if len(args) == 1 and _ended_well(args[0]) else None

    def _gathering(self, future: Any) -> Reached:
        """Whoever has the future of a ``gather`` sees what was counted."""
        for callback in self._gathers:
            for cell in callback.__closure__:
                if content(cell) == [future]:
                    return {(self._sink.label(callback), "count"): READ}
        return {}

    # Comparing

    def compare(self) -> None:
        """Note as written, by the step that ends, what has changed since the last comparison."""
        touch = self._sink.touch
        for key, (value, label, before) in self._cells.items():
            try:
                now = value.cell_contents
                same = bool(before) and now is before[0]
            except ValueError:  # it is empty
                same = not before
            if not same:
                touch((label, WHOLE), WRITE)
                self._cells[key] = value, label, content(value)
        for key, (value, label, before) in self._compared.items():
            now = content(value)
            if len(now) != len(before) or not all(map(operator.is_, now, before)):
                touch((label, WHOLE), WRITE)
                self._compared[key] = value, label, now
        if self._lists:
            for box, items in self._lists.values():
                here = tuple(list.__iter__(box))
                if len(here) != len(items) or not all(map(operator.is_, here, items)):
                    touch((box.label, WHOLE), WRITE)
            self._lists.clear()


_ENDED_IN_GROUP: Any = asyncio.TaskGroup._on_task_done


def _is_of_gather(callback: Any) -> bool:
    return _is_asyncios(callback, "gather.<locals>._done_callback")


def _is_asyncios(callback: Any, name: str) -> bool:
    code = getattr(callback, "__code__", None)
    return code is not None and code.co_qualname == name and callback.__module__ == "asyncio.tasks"


def makes_no_difference(callback: Any) -> bool:
    """Whether nobody can tell when this plain callback runs.

    What ``shield`` does at the end of its outer future only spares the end of the inner one a
    callback, which would find that there is nothing to do.
    """
    return _is_asyncios(callback, "shield.<locals>._outer_done_callback")


def _ended_well(future: Any) -> bool:
    stock: Any = asyncio.Future
    return (
        isinstance(future, asyncio.Future)
        and stock.done(future)
        and not stock.cancelled(future)
        and future._exception is None
    )


def content(value: Any) -> list[Any]:
    """What this raw container holds now, in its order."""
    kind = type(value)
    if kind is list:
        return list(value)
    if kind is types.CellType:
        try:
            return [value.cell_contents]
        except ValueError:
            return []
    if kind is bytearray:
        return [*bytes(value)]
    if isinstance(value, dict):
        return [*dict.keys(value), *dict.values(value)]
    plain: Any
    for plain in (list, set, deque):
        if isinstance(value, plain):
            return list(plain.__iter__(value))
    return list(value)  # an array


def _sole() -> int:
    """What ``sys.getrefcount`` says where one place alone refers to a container."""
    holder: list[list[Any]] = [[]]

    def handed(holder: Any, label: str, name: str, value: Any) -> int:
        return sys.getrefcount(value)

    def gets() -> int:
        value = holder[0]
        return handed(None, "", "", value)

    return gets()


SOLE = _sole()
