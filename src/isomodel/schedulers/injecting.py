"""Injecting: faults are struck beside a policy, which is asked about everything else.

A planned cancellation is an option from the moment its task has come so far. A policy that takes
it for one more thread strikes it when its own rules say so: PCT with one priority for all of it,
SURW never uniformly. Wrapped in this, a policy does not see it, its guarantees hold for the rest,
and the fault strikes with a chance of its own at every question.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, Scheduler
from isomodel.schedulers.draws import Draws
from isomodel.schedulers.profile import Profile
from isomodel.values.schedule import Fault

CHANCES = (1.0, 0.5, 0.1)
"""Probability of striking at a question, one an execution: at once, soon, or later."""


class Injecting:
    """A scheduler around another, for one execution; a pure function of both and ``seed``."""

    def __init__(self, scheduler: Scheduler, seed: int, *, chance: float | None = None) -> None:
        self.patient = getattr(scheduler, "patient", False)
        self._scheduler = scheduler
        self._draws = draws = Draws(seed)
        self._chance = CHANCES[draws.below(len(CHANCES))] if chance is None else chance

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """A fault that is possible, by chance, or what the wrapped scheduler chooses."""
        others = [index for index, option in enumerate(options) if option.kind != "cancel"]
        faults = len(options) - len(others)
        if not faults:
            return self._scheduler.choose(options, last)
        if not others or self._draws.unit() < self._chance:
            possible = [index for index, option in enumerate(options) if option.kind == "cancel"]
            return possible[self._draws.below(faults)]
        if len(others) == 1:
            return others[0]
        return others[self._scheduler.choose([options[index] for index in others], last)]


def planned(profile: Profile, seed: int) -> tuple[Fault, ...]:
    """One cancellation, at any event of any thread that the profile knows, all equally likely.

    None where nothing is known yet: a fault that is planned for a task that does not exist is no
    fault.
    """
    threads = sorted(thread for thread, events in profile.events.items() if events >= 1)
    if not threads:
        return ()
    draws = Draws(seed)
    thread = threads[draws.weighted([profile.events[thread] for thread in threads])]
    return (Fault("cancel", thread, 1 + draws.below(round(profile.events[thread]))),)
