"""Defects 414-01 to 414-04: sessions, their pool, and their transactions."""

from __future__ import annotations

from dataclasses import replace

from isomodel.targets.factory.contexts import UserExecutionContext
from isomodel.targets.factory.layer import Parts
from isomodel.targets.factory.sessions import (
    Lease,
    RequestScopedSessionManager,
    Session,
    SessionPool,
    Slots,
)


class CachedSessionManager(RequestScopedSessionManager):
    """Keeps the session it made last, and hands it out again while it is open."""

    _current: Session | None = None

    async def create_session(self, request_id: str, *, context: UserExecutionContext) -> Session:
        """The open session, whoever it was made for."""
        if self._current is None or self._current.closed:
            self._current = await super().create_session(request_id, context=context)
        return self._current


class PatientSlots(Slots):
    """Waits for a slot as long as it takes."""

    async def _wait(self) -> None:
        await self._free.acquire()


class LeakyPool(SessionPool):
    """Takes back only connections that are still good: the slots of the others are forgotten."""

    def release(self, lease: Lease) -> None:
        """Keep the connection if it can be used again."""
        if not lease.connection.closed:
            super().release(lease)


class ForgetfulSessionManager(RequestScopedSessionManager):
    """Does not tie a session to its context: only an explicit close ends it."""

    def tie(self, session: Session, context: UserExecutionContext) -> None:
        """Leave it to the caller."""


class UncleanSession(Session):
    """Gives its connection back as it is, also in the middle of a transaction."""

    def close(self) -> None:
        """Give the connection back."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._pool.release(lease)


class UncleanSessionManager(RequestScopedSessionManager):
    """Makes sessions that do not roll back."""

    session = UncleanSession


def share_session(parts: Parts) -> Parts:
    """One session for everybody while it is open."""
    return replace(parts, sessions=CachedSessionManager)


def leak_slots(parts: Parts) -> Parts:
    """Slots that are lost with a failed session, and a wait for them that has no end."""
    return replace(parts, slots=PatientSlots, pool=LeakyPool)


def outlive_context(parts: Parts) -> Parts:
    """Sessions that the end of their context does not end."""
    return replace(parts, sessions=ForgetfulSessionManager)


def skip_rollback(parts: Parts) -> Parts:
    """Connections that go back to the pool with an open transaction."""
    return replace(parts, sessions=UncleanSessionManager)
