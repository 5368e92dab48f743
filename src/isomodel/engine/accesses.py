"""Accesses: which step of which task read or wrote which part of which of a program's objects.

    with Tracked(own_classes()) as tracked:
        loop = PortableLoop(scheduler)
        tracked.begin(loop)
        ...
        for access in tracked.end():
            print(access.task, access.step, access.label, access.kind)

What is noted: attributes of instances of the tracked classes and of asyncio's primitives; keys
and contents of the containers they hold, in attributes, class attributes, module globals and
containers within (``tracking.boxes``). A container that cannot be replaced by a box counts as read
when it is handed out, and as written by the step after which it differs. What is of an unknown
type counts as written when it is handed out. Two accesses that do not ``conflict`` can be
exchanged; where that is not known for sure, they conflict.

Not seen here: bare containers that tasks share through closures or arguments and that no object
holds. A loop that knows when a step begins sees those too (``tracking.reach``); it calls ``turn``.

Labels are the same in all executions that begin with the same choices, in any process.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import gc
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Protocol

import msgspec

from isomodel.engine.control.sources import is_machinery
from isomodel.engine.owner import Actor
from isomodel.engine.tracking.classes import Classes, can_be_tracked
from isomodel.engine.tracking.globals import Globals
from isomodel.engine.tracking.reach import Reach
from isomodel.engine.tracking.sink import EVERYTHING, READ, UPDATE, Label, Sink, Touched, here

Kind = Literal["read", "write", "update"]

_PRIMITIVES: tuple[type, ...] = (
    asyncio.Lock,
    asyncio.Event,
    asyncio.Condition,
    asyncio.Semaphore,
    asyncio.Barrier,
    asyncio.Queue,
    asyncio.TaskGroup,
    asyncio.Timeout,
    contextlib.ContextDecorator,
    contextlib.AsyncContextDecorator,
    contextlib._GeneratorContextManagerBase,
    contextlib.ExitStack,
    contextlib.AsyncExitStack,
)
"""Of the standard library: what tasks synchronise through, and what holds their generators."""


class Access(msgspec.Struct, frozen=True):
    """Step ``step`` of task ``task`` reads or writes ``label``.

    ``update``: a write that commutes with other updates of the same label, but not with a read
    (of two keys of one dict, each its own).
    """

    task: str
    step: int
    label: Label
    kind: Kind

    @property
    def is_write(self) -> bool:
        """Whether it changes anything."""
        return self.kind != "read"


def conflict(one: Access, other: Access) -> bool:
    """Whether the order of these two matters, where two tasks make them."""
    if EVERYTHING in (one.label, other.label):
        return True
    return one.label == other.label and (one.kind != other.kind or one.kind == "write")


class Runner(Protocol):
    """A loop, as far as accesses are concerned: who runs."""

    last: Actor


class Tracked:
    """Tracks these classes inside the block: once a session, as it takes milliseconds.

    ``modules`` are watched for what their functions change in them; by default those that define
    the classes. ``learn`` widens what is tracked by what executions met; ``learned`` says whether
    that makes a difference, so that what was concluded before has to be concluded again.
    """

    def __init__(
        self, classes: Iterable[type], modules: Iterable[types.ModuleType] | None = None
    ) -> None:
        self.sink = Sink()
        self.reach = Reach(self.sink)
        self._kinds = [kind for kind in classes if not is_machinery(kind.__module__)]
        self._modules = list(modules) if modules is not None else _modules_of(self._kinds)
        self._classes = Classes(self.sink, self.reach)
        self._globals = Globals(self.sink, self.reach)
        self._build_class = builtins.__build_class__
        self._log: list[tuple[str, int, Touched]] = []
        self._loop: Runner | None = None
        self._last: Actor | None = None
        self._step = -1

    @property
    def blind(self) -> tuple[str, ...]:
        """Globals that can change in ways nobody sees: while there are any, all steps conflict."""
        return self._globals.blind

    @property
    def sees_all(self) -> bool:
        """Whether there is no such global."""
        return self._globals.sees_all

    def __enter__(self) -> Tracked:
        self._classes.track([*_PRIMITIVES, *self._kinds])
        self._globals.watch(self._modules)
        for kind in self._classes.tracked:
            if not kind.__module__.startswith(("asyncio", "contextlib")):
                self._globals.watch_class(kind)
        for thing in gc.get_objects():
            if type(thing) in self._classes.tracked:
                self.sink.keep(thing)
        self.learn()
        builtins.__build_class__ = self._class_made  # type: ignore[assignment]
        self.reach.listen()
        return self

    def __exit__(self, *error: object) -> None:
        here.sink = None
        builtins.__build_class__ = self._build_class
        self._globals.undo()
        self._classes.undo()
        self.reach.clear()

    def learn(self) -> bool:
        """Track the classes that were met and were not tracked; whether anything is new.

        Also where the sink saw an order or a ``__dict__`` for the first time: what has been
        collected so far takes steps for independent that are not.
        """
        new = [kind for kind in self.sink.met if can_be_tracked(kind)]
        self.sink.met.clear()
        self._classes.track(new)
        if new:
            self._globals.trust(new)
        learned = self.sink.learned or bool(new)
        self.sink.learned = False
        return learned

    # One execution

    def begin(self, loop: Runner | None = None) -> None:
        """Collect from now on. With a ``loop``, a step ends where it has gone on to another."""
        self.sink.begin()
        self.reach.clear()
        self._log.clear()
        self._loop, self._last, self._step = loop, None, -1
        here.sink = self.sink if loop is None else _Following(self)  # type: ignore[assignment]

    def turn(self, who: str, *, compare: bool = True) -> Touched:
        """Another step begins, of ``who``; what the one that ends has touched.

        Without ``compare`` nothing has run since the last turn.
        """
        sink = self.sink
        if compare:
            self.reach.compare()
            self._globals.compare()
        touched = sink.touched
        sink.touched = {}
        sink.who = who
        return touched

    def rest(self) -> None:
        """From here on only notice who sees which order; keep nothing alive."""
        self.reach.clear()
        self.sink.resting = True

    def end(self) -> tuple[Access, ...]:
        """Stop collecting; what was collected, in order."""
        if self._loop is not None:
            self._close_step("")
        here.sink = None
        self.reach.clear()
        return tuple(_accesses(self._log))

    def _close_step(self, who: str) -> None:
        touched = self.turn(who)
        if touched:
            actor = self._last
            name = actor.name if actor is not None else ""
            self._log.append((name, self._step, touched))

    def follow(self) -> None:
        """Close the step that was under way, if the loop has gone on to another."""
        assert self._loop is not None
        last = self._loop.last
        if last is not self._last or last.steps != self._step:
            self._close_step(last.name)
            self._last, self._step = last, last.steps

    def _class_made(self, function: Any, name: str, *bases: Any, **options: Any) -> Any:
        """A class statement of the program runs: its instances are tracked, too."""
        made = self._build_class(function, name, *bases, **options)
        if here.sink is not None and isinstance(made, type) and not is_machinery(made.__module__):
            sink, here.sink = here.sink, None
            try:
                self._classes.track_for_now(made)
                self._globals.watch_class(made)
            finally:
                here.sink = sink
        return made


class _Following:
    """A sink for a loop that does not say when a step begins: it is asked at each access."""

    resting = False

    def __init__(self, tracked: Tracked) -> None:
        self._sink = tracked.sink
        self._follow = tracked.follow

    def touch(self, label: Label, mode: int) -> None:
        """Note an access of the running step."""
        self._follow()
        self._sink.touch(label, mode)

    @property
    def labels(self) -> dict[int, str]:
        """The labels of objects; asked for before each access."""
        self._follow()
        return self._sink.labels

    @property
    def touched(self) -> Touched:
        """What the running step has touched."""
        return self._sink.touched

    def label(self, thing: Any) -> str:
        """The label of this object."""
        self._follow()
        return self._sink.label(thing)

    def being_made(self, thing: Any, outermost: bool) -> None:
        """The constructor of this object runs."""
        self._follow()
        self._sink.being_made(thing, outermost)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)


_KINDS: dict[int, Kind] = {READ: "read", UPDATE: "update"}


def _accesses(log: list[tuple[str, int, Touched]]) -> Iterator[Access]:
    for task, step, touched in log:
        for label, mode in touched.items():
            yield Access(task, step, label, _KINDS.get(mode, "write"))


def _modules_of(kinds: Iterable[type]) -> list[types.ModuleType]:
    names = dict.fromkeys(kind.__module__ for kind in kinds)
    return [sys.modules[name] for name in names if name in sys.modules]
