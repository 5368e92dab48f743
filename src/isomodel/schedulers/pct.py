"""PCT: random priorities, and a few random moments at which the one in front falls back.

Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010).
Every thread gets a random priority; the highest that can run does. At ``depth - 1`` change points,
drawn uniformly from the horizon of k events, the thread about to run gets a priority below all
initial ones. A bug of that depth, among n threads, is hit with probability at least
1 / (n k**(depth - 1)) in every execution.

Deviations. Change points count events where there is a choice: elsewhere one would take effect at
the next choice only. The horizon counts all events, as in the paper, because how many of them are
choices differs much between executions. It is the mean of earlier ones; before the first it is
unknown, and change points are drawn log-uniformly, which costs a factor of about log k.
Priorities are not fair: threads that look again and again for what another one is to do would keep
it from running for ever. After several times the horizon the walk is uniform, as in the "fair PCT"
of Coyote. Events of one thread that are pending at once come in the order in which they came up.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option
from isomodel.schedulers.draws import Draws
from isomodel.schedulers.events import thread_of
from isomodel.schedulers.manners import Manners
from isomodel.schedulers.profile import UNKNOWN, Profile

LONGEST = 14
"""Without a horizon, change points lie below two to this power: nearly all that is allowed."""

FAIR_AFTER = 4
"""From so many horizons on, every option is as likely as any other."""

UNKNOWN_FAIR_AFTER = 2_000
"""The same in events, where the horizon is not known."""


class PCT:
    """A scheduler for one execution, a pure function of its arguments."""

    def __init__(
        self, seed: int, profile: Profile = UNKNOWN, *, depth: int = 3, company: bool = False
    ) -> None:
        self._draws = draws = Draws(seed)
        self._manners = Manners(draws, company=company)
        self.patient = self._manners.patient
        horizon = profile.horizon()
        self._changes = {_change_point(draws, horizon): level / depth for level in range(1, depth)}
        self._fair_after = FAIR_AFTER * horizon or UNKNOWN_FAIR_AFTER
        self._priorities: dict[str, float] = {}
        self._events = 0

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The option of the thread with the highest priority."""
        first, end = self._manners.window(options)
        if end - first == 1:
            return first
        self._events += 1
        if self._events > self._fair_after:
            return first + self._draws.below(end - first)
        best = self._highest(options, first, end)
        change = self._changes.pop(self._events - 1, None)
        if change is None:
            return best
        thread = thread_of(options[best])
        self._priorities[thread] = change
        for index in range(first, end):
            if thread_of(options[index]) == thread:
                options[index].priority = change
        return self._highest(options, first, end)

    def _highest(self, options: Sequence[Option], first: int, end: int) -> int:
        best, highest = first, -1.0
        for index in range(first, end):
            option = options[index]
            priority = option.priority
            if priority < 0:
                priority = option.priority = self._priority(thread_of(option))
            if priority > highest:
                best, highest = index, priority
        return best

    def _priority(self, thread: str) -> float:
        """That of a thread: at first from [1, 2), above all that change points give."""
        priority = self._priorities.get(thread)
        if priority is None:
            priority = self._priorities[thread] = 1.0 + self._draws.unit()
        return priority


def _change_point(draws: Draws, horizon: int) -> int:
    if horizon:
        return draws.below(horizon)
    return int(2.0 ** (draws.unit() * LONGEST)) - 1
