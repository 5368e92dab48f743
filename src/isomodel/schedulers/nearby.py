"""Nearby: a recorded order with departures, for witnesses of what one user can see alone."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option
from isomodel.schedulers.projected import Clock, Projected
from isomodel.schedulers.timely import in_time
from isomodel.values.execution import Arrival
from isomodel.values.scenario import SERVER

TIME = frozenset(("timer", "due"))
"""Kinds of options by which time passes."""

LATER = frozenset(("go on", "timer"))
"""Kinds of options for which nothing is held back: nothing comes of them, or time passes."""

LONGEST = (20, 60, 240)
"""Choices for which something is held back at most; one of these a time.

What an operation that was given up has sent may come long after: others of its user, with their
connects, are over by then.
"""

ODDS = (0.02, 0.05, 0.1, 0.2, 0.4)
"""How often it departs from the recorded order; one of these an execution."""


class Nearby(Projected):
    """Like ``Projected``, but every now and then something else comes; a function of ``seed``.

    What others made room for jointly, a waiting time or a free connection, shifts the rest of a
    long order alone. Such a joint run differs from some alone run in a few places, and a
    random walk, which would have to meet all the other places by chance, hardly ever finds it.
    Half of the seeds let one thing come early, the others hold one, or an operation, back.
    """

    def __init__(
        self,
        arrivals: Sequence[Arrival],
        loop: Clock,
        jumps: Sequence[tuple[float, float]] = (),
        late: float = 0.0,
        *,
        seed: int,
        starts: Mapping[str, float],
    ) -> None:
        super().__init__(arrivals, loop, jumps, late)
        self._draws = random.Random(seed)
        self._odds = ODDS[seed % len(ODDS)]
        self._holds = bool(self._draws.getrandbits(1))
        self._held: Option | None = None
        self._alone = False
        self._slow = False
        self._until = 0
        self._made = 0
        self._starts = starts

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The option that came next in the joint run, or any other that may come in time."""
        places = in_time(options, self._starts)
        return places[self._chosen([options[place] for place in places], last)]

    def _chosen(self, options: Sequence[Option], last: Actor) -> int:
        self._made += 1
        possible = _possible(options)
        departs = bool(possible) and self._draws.random() < self._odds
        if departs and not self._holds:
            chosen = self._draws.choice(possible)
            self._took(options[chosen].key)
            return chosen
        if departs and self._made > self._until:
            self._held = options[self._draws.choice(possible)]
            self._alone = bool(self._draws.getrandbits(1))
            self._slow = bool(self._draws.getrandbits(1))
            self._until = self._made + self._draws.randint(1, self._draws.choice(LONGEST))
        if self._made > self._until:
            return super().choose(options, last)
        free = [index for index, option in enumerate(options) if not self._waits_for(option)]
        if not any(options[index].kind not in LATER for index in free):
            return self._passing(options, free, last)
        return free[super().choose([options[index] for index in free], last)]

    def _passing(self, options: Sequence[Option], free: Sequence[int], last: Actor) -> int:
        """What is held back comes after all, or is so slow that time passes without it."""
        due = [index for index in _possible(options) if options[index].kind in TIME]
        if not self._slow or not due or any(options[index].kind == "go on" for index in free):
            return super().choose(options, last)
        self._until = self._made
        self._took(options[due[0]].key)
        return due[0]

    def _waits_for(self, option: Option) -> bool:
        """Whether this is held back: one thing alone, or all that its operation does."""
        held = self._held
        assert held is not None
        return option.key == held.key if self._alone else option.owner is held.owner


def _possible(options: Sequence[Option]) -> list[int]:
    """What may come now: of the timers, which are in their order, the next of each host.

    Users and their server have clocks of their own. A timer of nobody's may be overtaken by
    theirs: its order does not matter to anybody.
    """
    possible: list[int] = []
    timed: set[bool] = set()
    for index, option in enumerate(options):
        if option.kind == "cancel":
            continue
        if option.kind in TIME:
            serves = option.owner.label.startswith(SERVER)
            if serves in timed or (timed and not option.owner.user):
                continue
            if option.owner.user:
                timed.add(serves)
        possible.append(index)
    return possible
