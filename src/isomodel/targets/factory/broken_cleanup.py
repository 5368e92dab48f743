"""Defects of clean-up: twice, too late, in the wrong order, of the wrong thing, or not at all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from isomodel.targets.factory.agents import EngineFactory, ExecutionEngine
from isomodel.targets.factory.backends import DatabaseConnection
from isomodel.targets.factory.broken_sessions import PatientSlots
from isomodel.targets.factory.contexts import LiveContexts, UserExecutionContext
from isomodel.targets.factory.errors import DatabaseError, Overdrawn, PoolExhausted
from isomodel.targets.factory.layer import Parts
from isomodel.targets.factory.memory import MemoryConnection, MemoryDatabase
from isomodel.targets.factory.sessions import (
    Lease,
    RequestScopedSessionManager,
    Session,
    SessionPool,
    Slot,
    Slots,
)


def _with_session(parts: Parts, kind: type[Session]) -> Parts:
    class Manager(RequestScopedSessionManager):
        session = kind

    return replace(parts, sessions=Manager)


class CarelessPool(SessionPool):
    """Gives the slot back after errors that it knows, and a cancellation is none of them."""

    async def acquire(self) -> Lease:
        """A living connection."""
        slot = await self.slots.take()
        connection = self._idle.pop() if self._idle else self._database.connection()
        try:
            await connection.ping()
        except DatabaseError:
            connection.terminate()
            self.slots.give_back(slot)
            raise
        return Lease(connection, slot)


class Ticket:
    """The place of one who waits for a slot."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.slot = Slot()


class HandingSlots(Slots):
    """Hands a slot straight to whoever has waited longest, still there or not."""

    def __init__(self, size: int, patience: float) -> None:
        super().__init__(size, patience)
        self._tickets: deque[Ticket] = deque()

    async def take(self) -> Slot:
        """A slot, sooner or later."""
        ticket = Ticket()
        if len(self.taken) < self.size:
            self.taken.add(ticket.slot)
            return ticket.slot
        self._tickets.append(ticket)
        try:
            async with asyncio.timeout(self._patience):
                await ticket.called.wait()
        except TimeoutError:
            raise PoolExhausted("no database connection became free in time") from None
        return ticket.slot

    def give_back(self, slot: Slot) -> None:
        """Hand the slot on."""
        self.taken.remove(slot)
        if self._tickets:
            ticket = self._tickets.popleft()
            self.taken.add(ticket.slot)
            ticket.called.set()


class ForgivingPool(SessionPool):
    """Takes back what was given back before."""

    def release(self, lease: Lease) -> None:
        """Take the connection back."""
        if not lease.connection.closed:
            self._idle.append(lease.connection)
        if lease.slot in self.slots.taken:
            self.slots.give_back(lease.slot)


class DoublyTiedManager(RequestScopedSessionManager):
    """Ties to the context not only the session, but its lease as well, to be on the safe side."""

    def tie(self, session: Session, context: UserExecutionContext) -> None:
        """End the session, and the lease, with the context."""
        lease = session._lease
        assert lease is not None
        super().tie(session, context)
        context.lifetime.on_end(lambda: self._pool.release(lease))


class BackwardsSession(Session):
    """Gives its connection back, and closes it then."""

    def close(self) -> None:
        """Give the connection back, and drop it if a statement is under way."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._pool.release(lease)
            if self._busy:
                lease.connection.terminate()


class SnapshotConnection(MemoryConnection):
    """Rolls back to what all tables held when its transaction began."""

    def begin(self, transaction: str) -> None:
        """Open a transaction."""
        super().begin(transaction)
        self._before = dict(self._database.rows), dict(self._database.accounts)

    def terminate(self) -> None:
        """Drop the connection; what was open is rolled back."""
        if self.transaction:
            self._database.rows, self._database.accounts = self._before
        super().terminate()


class SnapshotPool(SessionPool):
    """Makes connections that roll everybody back."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        assert isinstance(self._database, MemoryDatabase)
        self._database.connects_with = SnapshotConnection


