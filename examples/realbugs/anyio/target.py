"""Work that shares an anyio.CapacityLimiter."""

from __future__ import annotations

import anyio

import isomodel
from isomodel import operation


class Limited:
    """Users of a service that lets one of them work at a time."""

    async def start(self) -> None:
        """Make the limiter."""
        self.limiter = anyio.CapacityLimiter(1)

    @operation
    async def work(self, user: str) -> str:
        """Work as soon as there is room."""
        async with self.limiter:
            await isomodel.io("work")
        return "done"
