"""Delay bounding: a deterministic schedule, and a few moments at which its next thread waits.

Delay-bounded scheduling (Emmi, Qadeer, Rakamarić, POPL 2011). The schedule without delays goes on
with the thread that ran until it waits or ends, then with the next one in the round, in the order
in which threads first came up. A delay at a question makes the thread that would be next wait for
one round: the one after it comes. Few delays reach many bugs, and there are few of them: at most
k**d executions for d delays at k questions, however many threads there are.

``Delayed`` runs one vector of delays. ``every_delay`` enumerates all of them up to a bound, each
once, fewest delays first. ``DelayBounded`` draws one at random, for a portfolio.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default
from isomodel.schedulers.draws import Draws
from isomodel.schedulers.events import NOT_EVENTS, thread_of
from isomodel.schedulers.profile import UNKNOWN, Profile

Delays = tuple[int, ...]
"""The numbers of the questions at which the next thread waits, in order; twice: the next two."""


class Delayed:
    """The schedule with these delays: a scheduler for one execution.

    ``widths`` is how many threads could have run at each question so far. Time passes, and
    nothing arrives, exactly where the default rule says so.
    """

    def __init__(self, delays: Delays) -> None:
        self.delays = delays
        self.widths: list[int] = []
        self._round: list[str] = []
        self._thread = ""

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The option of the thread whose turn it is, after the delays of this question."""
        usual = default(options, last)
        if options[usual].kind in NOT_EVENTS:
            return usual
        places: dict[str, int] = {}
        for index, option in enumerate(options):
            if option.kind not in NOT_EVENTS:
                places.setdefault(thread_of(option), index)
        self._round += [thread for thread in places if thread not in self._round]
        start = self._round.index(self._thread) if self._thread else 0
        able = [t for t in self._round[start:] + self._round[:start] if t in places]
        waiting = self.delays.count(len(self.widths))
        self.widths.append(len(able))
        self._thread = able[waiting % len(able)]
        return places[self._thread]


def every_delay(bound: int) -> Iterator[Delayed]:
    """A scheduler for each vector of at most ``bound`` delays, each once.

    Each has to be used for one execution before the next is asked for: what it met there says
    where a further delay would make a difference.
    """
    waiting: deque[Delays] = deque([()])
    while waiting:
        scheduler = Delayed(waiting.popleft())
        yield scheduler
        delays = scheduler.delays
        if len(delays) == bound:
            continue
        for question in range(delays[-1] if delays else 0, len(scheduler.widths)):
            if delays.count(question) + 1 < scheduler.widths[question]:
                waiting.append((*delays, question))


class DelayBounded(Delayed):
    """As ``Delayed``, with ``bound`` delays drawn from the horizon that the profile knows.

    Without a profile there is no horizon: then there are no delays.
    """

    def __init__(self, seed: int, profile: Profile = UNKNOWN, *, bound: int = 2) -> None:
        draws = Draws(seed)
        horizon = profile.horizon()
        super().__init__(
            tuple(sorted(draws.below(horizon) for _ in range(bound if horizon else 0)))
        )
