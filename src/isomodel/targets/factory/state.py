"""Saved state: conversation, preferences and memory, for their owner only."""

from __future__ import annotations

from collections.abc import Hashable

from isomodel.targets.factory.backends import KeyValue
from isomodel.targets.factory.errors import AccessDenied


class StateStore:
    """What each user has saved, by owner and kind; keys are tuples, which cannot collide."""

    def __init__(self, store: KeyValue) -> None:
        self._store = store

    async def save(self, acting: str, owner: str, kind: str, value: str) -> None:
        """Save one's own state; raises AccessDenied for anyone else's, or StoreError."""
        self._check(acting, owner)
        await self._store.put(self.key(owner, kind), value)

    async def load(self, acting: str, owner: str, kind: str) -> str | None:
        """Load one's own state; raises AccessDenied for anyone else's, or StoreError."""
        self._check(acting, owner)
        value: str | None = await self._store.get(self.key(owner, kind))
        return value

    def key(self, owner: str, kind: str) -> Hashable:
        """Where this is kept."""
        return owner, kind

    def _check(self, acting: str, owner: str) -> None:
        if acting != owner:
            raise AccessDenied("only its owner may read or write this state")
