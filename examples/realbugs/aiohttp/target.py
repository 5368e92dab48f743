"""A service whose requests share one aiohttp session with one connection."""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from http_server import serve

from isomodel import Secret, operation


class Client:
    """Users who wait for one connection."""

    async def start(self) -> None:
        """Start the server, and make the session."""
        self.server = await asyncio.start_server(serve, "api.internal", 80)
        self.session = ClientSession(
            connector=TCPConnector(limit=1), timeout=ClientTimeout(total=None)
        )

    async def stop(self) -> None:
        """Close both."""
        await self.session.close()
        self.server.close()

    @operation
    async def ask(self, user: str, question: Secret) -> str:
        """Ask the server, which says what it was asked."""
        async with self.session.get(f"http://api.internal/{question}") as response:
            return await response.text()
