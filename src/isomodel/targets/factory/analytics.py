"""Analytics: events tagged with their user, who sees no others."""

from __future__ import annotations

from isomodel.targets.factory.backends import Audit, KeyValue
from isomodel.targets.factory.errors import StoreError
from isomodel.values.facts import Counted


class Analytics:
    """What each user did; the store appends, so that concurrent events cannot overwrite."""

    def __init__(self, store: KeyValue, audit: Audit) -> None:
        self._store = store
        self._audit = audit

    async def track_event(self, user_id: str, what: str) -> None:
        """Record one event of this user; raises StoreError if it fails twice."""
        try:
            await self.add(user_id, what)
        except StoreError:
            await self.again(user_id, what)
        self._audit.note(Counted(f"events of {user_id}", 1))

    async def add(self, user_id: str, what: str) -> None:
        """Store one row of this user."""
        await self._store.append(user_id, what)

    async def again(self, user_id: str, what: str) -> None:
        """Store a row that the store did not take: a command that failed has had no effect."""
        await self.add(user_id, what)

    async def query_events(self, user_id: str) -> list[str]:
        """The events of this user, in the order they were stored."""
        return list(await self._store.get(user_id) or ())
