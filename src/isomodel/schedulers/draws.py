"""Draws: the random numbers of schedulers, a pure function of a seed."""

from __future__ import annotations

from collections.abc import Sequence

from isomodel.engine.core import Numbers


class Draws(Numbers):
    """One stream of numbers, which the parts of one scheduler share; equal seeds, equal streams."""

    __slots__ = ()

    def weighted(self, weights: Sequence[float]) -> int:
        """An index, in proportion to its weight; weights are positive and at least one."""
        place = self.unit() * sum(weights)
        for index, weight in enumerate(weights):
            place -= weight
            if place < 0:
                return index
        return len(weights) - 1
