"""A service whose requests share one httpcore2 connection pool."""

from __future__ import annotations

import asyncio

from http_server import serve
from httpcore2 import AsyncConnectionPool

from isomodel import Secret, operation


class Client:
    """Users who share a pool of one connection."""

    async def start(self) -> None:
        """Start the server, and make the pool."""
        self.server = await asyncio.start_server(serve, "api.internal", 80)
        self.pool = AsyncConnectionPool(max_connections=1)

    async def stop(self) -> None:
        """Close both."""
        await self.pool.aclose()
        self.server.close()

    @operation
    async def ask(self, user: str, question: Secret) -> str:
        """Ask the server, which says what it was asked."""
        response = await self.pool.request("GET", f"http://api.internal/{question}")
        return response.content.decode()
