"""Draws: the random numbers of schedulers, a pure function of a seed.

The linear congruential generator of ``random.RandomWalk`` (Knuth's MMIX constants), of whose 64
bits the upper 53 are used, as an object that the parts of one scheduler share.
"""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.schedulers.random import scrambled

_WORD = 2**64 - 1


class Draws:
    """One stream of numbers; equal seeds give equal streams."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = scrambled(seed)

    def unit(self) -> float:
        """A number from [0, 1)."""
        self._state = state = (self._state * 6364136223846793005 + 1442695040888963407) & _WORD
        return (state >> 11) * 2.0**-53

    def below(self, end: int) -> int:
        """An integer from 0 to ``end - 1``, which is at least 0."""
        return int(self.unit() * end)

    def weighted(self, weights: Sequence[float]) -> int:
        """An index, in proportion to its weight; weights are positive and at least one."""
        place = self.unit() * sum(weights)
        for index, weight in enumerate(weights):
            place -= weight
            if place < 0:
                return index
        return len(weights) - 1
