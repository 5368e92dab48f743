"""A service whose connection is a "singleton" that that-depends makes when it is first needed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from that_depends.providers import AsyncResource

import isomodel
from isomodel import operation


class App:
    """Users of a service with one connection for all."""

    async def start(self) -> None:
        """Declare the connection; nothing is opened yet."""
        self.opened = 0
        self.connection = AsyncResource(self.open)

    async def open(self) -> AsyncIterator[str]:
        """Open a connection."""
        await isomodel.io("connect")
        self.opened += 1
        yield f"connection {self.opened}"

    @operation
    async def resolve(self, user: str) -> str:
        """Which connection serves me."""
        return await self.connection.async_resolve()
