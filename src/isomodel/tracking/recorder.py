"""The recorder: accesses of one execution, under labels that are the same in every execution.

An object is labelled by the task that made it, its class, and how many of the class that task had
made (findings on the prototype: labels that differ between executions silently lose results); one
that rewritten code did not make, by the way on which it was first reached.
"""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from isomodel.tracking.containers import FIXED, MAPPINGS, MODULE, SETS, kind_of

Label = Hashable

_ALL = "*"
"""Stands for the keys of a container, their number and order."""


class Access(NamedTuple):
    """Step number ``step`` (from 1) of this task read or wrote what ``label`` names."""

    task: str
    step: int
    label: Label
    write: bool


class Recorder:
    """Records while it is the active one (see ``hooks``).

    ``who`` tells which task is running and in which of its steps; ("", 0) outside any.
    ``accesses`` has each (task, step, label, write) once, in the order in which they first came.
    """

    def __init__(self, who: Callable[[], tuple[str, int]]) -> None:
        self._who = who
        self._accesses: dict[Access, None] = {}
        self._labels: dict[int, tuple[Any, Label]] = {}
        self._held: dict[int, Any] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._step: tuple[str, int] = ("", 0)

    @property
    def accesses(self) -> tuple[Access, ...]:
        """What was recorded so far."""
        return tuple(self._accesses)

    def __len__(self) -> int:
        return len(self._accesses)

    def forget(self) -> None:
        """Let go of all objects."""
        self._labels.clear()
        self._held.clear()

    # Labels

    def label(self, thing: Any) -> Label:
        """The stable name of this object; by its maker, if it has none yet."""
        known = self._labels.get(id(thing))
        if known is not None and _is(known[0], thing):
            return known[1]
        if isinstance(thing, MODULE):
            return self._named(thing, ("module", thing.__name__))
        task, _ = self._now()
        made = (task, type(thing).__qualname__)
        self._numbers[made] += 1
        return self._named(thing, (*made, self._numbers[made]))

    def reached(self, thing: Any, owner: Label, way: Hashable) -> None:
        """Name this object by the way to it, if it has no name yet."""
        known = self._labels.get(id(thing))
        if known is None or not _is(known[0], thing):
            self._named(thing, (owner, way))

    def _named(self, thing: Any, label: Label) -> Label:
        key = id(thing)
        try:
            reference: Any = weakref.ref(thing)
        except TypeError:  # has to live on, lest another object takes its address and its name
            reference = None
            self._held[key] = thing
        self._labels[key] = (reference, label)
        return label

    # Accesses

    def touch(self, label: Label, *, write: bool) -> None:
        """Record an access of the task that runs now."""
        task, step = self._now()
        if step:
            self._accesses.setdefault(Access(task, step, label, write))

    def read_all(self, container: Any) -> None:
        """Keys, number and order; every value."""
        label = self.label(container)
        self.touch((label, _ALL), write=False)
        if isinstance(container, (*MAPPINGS, *SETS)):
            for key in list(container):
                self.touch((label, self.key(key)), write=False)

    def write_all(self, container: Any) -> None:
        """Anything in it may change."""
        label = self.label(container)
        self.touch((label, _ALL), write=True)
        if isinstance(container, (*MAPPINGS, *SETS)):
            for key in list(container):
                self.touch((label, self.key(key)), write=True)

    def read_key(self, container: Any, key: Any) -> None:
        """What belongs to this key, or that nothing does."""
        self.touch((self.label(container), self.key(key)), write=False)

    def write_key(self, container: Any, key: Any, *, existed: bool, exists: bool) -> None:
        """What belongs to this key; it came or went unless it exists before and after."""
        label = self.label(container)
        self.touch((label, self.key(key)), write=True)
        if not (existed and exists):
            self.touch((label, _ALL), write=True)

    def key(self, key: Any) -> Label:
        """A key by value where that is stable, else by its label."""
        if isinstance(key, (str, int, float, bytes, bool, type(None))):
            return key
        if isinstance(key, (tuple, frozenset)):
            return ("tuple", *map(self.key, key))
        if isinstance(key, type):
            return key.__qualname__
        if isinstance(key, FIXED):
            return repr(key)
        return self.label(key)

    def _now(self) -> tuple[str, int]:
        now = self._who()
        if now != self._step:
            self._step = now
            self._drop()
        return now

    def _drop(self) -> None:
        """Let go of what nobody else refers to any more."""
        held = self._held
        for key in list(held):
            if sys.getrefcount(held[key]) <= 2:  # the dict's and the argument's
                del held[key]
                self._labels.pop(key, None)


def _is(reference: Any, thing: Any) -> bool:
    return reference is None or reference() is thing


def is_fixed(value: object) -> bool:
    """Whether no task reaches another through this."""
    return isinstance(value, FIXED) and kind_of(value) is None
