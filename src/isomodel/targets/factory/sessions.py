"""Database sessions: one a request, over a bounded pool of connections.

A session whose transaction failed is disposed with its connection: the server rolls back, and
no connection in an unknown state returns to the pool. Disposal never waits, so that neither a
cancellation nor an expiry can interrupt it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import uuid4

from isomodel.targets.factory.backends import Audit, Database, DatabaseConnection
from isomodel.targets.factory.contexts import UserExecutionContext
from isomodel.targets.factory.errors import (
    LayerError,
    Overdrawn,
    PoolExhausted,
    SessionBusy,
    SessionClosed,
)
from isomodel.values.facts import Issued, Owned


class Slot:
    """The right to one connection."""

    __slots__ = ()


class Slots:
    """``size`` slots; who finds none free waits for ``patience`` seconds."""

    def __init__(self, size: int, patience: float) -> None:
        self.size = size
        self.taken: set[Slot] = set()
        self._patience = patience
        self._free = asyncio.Semaphore(size)

    async def take(self) -> Slot:
        """A slot; raises PoolExhausted."""
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        slot = Slot()
        self.taken.add(slot)
        return slot

    async def _wait(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    await self._free.acquire()
                    return
            except TimeoutError:
                # With fewer taken, one is free by now or on its way to somebody else.
                if len(self.taken) >= self.size:
                    raise PoolExhausted("no database connection became free in time") from None

    def give_back(self, slot: Slot) -> None:
        """Free the slot for whoever waits longest."""
        self.taken.remove(slot)
        self._free.release()


@dataclass(frozen=True, slots=True)
class Lease:
    """A connection, and the slot it takes up."""

    connection: DatabaseConnection
    slot: Slot


class SessionPool:
    """Connections for those who have a slot, used again while they are sound."""

    def __init__(self, database: Database, slots: Slots) -> None:
        self.slots = slots
        self._database = database
        self._idle: list[DatabaseConnection] = []

    @property
    def idle(self) -> int:
        """How many connections wait to be used again."""
        return len(self._idle)

    async def acquire(self) -> Lease:
        """A living connection; raises PoolExhausted or DatabaseError and then holds nothing."""
        slot = await self.slots.take()
        connection = self._idle.pop() if self._idle else self._database.connection()
        try:
            await connection.ping()
        except BaseException:
            connection.terminate()
            self.slots.give_back(slot)
            raise
        return Lease(connection, slot)

    def release(self, lease: Lease) -> None:
        """Take the connection back, to be used again if it is still open."""
        if not lease.connection.closed:
            self._idle.append(lease.connection)
        self.slots.give_back(lease.slot)


class Session:
    """The database as one request of one user sees it."""

    def __init__(self, context: UserExecutionContext, lease: Lease, pool: SessionPool) -> None:
        self.id = f"session-{uuid4().hex}"
        self.user_id = context.user_id
        self.request_id = context.request_id
        self._busy = False
        self._lease: Lease | None = lease
        self._pool = pool
        self._transactions = 0

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        return self._lease is None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DatabaseConnection]:
        """Commit what the block did, if nothing fails."""
        with self._exclusive() as connection:
            self._transactions += 1
            connection.begin(f"{self.id}/{self._transactions}")
            yield connection
            await connection.commit()

    async def query(self) -> list[str]:
        """The rows of the session's user; raises SessionClosed, SessionBusy or DatabaseError."""
        with self._exclusive() as connection:
            return await connection.rows(self.user_id)

    async def write(self, text: str) -> None:
        """Add a row, in a transaction of its own; raises what ``query`` does."""
        async with self.transaction() as connection:
            await connection.insert(self.user_id, text)

    async def transfer(self, amount: int) -> int:
        """Move this much to the savings, or nothing; raises Overdrawn. The savings after it."""
        async with self.transaction() as connection:
            if await connection.add(self.user_id, "checking", -amount) < 0:
                raise Overdrawn(f"the account does not hold {amount}")
            return await connection.add(self.user_id, "savings", amount)

    def close(self) -> None:
        """Give the connection back, or drop it if a statement is under way; again is harmless."""
        lease, self._lease = self._lease, None
        if lease is not None:
            if self._busy:
                lease.connection.terminate()
            self._pool.release(lease)

    @contextmanager
    def _exclusive(self) -> Iterator[DatabaseConnection]:
        """One statement or transaction; if it fails, the session ends with its connection."""
        if self._lease is None:
            raise SessionClosed("the session has been closed")
        if self._busy:
            raise SessionBusy("the session is busy with another statement")
        self._busy = True
        try:
            yield self._lease.connection
        except BaseException:
            self.close()
            raise
        finally:
            self._busy = False


class RequestScopedSessionManager:
    """Makes one session for each request, which ends with the request's context at the latest."""

    session: type[Session] = Session

    def __init__(self, pool: SessionPool, audit: Audit) -> None:
        self.open: dict[str, Session] = {}
        self._pool = pool
        self._audit = audit

    async def create_session(self, request_id: str, *, context: UserExecutionContext) -> Session:
        """A new session; raises PoolExhausted, DatabaseError or ContextExpired."""
        lease = await self._pool.acquire()
        if context.lifetime.over or request_id in self.open:
            self._pool.release(lease)
            context.check_live()
            raise LayerError("this request already has a session")
        session = self.session(context, lease, self._pool)
        self.open[request_id] = session
        self.tie(session, context)
        self._audit.note(Issued("session", session.id))
        self._audit.watch(session, "session")
        return session

    def tie(self, session: Session, context: UserExecutionContext) -> None:
        """End the session with its context at the latest."""
        context.lifetime.on_end(lambda: self.close(session))

    def use(self, session: Session) -> Session:
        """The session, about to serve the user it belongs to."""
        self._audit.note(Owned("session", session.id, session.user_id))
        return session

    def close(self, session: Session) -> None:
        """End the session; again is harmless."""
        self.open.pop(session.request_id, None)
        session.close()
