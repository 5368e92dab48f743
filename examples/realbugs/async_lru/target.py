"""A page that async_lru.alru_cache keeps for all users."""

from __future__ import annotations

import asyncio
import contextlib

from async_lru import alru_cache

import isomodel
from isomodel import observe, operation


class Pages:
    """Users who read one page through a cache."""

    cancels = "any"  # the cache loads in tasks of its own

    async def start(self) -> None:
        """Make the cache."""
        self.page = alru_cache(self.load)

    async def load(self) -> str:
        """Ask the database."""
        await isomodel.io("query")
        return "page"

    @operation
    async def read(self, user: str) -> None:
        """Read the page. Whoever waits for a load that is cancelled may see that, too."""
        with contextlib.suppress(asyncio.CancelledError):
            await self.page()

    @observe
    async def retry(self, user: str) -> str:
        """Read it again, when all is quiet: that must work."""
        return await self.page()
