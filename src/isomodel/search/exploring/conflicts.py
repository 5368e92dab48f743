"""Conflicts: events whose order may matter, because they touched the same thing.

An event is what a scheduler decides about; see ``isomodel.schedulers.held``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from isomodel.schedulers.held import Event
from isomodel.tracking.recorder import Access, Label

Party = Callable[[str], str]
"""Whose a task is: events of one party never conflict."""


def itself(task: str) -> str:
    """Every task is a party of its own."""
    return task


class Conflict(NamedTuple):
    """After event ``first`` touched something, ``second``, of another party, did."""

    first: Event
    second: Event


class Touch(NamedTuple):
    """This event read or wrote what ``label`` names."""

    event: Event
    label: Label
    write: bool


_new = tuple.__new__
"""Makes a named tuple in a third of the time."""


def by_event(accesses: Sequence[Access], delivered: Sequence[tuple[int, Event]]) -> list[Touch]:
    """Each access with the event that led to it.

    ``delivered`` tells for each event how many accesses there were before it happened. A step
    that no event asked for was made ready by the event before it: a lock that was released. What
    comes before the first event has no choice.
    """
    events = {event for _, event in delivered}
    found: list[Touch] = []
    latest: Event | None = None
    upcoming = iter(delivered)
    following = next(upcoming, None)
    step: Event | None = None
    asked = False
    for index, (task, number, label, write, _) in enumerate(accesses):
        while following is not None and following[0] <= index:
            latest = following[1]
            following = next(upcoming, None)
        if step is None or number != step.step or task != step.task:
            step = Event(task, number)
            asked = step in events
        event = step if asked else latest
        if event is not None:
            found.append(_new(Touch, (event, label, write)))
    return found


def conflicts(touches: Sequence[Touch], party: Party = itself) -> dict[Conflict, None]:
    """The conflicts in one execution, in the order in which they came.

    For each label: every write with the reads since the write before it and with that write, and
    every read with the last write, where two parties are involved. What nobody reads conflicts with
    nothing: in which order two keys came into a dict matters to whoever goes through it.
    """
    found: dict[Conflict, None] = {}
    read = {touch.label for touch in touches if not touch.write}
    writes: dict[Label, Event] = {}
    reads: dict[Label, dict[Event, None]] = {}
    for event, label, write in touches:
        if label not in read:
            continue
        before = [writes[label]] if label in writes else []
        if write:
            before += reads.pop(label, ())
            writes[label] = event
        else:
            reads.setdefault(label, {})[event] = None
        for other in before:
            if party(other.task) != party(event.task):
                found[Conflict(other, event)] = None
    return found
