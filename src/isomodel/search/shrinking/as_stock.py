"""As stock: what was found under ``portable``, looked for under ``stock``, where there is less to
search and where everybody's loop is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from isomodel.search.shrinking.simplest import Attempt, Limits
from isomodel.search.shrinking.trying import Trying

WALKS = 50
"""Random schedules tried before anything is shrunk, and again when the first things are gone."""

MANY_WALKS = 300
"""The same of the scenario as found, where the shrunk one has none."""

SOME = 250
"""Schedules of a whittled scenario tried, the fewest switches first."""

MANY = 600
"""The same of a scenario that cannot be made smaller."""


class AsStock:
    """Looks for a failure under ``stock``; ``tries`` counts what that took."""

    def __init__(self, trying: Trying) -> None:
        self.tries = 0
        self._trying = trying

    def by_luck(self, found: Attempt) -> Attempt | None:
        """By the schedule that it has, by its order, or by a few random ones."""
        with self._counted():
            stock = _stock(found)
            faults = found.schedule.faults
            same = msgspec.structs.replace(found.schedule, fidelity="stock")
            return (
                self._trying.attempt(found.scenario, same, found.finding)
                or self._trying.followed(found.scenario, stock, faults, {})
                or self._trying.walked(found.scenario, stock, faults, WALKS)
            )

    def by_search(self, found: Attempt, limits: Limits) -> tuple[Attempt | None, bool]:
        """By the simplest schedule within these limits; and whether it surely is that."""
        with self._counted():
            return self._trying.searched(found.scenario, _stock(found), limits)

    def by_walks(self, found: Attempt) -> Attempt | None:
        """By many random schedules."""
        with self._counted():
            faults = found.schedule.faults
            return self._trying.walked(found.scenario, _stock(found), faults, MANY_WALKS)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        before = self._trying.executions
        try:
            yield
        finally:
            self.tries += self._trying.executions - before


def _stock(attempt: Attempt) -> Attempt:
    """The attempt as something to look for under ``stock``, its order not kept."""
    schedule = msgspec.structs.replace(attempt.schedule, fidelity="stock", choices=())
    return msgspec.structs.replace(attempt, schedule=schedule)
