"""Observed: a scheduler around another that notes which events happened, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler
from isomodel.schedulers.held import Event, event_of


class Observed:
    """``delivered`` has each event with what ``count`` said just before it happened.

    Where only one thing can happen the other scheduler is not asked, as if the loop had not.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.count: Callable[[], int] = int
        self.delivered: list[tuple[int, Event]] = []
        self.patient = getattr(scheduler, "patient", False)

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the other scheduler chooses."""
        chosen = self._scheduler.choose(options, last) if len(options) > 1 else 0
        event = event_of(options[chosen])
        if event is not None:
            self.delivered.append((self.count(), event))
        return chosen
