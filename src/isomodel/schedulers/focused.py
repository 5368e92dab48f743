"""Focused: a scheduler around another that is asked only where the answer may matter.

Where a thread is about to do what is known to concern no other, it goes on: which of the others
comes first changes nothing that anybody could see. So the points that are left are few, and
policies whose odds fall with their number (change points, orders) find in far fewer executions.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler


class Focused:
    """``alone`` is what options say whose next step concerns nobody else, as far as is known."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.patient = getattr(scheduler, "patient", False)

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """To go on, or what the other scheduler chooses."""
        for index, option in enumerate(options):
            if option.actor is last and getattr(option, "alone", False):
                return index
        return self._scheduler.choose(options, last)
