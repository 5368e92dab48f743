"""A service that allows each of its users two calls a day, counted by limits in memory."""

from __future__ import annotations

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from isomodel import observe, operation

LIMIT = parse("2/day")


class Api:
    """Users with a limit each."""

    async def start(self) -> None:
        """Make the limiter."""
        self.limiter = MovingWindowRateLimiter(MemoryStorage())

    @operation
    async def call(self, user: str) -> bool:
        """Call; whether I was allowed to."""
        return await self.limiter.hit(LIMIT, user)

    @observe
    async def left(self, user: str) -> int:
        """How many calls I have left."""
        return (await self.limiter.get_window_stats(LIMIT, user)).remaining
