"""POS: a random priority for every event, drawn anew for those that race with what was done.

Partial-order sampling (Yuan, Yang, Gu, CAV 2018): the pending event of the highest priority
happens; then every pending event in a race with it gets a new priority, as if it had just come
up. Without the last step, an event that lost against its rival once would tend to lose on.

Deviation: what an event touches is declared or learned (``events.Touches``) and may be unknown.
Then nothing is drawn anew, and this is the walk that the paper calls BasicPOS
(``random.RandomWalk``'s "latencies"). Taking the unknown to race with everything would make it a
uniform walk, which hit two to four times less often on the programs measured there.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option
from isomodel.schedulers.draws import Draws
from isomodel.schedulers.events import Accesses, Touches, race, stream_of, unknown
from isomodel.schedulers.manners import Manners
from isomodel.schedulers.profile import UNKNOWN, Profile


class POS:
    """A scheduler for one execution, a pure function of its arguments; needs no profile."""

    def __init__(
        self,
        seed: int,
        profile: Profile = UNKNOWN,
        *,
        touches: Touches = unknown,
        company: bool = False,
    ) -> None:
        self._draws = draws = Draws(seed)
        self._manners = Manners(draws, company=company)
        self.patient = self._manners.patient
        self._touches = touches

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The option whose event has the highest priority."""
        first, end = self._manners.window(options)
        if end - first == 1:
            return first
        best, highest = first, -1.0
        for index in range(first, end):
            option = options[index]
            priority = option.priority
            if priority < 0:
                priority = option.priority = self._draws.unit()
            if priority > highest:
                best, highest = index, priority
        accesses = self._accesses(options[best])
        if accesses:
            for index in range(first, end):
                if index != best and race(accesses, self._accesses(options[index])):
                    options[index].priority = -1.0
        return best

    def _accesses(self, option: Option) -> Accesses | None:
        return self._touches(*stream_of(option), option.kind)
