"""Aimed: a cancellation struck in the tick of a hand-over, found by an execution without it.

Who waits for something is handed it in one callback and goes on in a later one. What only breaks
when a cancellation comes between the two (a slot given to somebody who has just gone away) is a
window of one tick, which chance seldom hits: the cancellation has to join an iteration of the loop
in which somebody else's step is about to complete what the task waits for. So a scheduler first
withholds the cancellation, and notes after which of the questions at which it was possible the
task went on. The same schedule once more, with the cancellation at one of those questions, is the
same execution up to there: a scheduler inside never sees the cancellation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler
from isomodel.values.scenario import operation_of

NEVER = 0
"""The number of no question: the cancellation is withheld."""


class Window(NamedTuple):
    """A question at which a cancellation falls between what wakes its task and the task's step.

    ``handed``: nothing has arrived for the task's own operation, so it is others who hand it over.
    """

    question: int
    handed: bool


class Aimed:
    """The options of another scheduler, and the planned cancellation at question ``strike``.

    Questions at which it was possible are numbered from 1. ``windows`` lists what an execution in
    which it is withheld has shown.
    """

    def __init__(self, scheduler: Scheduler, strike: int = NEVER) -> None:
        self.patient = getattr(scheduler, "patient", False)
        self.windows: list[Window] = []
        self._scheduler = scheduler
        self._strike = strike
        self._asked = 0
        self._steps = 0
        self._latest: Window | None = None
        self._before: Window | None = None
        self._taken: set[str] = set()
        self._taken_before: set[str] = set()

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The cancellation where its time has come, else what the wrapped scheduler chooses."""
        others = [index for index, option in enumerate(options) if option.kind != "cancel"]
        if len(others) == len(options):
            return self._scheduler.choose(options, last)
        struck = next(index for index, option in enumerate(options) if option.kind == "cancel")
        self._asked += 1
        if self._asked == self._strike or not others:
            return struck
        chosen = others[0]
        if len(others) > 1:
            chosen = others[self._scheduler.choose([options[index] for index in others], last)]
        victim = options[struck].actor
        if victim is not None:
            self._look(options, chosen, victim, last)
        return chosen

    def _look(self, options: Sequence[Option], chosen: int, victim: Actor, last: Actor) -> None:
        """Note the questions between what wakes the task and its next step."""
        if victim.steps != self._steps:
            self._steps = victim.steps
            if self._before is not None:  # it went on in the iteration that the latest one began
                self.windows.append(self._before)
            self._latest = self._before = None
        option = options[chosen]
        if option.kind == "go on":
            handed = victim.owner.label not in {*self._taken, *self._taken_before}
            self._before, self._latest = self._latest, Window(self._asked, handed)
            self._taken_before, self._taken = self._taken, set()
        elif option.kind != "step":
            self._taken.add(operation_of(option.owner.label))
        elif option.actor is not victim and self._latest is None:
            ready = any(each.kind == "step" and each.actor is victim for each in options)
            if ready:  # under ``portable`` its step waits for its turn
                self._latest = Window(self._asked, last.owner is not victim.owner)
                self.windows.append(self._latest)
