"""Manners: what every policy does with time, haste and company, so that it need not know them.

A question may hold more than what a policy is about: "go on" (nothing arrives now), a timer for
which time would have to pass, one that is due. How often those are taken is drawn for each
execution, as ``random.RandomWalk`` does. What is left are the ordinary options: steps of tasks,
arrivals, planned cancellations.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.protocol import Option
from isomodel.schedulers.draws import Draws
from isomodel.schedulers.random import DUE, HASTE, JOIN, JOIN_OF_FAULTS


class Manners:
    """Settles what is not the policy's to choose.

    ``company`` says that arrivals shall share a tick more often; ``patient`` is what
    ``engine.protocol.Scheduler`` says of it.
    """

    __slots__ = ("_draws", "_haste", "_join", "patient")

    def __init__(self, draws: Draws, *, company: bool = False) -> None:
        joins = JOIN_OF_FAULTS if company else JOIN
        self._draws = draws
        self._join = joins[draws.below(len(joins))]
        self._haste = HASTE[draws.below(len(HASTE))]
        self.patient = not self._join

    def window(self, options: Sequence[Option]) -> tuple[int, int]:
        """The ordinary options from which the policy chooses, as a range of indices.

        Never empty. A range of one is an answer, which need not be an ordinary option.
        """
        first, end = 0, len(options)
        if options[0].kind == "go on":
            if options[-1].kind == "due" and self._draws.unit() < DUE:
                return end - 1, end
            if self.patient or self._draws.unit() >= self._join:
                return 0, 1
            first = 1
        if options[-1].kind == "timer":
            if self._draws.unit() < self._haste:
                return end - 1, end
            end -= 1
            if end <= first:
                return 0, 1
        return first, end
