"""Recording: a scheduler around another that keeps what differs from the default rule."""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler, default, is_switch
from isomodel.schedulers.replay import Points
from isomodel.values.schedule import Switch


class Recording:
    """``choices`` is the schedule so far, ``switches`` how many of them are context switches."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._points = Points()
        self.choices: list[Switch] = []
        self.switches = 0

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """What the wrapped scheduler chooses."""
        chosen = self._scheduler.choose(options, last)
        usual = default(options, last)
        after, step, nth = self._points.at(last)
        if chosen != usual:
            self.choices.append(Switch(after, step, options[chosen].key, nth))
            self.switches += is_switch(options, chosen, usual, last)
        return chosen
