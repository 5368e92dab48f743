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

_WORD = 2**64 - 1


class RandomWalk:
    """A scheduler for one execution, a pure function of ``seed``.

    ``company`` says that arrivals shall share a tick more often.
    """

    __slots__ = ("_haste", "_join", "_latencies", "_state", "patient")

    def __init__(self, seed: int, *, company: bool = False) -> None:
        joins = JOIN_OF_FAULTS if company else JOIN
        first = _following(scrambled(seed))
        second = _following(first)
        self._state = third = _following(second)
        self._latencies = WALKS[first * len(WALKS) >> 64] == "latencies"
        self._join = joins[second * len(joins) >> 64]
        self._haste = HASTE[third * len(HASTE) >> 64]
        self.patient = not self._join

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """One option, by this execution's walk; the timer comes last and has its own odds."""
        first, end = 0, len(options)
        if options[0].kind == "go on":
            if options[-1].kind == "due" and self._draw() < DUE:
                return end - 1
            if self.patient or self._draw() >= self._join:
                return 0
            first = 1
        if options[-1].kind == "timer":
            if self._draw() < self._haste:
                return end - 1
            end -= 1
            if end <= first:
                return 0
        return first + self.pick(options[first:end])

    def pick(self, options: Sequence[Option]) -> int:
        """One of these steps and arrivals."""
        if not self._latencies:
            return int(self._draw() * len(options))
        best, highest = options[0], -1.0
        for option in options:
            priority = option.priority
            if priority < 0:  # as _following, which this is the busiest caller of
                self._state = priority = option.priority = (
                    self._state * 6364136223846793005 + 1442695040888963407
                ) & _WORD
            if priority > highest:
                best, highest = option, priority
        return options.index(best)

    def _draw(self) -> float:
        """A number from [0, 1)."""
        self._state = state = _following(self._state)
        return (state >> 11) * 2.0**-53


def _following(state: int) -> int:
    """The next 64 bits, of which the upper ones are good enough to choose by.

    A linear congruential generator (Knuth's MMIX constants): seeding the standard generator,
    whose state is 2.5 kB, takes as long as a tenth of a small execution.
    """
    return (state * 6364136223846793005 + 1442695040888963407) & _WORD


def scrambled(seed: int) -> int:
    """64 bits that differ in half of their places for neighbouring seeds (splitmix64)."""
    bits = (seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & _WORD
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _WORD
    return bits ^ (bits >> 31)
