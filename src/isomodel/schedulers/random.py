"""Random walk: any option, uniformly, with a bias drawn anew for each execution.

No single bias finds all bugs: some need many switches in a row, some a task that runs for long
undisturbed, some a timer that fires early. So each execution draws how sticky it is and how
readily time passes (swarm testing: Groce et al., ISSTA 2012).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option, default

STICKINESS = (0.0, 0.0, 0.5, 0.9)
"""Probability of the default option at a choice; one of these an execution."""

HASTE = (0.02, 0.02, 0.1, 0.3)
"""Probability that time passes although something else could happen."""


class RandomWalk:
    """A scheduler for one execution, a pure function of ``seed``."""

    __slots__ = ("_haste", "_random", "_stickiness")

    def __init__(self, seed: int) -> None:
        self._random = draw = random.Random(seed).random
        self._stickiness = STICKINESS[int(draw() * len(STICKINESS))]
        self._haste = HASTE[int(draw() * len(HASTE))]

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """Any option; the timer, which always comes last, by its own probability."""
        draw = self._random
        count = len(options)
        if options[-1].kind == "timer":
            if draw() < self._haste:
                return count - 1
            count -= 1
            if count == 1:
                return 0
        if self._stickiness and draw() < self._stickiness:
            return default(options, last)
        return int(draw() * count)
