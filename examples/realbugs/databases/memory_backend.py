"""What plays the server: a backend of `databases` with one table in memory.

A connection sees to its own transactions; rows appear in the table when they are committed.
"""

from __future__ import annotations

from typing import Any

from databases import Database
from databases.interfaces import ConnectionBackend, DatabaseBackend, TransactionBackend

import isomodel

URL = "memory://table"
INSERT = "INSERT INTO notes (owner, text) VALUES (:owner, :text)"


class MemoryBackend(DatabaseBackend):
    """A server with one table."""

    def __init__(self, url: Any, **options: Any) -> None:
        self.rows: list[dict[str, Any]] = []

    async def connect(self) -> None:
        await isomodel.io("connect")

    async def disconnect(self) -> None:
        await isomodel.io("disconnect")

    def connection(self) -> MemoryConnection:
        return MemoryConnection(self)


class MemoryConnection(ConnectionBackend):
    """A connection; ``pending`` are the rows of its open transaction, if there is one."""

    def __init__(self, server: MemoryBackend) -> None:
        self.server = server
        self.pending: list[list[dict[str, Any]]] = []

    async def acquire(self) -> None:
        await isomodel.io("acquire")

    async def release(self) -> None:
        self.pending.clear()

    async def execute(self, query: Any) -> None:
        await isomodel.io("insert")
        rows = self.pending[-1] if self.pending else self.server.rows
        rows.append(dict(query.compile().params))

    def transaction(self) -> MemoryTransaction:
        return MemoryTransaction(self)


class MemoryTransaction(TransactionBackend):
    """A transaction, or a savepoint in one."""

    def __init__(self, connection: MemoryConnection) -> None:
        self.connection = connection

    async def start(self, is_root: bool, extra_options: dict[Any, Any]) -> None:
        await isomodel.io("begin")
        self.connection.pending.append([])

    async def commit(self) -> None:
        await isomodel.io("commit")
        rows = self.connection.pending.pop()
        outer = self.connection.pending[-1] if self.connection.pending else None
        (self.connection.server.rows if outer is None else outer).extend(rows)

    async def rollback(self) -> None:
        await isomodel.io("rollback")
        self.connection.pending.pop()


Database.SUPPORTED_BACKENDS["memory"] = f"{__name__}:MemoryBackend"
