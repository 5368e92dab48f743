"""A service that works through psycopg_pool.AsyncConnectionPool."""

from __future__ import annotations

import asyncio

from fake_psycopg import Connection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

import isomodel
from isomodel import Resource, operation


class Service:
    """Users who share a pool of one connection."""

    async def start(self) -> None:
        """Open the pool."""
        self.pool = AsyncConnectionPool(connection_class=Connection, min_size=1, open=False)
        await self.pool.open(wait=True)

    async def stop(self) -> None:
        """Close it."""
        await self.pool.close()

    @operation
    async def query(self, user: str) -> str:
        """Use a connection for a while."""
        connection = await self.pool.getconn()
        try:
            await isomodel.io("query")
        finally:  # giving back is not safe to cancel in 3.1.7 either: docs/realbugs.md
            await asyncio.shield(self.pool.putconn(connection))
        return "done"

    def shared(self) -> list[Resource]:
        """Who has waited too long, while others worked, is refused by design."""
        return [Resource("connections", self.pool, "getconn", PoolTimeout, 1, "putconn")]
