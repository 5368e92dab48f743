"""What plays the server: a connection as the pool needs it, without libpq's real sockets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

import isomodel


class Connection(AsyncConnection[Any]):
    """A connection that is always idle between two uses."""

    def __init__(self) -> None:
        self.pgconn = SimpleNamespace(transaction_status=TransactionStatus.IDLE)
        self._pool = None
        self.over = False

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Connection:
        await isomodel.io("connect")
        return cls()

    @property
    def closed(self) -> bool:
        return self.over

    async def close(self) -> None:
        self.over = True

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *error: object) -> None:
        await isomodel.io("commit")

    def __del__(self) -> None:
        pass
