"""Counterexamples of programs: the simplest schedule found, and what happens at its switches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler, default, is_switch
from isomodel.engine.threads.members import OUTSIDE
from isomodel.engine.waiting import frames
from isomodel.search.exploring.observe import Observer
from isomodel.tracking.recorder import Access, Label
from isomodel.tracking.tracker import Tracker
from isomodel.values.schedule import Fault, Schedule

_LINE = re.compile(r":\d+ in ")
"""Marks a place in the source; what has none is a statement."""


class SwitchAt(msgspec.Struct, frozen=True):
    """Task ``task`` could have gone on from ``where``, but ``to`` came first."""

    task: str
    where: str
    to: str


class Clash(msgspec.Struct, frozen=True):
    """``what`` was touched by one task while another was between two lines of its own.

    ``first`` and ``second`` are the conflicting accesses, in their order: task, "reads" or
    "writes", "file:line in function".
    """

    what: str
    first: tuple[str, str, str]
    second: tuple[str, str, str]


class Counterexample(msgspec.Struct, frozen=True):
    """How a program fails. ``str()`` of it is for a person to read."""

    why: str
    schedule: Schedule
    switches: tuple[SwitchAt, ...] = ()
    clashes: tuple[Clash, ...] = ()
    under: str = ""
    """What was controlled and how finely, where that is more than the schedule's fidelity."""

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(example: Counterexample) -> Iterator[str]:
    count = len(example.switches)
    numbers = {0: "no switch", 1: "1 switch"}.get(count, f"{count} switches")
    yield f"{example.why} ({example.under or example.schedule.fidelity}, {numbers})"
    for fault in example.schedule.faults:
        yield f"  {fault.kind} of {fault.task} at its step {fault.at}"
    for number, switch in enumerate(example.switches, 1):
        yield f"  switch {number}: {switch.task} waits at {switch.where}; {switch.to} comes first"
    for clash in example.clashes:
        yield f"  conflict over {clash.what}:"
        for task, does, where in (clash.first, clash.second):
            yield f"    {task} {does} it {'at' if _LINE.search(where) else 'by'} {where}"


def where_its_task_waits(last: Actor) -> str:
    """The innermost function and line of an asyncio task."""
    task = last.reference()
    return frames(task)[-1] if task is not None else ""


class Switching:
    """A scheduler around another that notes context switches, and ``count()`` at each.

    ``where`` tells where the one that ran last has stopped.
    """

    def __init__(
        self, scheduler: Scheduler, where: Callable[[Actor], str] = where_its_task_waits
    ) -> None:
        self._scheduler = scheduler
        self._where = where
        self.count: Callable[[], int] = int
        self.switches: list[tuple[int, SwitchAt]] = []

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the other scheduler chooses."""
        chosen = self._scheduler.choose(options, last)
        if is_switch(options, chosen, default(options, last), last):
            where = self._where(last)
            to = options[chosen].actor
            name = options[chosen].key if to is None else to.name
            self.switches.append((self.count(), SwitchAt(last.name, where, name)))
        return chosen


def explained(
    why: str,
    schedule: Schedule,
    tracker: Tracker,
    scheduler: Scheduler,
    run: Callable[[Observer, tuple[Fault, ...]], object],
    where: Callable[[Actor], str] = where_its_task_waits,
    under: str = "",
) -> Counterexample:
    """Run this schedule once more, observed, to say what happens in it."""
    switching = Switching(scheduler, where)
    observer = Observer(tracker, switching, profiled=False, located=True)
    switching.count = lambda: observer.scheduler.count()
    run(observer, schedule.faults)
    accesses = observer.accesses
    switches = tuple(at for _, at in switching.switches)
    clashes = dict.fromkeys(
        clash
        for place, at in switching.switches
        for clash in [_clash(accesses, place, at.task)]
        if clash is not None
    )
    if not clashes:
        clashes = dict.fromkeys(_between(accesses))
    return Counterexample(why, schedule, switches, tuple(clashes), under)


def _clash(accesses: Sequence[Access], place: int, task: str) -> Clash | None:
    """The first conflict of what others did after this place with what the task did then.

    Best over something that the task had touched before: what it relied on has changed.
    """
    relied_on = {access.label for access in accesses[:place] if access.task == task}
    foreign: dict[Label, Access] = {}
    found: list[tuple[Access, Access]] = []
    for access in accesses[place:]:
        if access.task != task:
            before = foreign.get(access.label)
            if before is None or (access.write and not before.write):
                foreign[access.label] = access
        elif access.label in foreign:
            other = foreign[access.label]
            if other.write or access.write:
                found.append((other, access))
    if not found:
        return None
    first, second = min(found, key=lambda pair: (*_rank(*pair), pair[1].label not in relied_on))
    return Clash(what_is(first.label), _told(first), _told(second))


def _between(accesses: Sequence[Access]) -> Iterator[Clash]:
    """Where tasks alternate as by default: the last write to what a task uses before and after."""
    used: dict[Label, dict[str, Access | None]] = {}
    found: Clash | None = None
    lowest = (2, 0)
    for access in accesses:
        users = used.setdefault(access.label, {})
        foreign = users.get(access.task)
        if foreign is not None and _rank(foreign, access) <= lowest:
            lowest = _rank(foreign, access)
            found = Clash(what_is(access.label), _told(foreign), _told(access))
        if access.write:
            for task in users:
                users[task] = access
        users[access.task] = None
    if found is not None:
        yield found


_MEANS = ("holder", "items", "callbacks")
"""Parts of locks, queues and event loops, over which threads meet by design."""


def _rank(first: Access, second: Access) -> tuple[int, int]:
    """How little this conflict tells: least over databases, most over means to meet.

    Of those over databases, two statements that write tell more than one that only looks.
    """
    label = first.label
    owner, part = label if isinstance(label, tuple) and len(label) == 2 else ("", "")
    if owner == OUTSIDE:
        return 0, sum(access.where.lower().startswith("select") for access in (first, second))
    return 1 + (part in _MEANS), 0


def _told(access: Access) -> tuple[str, str, str]:
    return access.task, "writes" if access.write else "reads", access.where


def what_is(label: Label) -> str:
    """A label as a person would say it: ``Pool.free``, ``Pool.leased['a']``."""
    if not isinstance(label, tuple):
        return str(label)
    if len(label) == 3:
        return str(label[1])
    owner, part = label
    if part == "*":
        return f"the contents of {what_is(owner)}"
    if isinstance(owner, str):
        return str(part)
    if isinstance(part, str) and part.isidentifier() and not _is_container(owner):
        return f"{what_is(owner)}.{part}"
    return f"{what_is(owner)}[{part!r}]"


def _is_container(label: Any) -> bool:
    """Whether this names a container, whose parts are keys and not attributes."""
    kind = label[1] if isinstance(label, tuple) and len(label) == 3 else ""
    return kind in ("dict", "list", "set", "deque", "OrderedDict", "defaultdict")
