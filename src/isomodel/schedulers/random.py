"""Random schedules: how long everything takes is drawn, anew for each execution.

Two walks, of which each execution draws one (swarm testing: Groce et al., ISSTA 2012):
``latencies`` gives every arrival a random priority when it comes up and lets the highest happen
first, as if each I/O took a time of its own. That is partial-order sampling (POS: Yuan et al.,
CAV 2018) without its re-draw at conflicts, which needs to see shared accesses. ``uniform`` picks
any option. Measured on the peers' programs, ``latencies`` hits two to four times as often as
``uniform`` where one task has to get far ahead; a walk that mostly goes on as before hit a tenth
as often as either, and is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.core import Numbers
from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option

WALKS = ("latencies",) * 9 + ("uniform",)

JOIN = (0.0,) * 11 + (0.3,)
"""Probability that something more arrives while work is ready; one of these an execution.

Usually arrivals come one by one; but what only breaks when two share a tick needs company.
"""

JOIN_OF_FAULTS = (0.0, 0.3)
"""The same where a cancellation is planned: those matter most in the tick of a hand-over."""

HASTE = (0.02, 0.02, 0.1, 0.3)
"""Probability that time passes although something else could happen; one an execution."""

DUE = 0.5
"""Probability that a timer that is due comes at once, while work is ready."""


class RandomWalk:
    """A scheduler for one execution, a pure function of ``seed``.

    ``company`` says that arrivals shall share a tick more often.
    """

    __slots__ = ("_haste", "_join", "_numbers", "patient", "pick")

    def __init__(self, seed: int, *, company: bool = False) -> None:
        self._numbers = numbers = Numbers(seed)
        joins = JOIN_OF_FAULTS if company else JOIN
        latencies = WALKS[numbers.below(len(WALKS))] == "latencies"
        self._join = joins[numbers.below(len(joins))]
        self._haste = HASTE[numbers.below(len(HASTE))]
        self.patient = not self._join
        self.pick = numbers.highest if latencies else numbers.any_of
        """One of these steps and arrivals, by this execution's walk."""

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """One option, by this execution's walk; the timer comes last and has its own odds."""
        draw = self._numbers.unit
        first, end = 0, len(options)
        if options[0].kind == "go on":
            if options[-1].kind == "due" and draw() < DUE:
                return end - 1
            if self.patient or draw() >= self._join:
                return 0
            first = 1
        if options[-1].kind == "timer":
            if draw() < self._haste:
                return end - 1
            end -= 1
            if end <= first:
                return 0
        return first + self.pick(options[first:end])
