"""Timely: operations start no later than they did in a recorded run.

When a user acts is its own input: it does not wait until something of its own has expired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from isomodel.engine.handle import Timer
from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler


class Timely:
    """The options of another scheduler, without time that passes while a start is overdue."""

    def __init__(self, scheduler: Scheduler, starts: Mapping[str, float]) -> None:
        self._scheduler = scheduler
        self._starts = starts

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the other scheduler chooses among what is in time."""
        places = in_time(options, self._starts)
        return places[self._scheduler.choose([options[place] for place in places], last)]


def in_time(options: Sequence[Option], starts: Mapping[str, float]) -> list[int]:
    """Where the options are for which time does not pass a start by; there is one.

    ``starts`` tells when operations started, by the key of the start; others may at any time.
    """
    pending = (starts.get(option.key, inf) for option in options if option.kind == "start")
    first = min(pending, default=inf)
    return [
        place
        for place, option in enumerate(options)
        if not (isinstance(option, Timer) and option.kind == "timer" and option.time > first)
    ]
