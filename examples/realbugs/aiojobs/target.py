"""A service whose users hand their work to one aiojobs scheduler."""

from __future__ import annotations

from aiojobs import create_scheduler

import isomodel
from isomodel import operation


class Works:
    """Users of a scheduler that does one thing at a time, and lets one wait."""

    async def start(self) -> None:
        """Make the scheduler."""
        self.scheduler = await create_scheduler(limit=1, pending_limit=1)

    async def stop(self) -> None:
        """Close it."""
        await self.scheduler.close()

    async def work(self) -> None:
        """Do it."""
        await isomodel.io("work")

    @operation
    async def submit(self, user: str) -> str:
        """Hand in some work, as soon as there is room for it."""
        await self.scheduler.spawn(self.work())
        return "taken"
