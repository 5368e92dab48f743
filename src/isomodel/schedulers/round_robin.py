"""Round robin: every thread in its turn, one event each.

The fairest schedule, and so the one that shows what breaks when everybody advances at one pace.
Where a thread stands in the round is drawn when it first shows up: seeds give different rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option
from isomodel.schedulers.draws import Draws
from isomodel.schedulers.events import thread_of
from isomodel.schedulers.manners import Manners
from isomodel.schedulers.profile import UNKNOWN, Profile


class RoundRobin:
    """A scheduler for one execution, a pure function of its arguments; needs no profile."""

    def __init__(self, seed: int, profile: Profile = UNKNOWN, *, company: bool = False) -> None:
        self._draws = draws = Draws(seed)
        self._manners = Manners(draws, company=company)
        self.patient = self._manners.patient
        self._round: list[str] = []
        self._turn = 0

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The option of the thread that comes next in the round, of those that can run."""
        first, end = self._manners.window(options)
        if end - first == 1:
            return first
        places: dict[str, int] = {}
        for index in range(first, end):
            places.setdefault(thread_of(options[index]), index)
        for thread in places:
            if thread not in self._round:
                self._join(thread)
        count = len(self._round)
        for step in range(count):
            thread = self._round[(self._turn + step) % count]
            if thread in places:
                self._turn = (self._turn + step + 1) % count
                return places[thread]
        raise AssertionError("every thread is in the round")

    def _join(self, thread: str) -> None:
        place = self._draws.below(len(self._round) + 1)
        self._round.insert(place, thread)
        if place < self._turn:
            self._turn += 1
