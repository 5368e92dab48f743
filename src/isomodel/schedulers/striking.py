"""Striking: a fault strikes at one moment, chosen beforehand, of an order that it does not change.

A planned cancellation is offered at every question from its place on: while its task waits, once
somebody has handed it what it waits for, until it goes on. Which of these moments it is decides
what breaks, so a sweep over places names it, by how many are let pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import KINDS, Option, Scheduler
from isomodel.values.scenario import operation_of


class Striking:
    """A scheduler around another, for one execution with one planned fault.

    ``passed`` is how many moments at which the fault could strike are let pass. Up to there all is
    as the other scheduler would have it without any fault. With ``late``, what is still to come for
    the operation that was struck comes when nothing else can but time: a reply that nobody waits
    for any more meets whoever has its connection by then, and others overtake a clean-up.
    """

    def __init__(self, scheduler: Scheduler, passed: int, *, late: bool = False) -> None:
        self.patient = getattr(scheduler, "patient", False)
        self._scheduler = scheduler
        self._left = passed
        self._late = late
        self._struck = ""

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The fault, at its moment; else what the other scheduler chooses."""
        fault = next((i for i, option in enumerate(options) if option.kind == "cancel"), None)
        if fault is not None:
            self._left -= 1
            if self._left < 0:
                if self._late:
                    self._struck = options[fault].owner.label
                return fault
        if not self._struck:
            return but_for_faults(self._scheduler, options, last)
        early = [index for index, option in enumerate(options) if not self._waits(option)]
        if not any(options[index].kind not in _NOTHING for index in early):
            return but_for_faults(self._scheduler, options, last)
        chosen = but_for_faults(self._scheduler, [options[index] for index in early], last)
        return early[chosen]

    def _waits(self, option: Option) -> bool:
        """Whether this comes from outside for what was struck."""
        return option.kind not in KINDS and operation_of(option.owner.label) == self._struck


_NOTHING = frozenset(("timer", "cancel"))
"""Kinds of options for which nothing is made to wait: time passes, or the next fault strikes."""


def but_for_faults(scheduler: Scheduler, options: Sequence[Option], last: Actor) -> int:
    """The index of what this scheduler chooses where no fault is planned.

    It is asked only where it would be asked then: a patient one not where it goes on anyway.
    Where only faults can happen, the first of them.
    """
    others = [index for index, option in enumerate(options) if option.kind != "cancel"]
    if not others:
        return 0
    first, final = options[others[0]], options[others[-1]]
    goes_on = first.kind == "go on" and final.kind != "due"
    if len(others) == 1 or (goes_on and getattr(scheduler, "patient", False)):
        return others[0]
    return others[scheduler.choose([options[index] for index in others], last)]
