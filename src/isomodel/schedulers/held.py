"""Held: a scheduler around another that keeps one event back until another has happened.

Which of two conflicting accesses comes first is what decides most failures, so an execution that
showed them in one order is worth repeating with them in the other: hold the event that came first
until the second has happened, and leave all else to chance. That is active testing (RaceFuzzer:
Sen, PLDI 2008), with the hold expressed by stable names, so that it needs no recorded prefix and
survives small differences between two executions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler

_TIME = frozenset(("timer", "due"))


class Event(NamedTuple):
    """What a scheduler decides about: that this task takes step number ``step``, from 1.

    For an arrival that is the next step of the task that began it.
    """

    task: str
    step: int


class Hold(msgspec.Struct, frozen=True):
    """Event ``held`` does not happen before event ``until`` has."""

    held: Event
    until: Event


class Held:
    """The options of another scheduler, without those that are held back.

    A hold ends when its other event has happened, or when nothing could happen without it: what
    waits for the held event itself is never waited for. Time passes for a hold's sake only where
    the timer is what it waits for, or on the way there: of the same task, at a step before.
    """

    def __init__(self, scheduler: Scheduler, holds: Sequence[Hold]) -> None:
        self._scheduler = scheduler
        self._holds = list(holds)
        self.patient = getattr(scheduler, "patient", False)

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the other scheduler chooses among what is not held back."""
        if not self._holds:
            return self._scheduler.choose(options, last)
        events = [event_of(option) for option in options]
        free = self._free(options, events)
        if len(free) == 1:
            chosen = free[0]
        else:
            chosen = free[self._scheduler.choose([options[index] for index in free], last)]
        self._holds = [hold for hold in self._holds if hold.until != events[chosen]]
        return chosen

    def _free(self, options: Sequence[Option], events: Sequence[Event | None]) -> Sequence[int]:
        """Where the options are that may happen; drops holds until there is one."""
        while True:
            held = {hold.held for hold in self._holds}
            free = [index for index, event in enumerate(events) if event not in held]
            if len(free) == len(options):
                return free
            ahead = {hold.until.task: hold.until.step for hold in self._holds}
            for index in free:
                event = events[index]
                if options[index].kind not in _TIME or (
                    event is not None and event.step <= ahead.get(event.task, 0)
                ):
                    return free
            blocking = next(hold for hold in self._holds if hold.held in events)
            self._holds.remove(blocking)


def event_of(option: Option) -> Event | None:
    """The event that this option is; None for "go on"."""
    actor = option.actor
    return None if actor is None else Event(actor.name, actor.steps + 1)
