"""The sink: what the step that runs now has touched, under labels that stay the same.

A label that differs between two executions of one prefix loses interleavings without a word: so
nothing is called by its address. An object is labelled where it is made: by the task that makes
it, its class, and its number among those (two tasks that make objects in another order do not
swap their labels). What existed before is labelled once for all executions.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import Any, Final, cast
from weakref import ref

READ: Final = 0
WRITE: Final = 1
UPDATE: Final = 2
"""A write that commutes with others of its kind, and not with a read: two keys of one dict."""

Label = tuple[str, Hashable]
"""The object or container, and which part of it: an attribute, a key, ``WHOLE``."""

WHOLE: Final = ("*",)
"""Stands for a whole container: its length, the sum of its keys."""

ORDER: Final = ("order",)
"""Stands for the order in which a container is iterated."""

MADE: Final = "made"
"""Stands for the setting of a timer."""

EVERYTHING: Final[Label] = ("everything", "")
"""Touched by a step of which it is not known what it touched; such a step commutes with none."""

Touched = dict[Label, int]
"""What one step touched, and how: the strongest of its accesses to each label."""


def commute(one: Touched, other: Touched) -> bool:
    """Whether two steps that touched these can be exchanged without anybody noticing.

    Both must have an entry for ``EVERYTHING``.
    """
    if len(other) < len(one):
        one, other = other, one
    for label, mode in one.items():
        its = other.get(label)
        if its is not None and (mode != its or mode == WRITE):
            return False
    return True


class _Known(ref[Any]):
    """A weak reference to a labelled object, which takes its label along when it dies."""

    __slots__ = ("key", "label")
    key: int
    label: str


class Sink:
    """Collects accesses while an execution runs; one a process is ``here``.

    ``who`` names the step that runs now, for labels of what it makes. ``ordered`` holds the
    containers of which somebody has seen the order, ``opened`` the classes whose instances are
    read through ``__dict__``, and ``met`` the classes of instances that were met and are not
    tracked. These only grow. ``learned`` says that one of them has grown since it was last reset:
    what was collected before that treats steps as independent that are not. While it is
    ``resting`` nothing else is collected.
    """

    def __init__(self) -> None:
        self.who = ""
        self.touched: Touched = {}
        self.ordered: set[str] = set()
        self.opened: set[type] = set()
        self.met: dict[type, None] = {}
        self.learned = False
        self.resting = False
        self.met_all: dict[type, None] = {}
        self.labels: dict[int, str] = {}
        self._known: dict[int, _Known] = {}
        self._fleeting: list[int] = []
        self._counts: dict[tuple[str, str], int] = {}
        self._kept = itertools.count(1)

    def begin(self) -> None:
        """Start an execution: numbers begin anew, labels of what still lives are kept."""
        self.who = ""
        self.touched = {}
        self.resting = False
        self._counts.clear()
        for key in self._fleeting:
            if key not in self._known:
                self.labels.pop(key, None)
        self._fleeting.clear()

    def touch(self, label: Label, mode: int) -> None:
        """Note an access of the running step."""
        touched = self.touched
        before = touched.get(label)
        if before is None:
            touched[label] = mode
        elif before != mode:
            touched[label] = WRITE

    def forget_all(self) -> None:
        """Note that the running step may have touched anything."""
        self.touched[EVERYTHING] = WRITE

    def label(self, thing: Any) -> str:
        """The label of this object, given now if it has none."""
        return self.labels.get(id(thing)) or self.made(thing)

    def made(self, thing: Any) -> str:
        """Label an object that the running step makes, whatever lay at its address before."""
        return self._give(thing, f"{self.who}:{self.number(type(thing).__qualname__)}")

    def being_made(self, thing: Any, outermost: bool) -> None:
        """The constructor of this object runs; ``outermost`` before those of its bases.

        An object without room for weak references may lie where another one lay.
        """
        key = id(thing)
        if key not in self.labels or (outermost and key not in self._known):
            self.made(thing)

    def keep(self, thing: Any) -> str:
        """Label an object that existed before any execution."""
        return self._give(thing, f"kept:{type(thing).__qualname__}#{next(self._kept)}")

    def number(self, kind: str) -> str:
        """``kind``, with its number among what the running step's task has made of it."""
        place = (self.who, kind)
        number = self._counts[place] = self._counts.get(place, 0) + 1
        return f"{kind}#{number}"

    def order_seen(self, label: str) -> None:
        """Somebody saw in which order this container holds what it holds."""
        if label not in self.ordered:
            self.ordered.add(label)
            self.learned = True

    def is_read_as_a_whole(self, kind: type) -> None:
        """Instances of this class are read without naming their attributes."""
        if kind not in self.opened:
            self.opened.add(kind)
            self.learned = True

    def meet(self, kind: type) -> None:
        """An instance of a class that is not tracked was met."""
        if kind not in self.met_all:
            self.met_all[kind] = self.met[kind] = None

    def _give(self, thing: Any, label: str) -> str:
        key = id(thing)
        self.labels[key] = label
        try:
            known = _Known(thing, cast(Any, self._died))
        except TypeError:  # no room for weak references: relabelled when something is made here
            self._fleeting.append(key)
            return label
        known.key = key
        known.label = label
        self._known[key] = known
        return label

    def _died(self, known: _Known) -> None:
        if self._known.get(known.key) is known:
            del self._known[known.key]
            self.labels.pop(known.key, None)


class Here:
    """Holds the sink of the execution under way in this process, if any."""

    __slots__ = ("sink",)

    def __init__(self) -> None:
        self.sink: Sink | None = None


here = Here()
"""One for the process, as classes belong to the process."""
