"""Work under anyio's lock, or its semaphore."""

from __future__ import annotations

import anyio

import isomodel
from isomodel import operation


class Locked:
    """Users of a service that lets one of them work at a time."""

    async def start(self) -> None:
        """Make both."""
        self.lock = anyio.Lock()
        self.slots = anyio.Semaphore(1)

    @operation
    async def edit(self, user: str) -> str:
        """Work under the lock."""
        async with self.lock:
            await isomodel.io("edit")
        return "done"

    @operation
    async def work(self, user: str) -> str:
        """Work as soon as a slot is free."""
        async with self.slots:
            await isomodel.io("work")
        return "done"
