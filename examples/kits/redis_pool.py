"""redis-py's blocking pool over connections that only seem to lead somewhere."""

from __future__ import annotations

from typing import Any

from redis.asyncio.connection import BlockingConnectionPool
from redis.exceptions import ConnectionError

from isomodel import io, kits


class Connection:
    """As much of a connection as the pool asks of one."""

    def __init__(self, **options: Any) -> None:
        self.connected = False

    async def connect(self) -> None:
        if not self.connected:
            await io("connect", fails=ConnectionError)
            self.connected = True

    async def disconnect(self, nowait: bool = False) -> None:
        self.connected = False

    async def can_read(self, timeout: float = 0) -> bool:
        return False

    can_read_destructive = can_read

    def should_reconnect(self) -> bool:
        return False

    async def re_auth(self) -> None:
        pass


@kits.pool(size=2, acquire="get_connection", release="release", refuses=ConnectionError, fair=False)
def blocking() -> Any:
    """Two connections at most; who comes later waits, and may be overtaken (no promise is made)."""
    return BlockingConnectionPool(max_connections=2, timeout=None, connection_class=Connection)
