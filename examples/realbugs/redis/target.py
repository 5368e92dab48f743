"""Many users, one redis-py client: what a web service does, declared for isomodel.

Each user keeps a value under a key of its own. Nothing here knows of any defect: isomodel
chooses who calls what, when bytes arrive, and which call is cancelled.
"""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from resp_server import RespServer

from isomodel import Secret, observe, operation

HOST, PORT = "cache.internal", 6379


class Cache:
    """A service that keeps its users' values in Redis, through one client for all."""

    async def start(self) -> None:
        """Start the server, and the client with its pool of connections."""
        self.server = await asyncio.start_server(RespServer().handle, HOST, PORT)
        self.client = Redis(host=HOST, port=PORT, decode_responses=True)

    async def stop(self) -> None:
        """Close both."""
        await self.client.close()
        self.server.close()
        await self.server.wait_closed()

    @operation
    async def set(self, user: str, value: Secret) -> bool | None:
        """Keep my value."""
        return await self.client.set(f"value of {user}", value)

    @operation
    async def get(self, user: str) -> str | None:
        """Read my value."""
        return await self.client.get(f"value of {user}")

    @observe
    async def value(self, user: str) -> str | None:
        """My value, once everybody is done."""
        return await self.get(user)
