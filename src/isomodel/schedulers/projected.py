"""Projected: repeat, for some users alone, the order and the clock their own events had jointly.

The projected alone run of ``oracles.noninterference``: the user's own arrivals, starts and
timers come in the order of the joint run, at their time stamps, and after as many own steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from isomodel.engine.handle import Timer
from isomodel.engine.owner import Actor, Part
from isomodel.engine.protocol import Option, default
from isomodel.values.execution import Arrival

PATIENCE = 100
"""Answers "go on" in a row, after which what the joint run did not need comes all the same.

A callback that asks for itself again until a task has moved, as some libraries cancel, is always
ready: without a limit that task, unrecorded, would never move.
"""


ASIDE = frozenset(("cancel", "go on"))
"""Kinds of options that come where the joint run had them, or where nothing else can."""

NOT_WORK = frozenset(("timer", "due", "cancel", "go on"))
"""Kinds of options that bring no operation further by themselves."""


class Clock(Protocol):
    """What is needed of the runtime: its clock, and whether nobody's work is ready."""

    now: float

    def nobodys_turn(self) -> bool:
        """See ``engine.runtime.Runtime``."""


class Projected:
    """Delivers the first recorded arrival that is pending; counts what had no counterpart.

    The clock of ``loop`` is set to the time stamp of each before it is delivered. While own
    work is ready, an arrival waits until as much of the part's own has run since the arrival
    before it as had jointly. (Counted from the start, one wait for another user, which is gone
    here, would shift all that follows: arrivals of one tick would no longer share it.)

    Nor does the clock pass by what comes before: nobody's timers that would be over come first,
    recorded or not, unless they are less than ``late`` seconds over; so do steps of ``part``, if it
    is set, that saw an earlier time, and what is ready and nobody's. Where the clock has jumped
    (``jumps``: from when to when), timers are late by as much.
    """

    def __init__(
        self,
        arrivals: Sequence[Arrival],
        loop: Clock,
        jumps: Sequence[tuple[float, float]] = (),
        late: float = 0.0,
    ) -> None:
        self._arrivals = list(arrivals)
        self._loop = loop
        self._jumps = jumps
        self._late = late
        self.part: Part | None = None
        self._previous = 0
        self._events = 0
        self._waits = 0
        self.skipped = 0
        self.extra = 0

    def begin(self, log: Sequence[Arrival]) -> None:
        """So much has come already, while the target started: the record begins behind it."""
        for arrival in log:
            if self._arrivals and self._arrivals[0].key == arrival.key:
                del self._arrivals[0]

    @property
    def diverged(self) -> int:
        """Recorded arrivals passed over, and choices made without one."""
        return self.skipped + self.extra

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The option that came next in the joint run."""
        chosen = self._next(options, last)
        self._waits = self._waits + 1 if options[chosen].kind == "go on" else 0
        return chosen

    def _next(self, options: Sequence[Option], last: Actor) -> int:
        pending = {option.key: index for index, option in enumerate(options)}
        go_on = pending.get("go on") if self._waits < PATIENCE else None
        loop = pending.get("loop step")
        if loop is not None and self._arrivals and self._arrivals[0].key not in pending:
            return (
                loop  # where operations run in threads: it is the loop that what comes arrives on
            )
        if go_on is None:
            helper = self._helper(options, pending)
            if helper is not None:
                self.extra += 1
                return helper
        for position, arrival in enumerate(self._arrivals):
            index = pending.get(arrival.key)
            if index is None or _is_another(options[index], arrival):
                continue
            events = options[index].owner.part.events
            early = events - self._events < arrival.own_events - self._previous
            if go_on is not None and (position or early or self._is_early(arrival)):
                return go_on
            overtaken = self._overtaken(options, arrival.time)
            if overtaken is not None and overtaken != index:
                return overtaken
            self._events, self._previous = events, arrival.own_events
            self.skipped += bool(position)
            self._arrivals[: position + 1] = [
                other for other in self._arrivals[:position] if not _may_never_come(other)
            ]
            self._pass_to(arrival.time)
            return index
        if go_on is not None:
            return go_on
        self.extra += 1
        usual = [index for index, option in enumerate(options) if option.kind not in ASIDE]
        if not usual:
            return 0
        chosen = usual[default([options[index] for index in usual], last)]
        self._jump(options[chosen])
        return chosen

    def _pass_to(self, time: float) -> None:
        self._loop.now = max(self._loop.now, time)

    def _is_early(self, arrival: Arrival) -> bool:
        """Whether what is ready comes before: nobody's work, or steps that saw an earlier time."""
        if arrival.time > self._loop.now and self._loop.nobodys_turn():
            return True
        part = self.part
        if arrival.user or part is None or part.kept is None or part.steps >= len(part.kept):
            return False
        return part.kept[part.steps] < arrival.time

    def _overtaken(self, options: Sequence[Option], time: float) -> int | None:
        """The first timer of nobody's that would be over by this time; it comes before."""
        timers = [
            (option.time, index)
            for index, option in enumerate(options)
            if isinstance(option, Timer) and not option.owner.user
        ]
        due, index = min(timers, default=(time, 0))
        if due >= time - self._late:
            return None
        self._jump(options[index])
        self._arrivals = [each for each in self._arrivals if each.key != options[index].key]
        return index

    def _jump(self, option: Option) -> None:
        """Where the clock jumped past this moment, it does so before what comes then."""
        if isinstance(option, Timer):
            for before, after in self._jumps:
                if before < option.time <= after:
                    self._pass_to(after)

    def _took(self, key: str) -> None:
        """This came before its recorded turn, or without one."""
        for index, arrival in enumerate(self._arrivals):
            if arrival.key == key:
                del self._arrivals[index]
                return
        self.extra += 1

    def _helper(self, options: Sequence[Option], pending: Mapping[str, int]) -> int | None:
        """What the first recorded arrival may be waiting for, though it needed no such thing.

        Where users share a pool, one may have to connect alone where another's connection was
        free jointly. That work, which the joint run does not know, comes before anything is
        skipped: the operation's own first, then nobody's.
        """
        if not self._arrivals or self._arrivals[0].key in pending:
            return None
        label = self._arrivals[0].key.split(" ")[0].split("/")[0]
        known = {arrival.key for arrival in self._arrivals}
        for owned in (True, False):
            for index, option in enumerate(options):
                owner = option.owner
                if not (owner.label == label if owned else not owner.user):
                    continue
                if option.kind == "step" or (
                    option.kind not in NOT_WORK and option.key not in known
                ):
                    return index
        return None


def _is_another(option: Option, arrival: Arrival) -> bool:
    """Whether this is a timer of nobody's that has the same number by chance: its time is later.

    Work that serves others, too, sets other timers alone.
    """
    return isinstance(option, Timer) and not arrival.user and option.time > arrival.time


def _may_never_come(arrival: Arrival) -> bool:
    """Whether others may have brought this about: a step they enabled, or nobody's own work."""
    return not arrival.user or arrival.key.endswith(" step")
