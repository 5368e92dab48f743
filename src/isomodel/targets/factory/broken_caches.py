"""Defects of what is loaded once and kept: the guide to the tools, preferences, analytics."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from isomodel.targets.factory.analytics import Analytics
from isomodel.targets.factory.layer import Parts
from isomodel.targets.factory.profiles import Profiles
from isomodel.targets.factory.tools import ToolGuide


class UnkeyedProfiles(Profiles):
    """Caches the preferences under one key, whosesoever they are."""

    def key(self, user: str) -> str:
        """The key of everybody."""
        return "preferences"


class PoisonedGuide(ToolGuide):
    """Waits for the load itself: whoever is cancelled takes it along, for all who come later."""

    async def text(self) -> str:
        """The text, or however its load ended."""
        if self._loading is None:
            self._loading = self.begin()
        return await self._loading


class LedGuide(ToolGuide):
    """Whoever comes first waits for the text, and hands it to those who come meanwhile."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._handed: asyncio.Future[str] | None = None

    async def text(self) -> str:
        """The text, from whoever came first."""
        if self._handed is not None:
            return await asyncio.shield(self._handed)
        self._handed = asyncio.get_running_loop().create_future()
        text = await super().text()
        self._handed.set_result(text)
        return text


class LazyAnalytics(Analytics):
    """Makes its table at the first event, and waits between looking for it and making it."""

    _table: dict[str, list[str]] | None = None

    async def add(self, user_id: str, what: str) -> None:
        """Store one row of this user."""
        if self._table is None:
            await self._store.get("schema")
            self._table = {}
        self._table.setdefault(user_id, []).append(what)

    async def query_events(self, user_id: str) -> list[str]:
        """The events of this user, in the order they were stored."""
        return list((self._table or {}).get(user_id, ()))


def cache_without_user(parts: Parts) -> Parts:
    """A cache whose key leaves out the user."""
    return replace(parts, profiles=UnkeyedProfiles)


def poison_single_flight(parts: Parts) -> Parts:
    """A load that the cancellation of one who waits for it ends, and that is kept for ever."""
    return replace(parts, guide=PoisonedGuide)


def lose_leader(parts: Parts) -> Parts:
    """A text that nobody hands on once the one who came first is gone."""
    return replace(parts, guide=LedGuide)


def initialise_twice(parts: Parts) -> Parts:
    """A table that two first events make twice."""
    return replace(parts, analytics=LazyAnalytics)
