"""Shrinking a program's schedule: fewer switches first, then fewer choices of any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from isomodel.values.schedule import Schedule, Switch

Choices = tuple[Switch, ...]

MOST = 2_000
"""Executions after which the simplest schedule so far is good enough."""


class Tried(msgspec.Struct, frozen=True):
    """A schedule under which the program failed: as it went, with its number of switches."""

    schedule: Schedule
    switches: int

    @property
    def size(self) -> tuple[int, int, int]:
        """What a person has to follow."""
        return len(self.schedule.faults), self.switches, len(self.schedule.choices)


Fails = Callable[[Schedule], Tried | None]
"""Runs a schedule; what became of it if the program failed in the same way."""


def simplest(found: Tried, fails: Fails, most: int = MOST) -> Tried:
    """The simplest failing schedule that leaving out choices and faults leads to.

    Delta debugging (Zeller and Hildebrandt, 2002) over the choices, restarted after each success
    because what is left out changes what the others mean; 1-minimal if the budget suffices.
    """
    best, runs = found, 0
    again = True
    while again:
        again = False
        for candidate in _candidates(best.schedule):
            runs += 1
            if runs > most:
                return best
            tried = fails(candidate)
            if tried is not None and tried.size < best.size:
                best, again = tried, True
                break
    return best


def _candidates(schedule: Schedule) -> Iterator[Schedule]:
    for index in range(len(schedule.faults)):
        fewer = schedule.faults[:index] + schedule.faults[index + 1 :]
        yield msgspec.structs.replace(schedule, faults=fewer)
    for choices in _fewer(schedule.choices):
        yield msgspec.structs.replace(schedule, choices=choices)


def _fewer(choices: Choices) -> Iterator[Choices]:
    """Without all, without each half, each quarter, and so on; at last without each two."""
    size = len(choices)
    while size:
        for start in range(0, len(choices), size):
            yield choices[:start] + choices[start + size :]
        size //= 2
    for first in range(len(choices)):
        for second in range(first + 1, len(choices)):
            rest = (*choices[:first], *choices[first + 1 : second], *choices[second + 1 :])
            yield rest