class PlacedContexts(LiveContexts):
    """Keeps contexts in numbered places, and ends by timers whoever is in a place by then."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._places: list[str] = []

    async def admit(self, context: UserExecutionContext) -> None:
        """Record the request, and give it the first place that is free."""
        await super().admit(context)
        if "" not in self._places:
            self._places.append("")
        self._places[self._places.index("")] = context.request_id

    def outlive_request(self, context: UserExecutionContext) -> None:
        """Let the context go on after its request."""
        place = self._places.index(context.request_id)
        asyncio.get_running_loop().call_later(self._ttl, self._vacate, place)

    def close(self, request_id: str) -> None:
        """End this context, and free its place."""
        if request_id in self.live:
            self._places[self._places.index(request_id)] = ""
        super().close(request_id)

    def _vacate(self, place: int) -> None:
        self.close(self._places[place])


def end_newer_run(parts: Parts) -> Parts:
    """A run that is cancelled ends the one that began last."""

    class ServingEngine(ExecutionEngine):
        """Knows what is being served, and ends that after an error."""

        _served: ClassVar[dict[str, UserExecutionContext]] = {}

        async def run(
            self, task: str, guide: str, context: UserExecutionContext, *others: Any
        ) -> dict[str, Any]:
            """Run; end the context after an error."""
            self._served["now"] = context
            try:
                return await super().run(task, guide, context, *others)
            except BaseException:
                self._served.get("now", context).lifetime.end()
                raise
            finally:
                if self._served.get("now") is context:
                    del self._served["now"]

    class Engines(EngineFactory):
        def create_engine(self, user_id: str) -> ExecutionEngine:
            """A new engine."""
            return ServingEngine(user_id, self._audit)

    return replace(parts, engines=Engines)


class TwoConnectionsSession(Session):
    """Takes another connection for its transfers while it holds its own."""

    async def transfer(self, amount: int) -> int:
        """Move this much to the savings."""
        second = await self._pool.acquire()
        try:
            return await super().transfer(amount)
        finally:
            self._pool.release(second)


class BreakerPool(SessionPool):
    """Takes the database to be down after two connects or statements that came to nothing."""

    failed = 0

    async def acquire(self) -> Lease:
        """A living connection, as long as the database is up."""
        if self.failed >= 2:
            raise DatabaseError("the database is down")
        try:
            return await super().acquire()
        except (DatabaseError, asyncio.CancelledError):
            self.failed += 1
            raise


class CountingSession(Session):
    """Counts the statements that came to nothing, also those that were cancelled."""

    @contextmanager
    def _exclusive(self) -> Iterator[DatabaseConnection]:
        with super()._exclusive() as connection:
            try:
                yield connection
            except (DatabaseError, asyncio.CancelledError):
                if isinstance(self._pool, BreakerPool) and not self.closed:
                    self._pool.failed += 1
                raise


def tell_others_statement(parts: Parts) -> Parts:
    """Errors that quote the statement before, whosesoever it was."""

    class TellingSession(Session):
        """Quotes the last statement in its errors."""

        _last: ClassVar[list[str]] = ["none"]

        async def write(self, text: str) -> None:
            """Add a row."""
            self._last[0] = text
            await super().write(text)

        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[DatabaseConnection]:
            """Commit what the block did; say in errors what came before."""
            try:
                async with super().transaction() as connection:
                    yield connection
            except Overdrawn as error:
                raise Overdrawn(f"{error}; the last statement was: {self._last[0]}") from None

        async def transfer(self, amount: int) -> int:
            """Move this much to the savings."""
            savings = await super().transfer(amount)
            self._last[0] = f"transfer {amount} of {self.user_id}"
            return savings

    return _with_session(parts, TellingSession)


def lose_slot(parts: Parts) -> Parts:
    """A slot that is lost with a cancellation."""
    return replace(parts, pool=CarelessPool)


def lose_handed_slot(parts: Parts) -> Parts:
    """A slot that is handed to whoever does not wait any more."""
    return replace(parts, slots=HandingSlots)


def clean_up_twice(parts: Parts) -> Parts:
    """Connections that are given back twice, and then lent to two."""
    return replace(parts, pool=ForgivingPool, sessions=DoublyTiedManager)


def clean_up_backwards(parts: Parts) -> Parts:
    """Connections that are given back first, and closed then."""
    return _with_session(parts, BackwardsSession)


def roll_back_others(parts: Parts) -> Parts:
    """A rollback that undoes what others have written since."""
    return replace(parts, pool=SnapshotPool)


def end_newer_context(parts: Parts) -> Parts:
    """A timer that ends the context which came after its own."""
    return replace(parts, contexts=PlacedContexts)


def hold_and_wait(parts: Parts) -> Parts:
    """Transfers that hold a connection while they wait for another, as long as it takes."""
    return replace(_with_session(parts, TwoConnectionsSession), slots=PatientSlots)


def trip_breaker(parts: Parts) -> Parts:
    """A breaker that the failures of one user trip for all."""
    return replace(_with_session(parts, CountingSession), pool=BreakerPool)
