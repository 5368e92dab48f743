"""Sticky random: whoever runs goes on, mostly; now and then anybody.

A uniform walk (``stay=0``) changes threads at nearly every event. Many bugs need one thread to
get far while another waits, which among two threads that walk does with a probability of one half
to the power of the distance; here the base is ``stay + (1 - stay) / 2``. Simple, and without any
guarantee that PCT would not give, but it needs no horizon.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option
from isomodel.schedulers.draws import Draws
from isomodel.schedulers.events import thread_of
from isomodel.schedulers.manners import Manners
from isomodel.schedulers.profile import UNKNOWN, Profile

STAYS = (0.5, 0.8, 0.9, 0.95)
"""Probability of going on, one an execution: runs of 2, 5, 10 and 20 events on average."""


class Sticky:
    """A scheduler for one execution, a pure function of its arguments; needs no profile."""

    def __init__(
        self,
        seed: int,
        profile: Profile = UNKNOWN,
        *,
        stay: float | None = None,
        company: bool = False,
    ) -> None:
        self._draws = draws = Draws(seed)
        self._manners = Manners(draws, company=company)
        self.patient = self._manners.patient
        self._stay = STAYS[draws.below(len(STAYS))] if stay is None else stay
        self._thread = ""

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """An event of the thread chosen last, or any option, all equally likely."""
        first, end = self._manners.window(options)
        if end - first == 1:
            return first
        if self._stay and self._draws.unit() < self._stay:
            for index in range(first, end):
                if thread_of(options[index]) == self._thread:
                    return index
        chosen = first + self._draws.below(end - first)
        if self._stay:
            self._thread = thread_of(options[chosen])
        return chosen
