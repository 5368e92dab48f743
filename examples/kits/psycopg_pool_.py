"""psycopg's pool over connections that only seem to lead somewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import OperationalError
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from isomodel import io, kits


class Connection:
    """As much of a connection as the pool asks of one."""

    def __init__(self) -> None:
        self.closed = False
        self.pgconn = self
        self.transaction_status = TransactionStatus.IDLE
        self._pool: Any = None

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Connection:
        await io("connect", fails=OperationalError)
        return cls()

    async def close(self) -> None:
        self.closed = True

    async def rollback(self) -> None:
        await io("rollback", fails=OperationalError)

    async def commit(self) -> None:
        await io("commit", fails=OperationalError)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        await (self.rollback() if kind else self.commit())


@asynccontextmanager
async def _opened(least: int, **options: Any) -> AsyncIterator[AsyncConnectionPool[Any]]:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        connection_class=Connection,  # type: ignore[type-var]
        min_size=least,
        max_size=2,
        open=False,
        **options,
    )
    async with pool:
        yield pool


@kits.pool(size=2, hold="connection", timeout="timeout", refuses=PoolTimeout)
async def fixed() -> AsyncIterator[Any]:
    """Two connections, opened at once."""
    async with _opened(2) as pool:
        yield pool


@kits.pool(size=2, acquire="getconn", release="putconn", timeout="timeout", refuses=PoolTimeout)
async def growing() -> AsyncIterator[Any]:
    """None at first, and one more whenever somebody waits."""
    async with _opened(0) as pool:
        yield pool
