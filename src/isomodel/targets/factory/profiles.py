"""Profiles: what each user prefers, read through a cache."""

from __future__ import annotations

from isomodel.targets.factory.backends import KeyValue


class Entry:
    """What is cached of one user, once it is known."""

    __slots__ = ("known", "value")

    def __init__(self) -> None:
        self.known = False
        self.value: str | None = None


class Profiles:
    """The preferences of every user; a write forgets what was cached.

    A read fills the entry it found when it began: one that a write has overtaken fills an entry
    that nobody will look at any more.
    """

    def __init__(self, store: KeyValue) -> None:
        self._store = store
        self._entries: dict[str, Entry] = {}

    async def preferences(self, user: str) -> str | None:
        """What this user prefers, None if nothing was said; raises StoreError."""
        entry = self._entries.setdefault(self.key(user), Entry())
        if not entry.known:
            entry.value = await self._store.get((user, "preferences"))
            entry.known = True
        return entry.value

    async def prefer(self, user: str, taste: str) -> None:
        """Keep what this user prefers from now on; raises StoreError."""
        try:
            await self._store.put((user, "preferences"), taste)
        finally:
            self.forget(user)

    def forget(self, user: str) -> None:
        """Free what is cached of this user; again is harmless."""
        self._entries.pop(self.key(user), None)

    def cached(self, user: str) -> Entry | None:
        """What is cached of this user."""
        return self._entries.get(self.key(user))

    def users(self) -> list[str]:
        """Whose entries are kept."""
        return list(self._entries)

    def key(self, user: str) -> str:
        """Under which key this user's preferences are cached."""
        return user
