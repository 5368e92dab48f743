"""Observed: a scheduler around another that notes which events happened, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler
from isomodel.schedulers.held import Event, event_of


class Observed:
    """``delivered`` has each event with what ``count`` said just before it happened.

    Where only one thing can happen, or a patient scheduler would go on, the other scheduler is
    not asked: the loop would not have asked it either.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.count: Callable[[], int] = int
        self.delivered: list[tuple[int, Event]] = []
        self.patient = getattr(scheduler, "patient", False)

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the other scheduler chooses."""
        if len(options) == 1 or (self.patient and _nothing_urgent(options)):
            chosen = 0
        else:
            chosen = self._scheduler.choose(options, last)
        event = event_of(options[chosen])
        if event is not None:
            self.delivered.append((self.count(), event))
        return chosen


def _nothing_urgent(options: Sequence[Option]) -> bool:
    """Whether to go on is possible, and otherwise only arrivals and timers not yet due."""
    return options[0].kind == "go on" and options[1].kind != "cancel" and options[-1].kind != "due"
