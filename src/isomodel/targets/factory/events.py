"""Events: from an emitter of one context, through bounded queues, to that user's connections.

Overflow policy: whoever emits waits for room, so nothing is lost while the connection lives;
what is queued when it ends is dropped, and declared as dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from isomodel.targets.factory.backends import Audit, Event, Transport
from isomodel.targets.factory.contexts import UserExecutionContext
from isomodel.targets.factory.errors import IllegalEvent, NoConnection, TooManyConnections
from isomodel.values.facts import Dropped, Sent, Used

LIFE_CYCLE = (
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "agent_completed",
)


class Channel:
    """The outgoing queue of one connection, and the task that empties it while it is not empty.

    Events stay queued until the client takes them, so that a writer cancelled while it waits
    loses nothing unnoticed.
    """

    def __init__(
        self,
        owner: str,
        connection: str,
        transport: Transport,
        capacity: int,
        audit: Audit,
        forget: Callable[[Channel], None],
    ) -> None:
        self.owner = owner
        self.connection = connection
        self.transport = transport
        self.capacity = capacity
        self.closed = False
        self.queue: deque[tuple[str, Event]] = deque()
        self._audit = audit
        self._forget = forget
        self._progress = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._successor: Channel | None = None

    async def put(self, user: str, event: Event) -> bool:
        """Queue the event for ``user``, once there is room; False if the connection has ended."""
        while len(self.queue) >= self.capacity and not self.closed:
            await self._progress.wait()
        if self._successor is not None:
            return await self._successor.put(user, event)
        if self.closed:
            return False
        self.accept(user, event)
        return True

    def accept(self, user: str, event: Event) -> None:
        """Take responsibility for the event: from here on it is delivered or declared dropped."""
        delivery = f"{event.id}@{self.connection}"
        run = f"{event.run}@{self.connection}" if event.run else ""
        self._audit.note(Sent(delivery, user, event.kind, run))
        self.enqueue(delivery, event)
        self._audit.note(Used(f"queue of {self.connection}", len(self.queue), self.capacity))

    def enqueue(self, delivery: str, event: Event) -> None:
        """Queue the event, and see to it that somebody writes it."""
        self.queue.append((delivery, event))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name=f"writer of {self.owner}")
            self._writer.add_done_callback(self._stopped)

    async def flush(self) -> None:
        """Wait until everything queued has been written, or the connection has ended."""
        while self.queue and not self.closed:
            await self._progress.wait()
        if self._successor is not None:
            await self._successor.flush()

    def hand_over(self, successor: Channel) -> None:
        """End this connection in favour of another, over which all that is queued will go."""
        queued = list(self.queue)
        self.queue.clear()
        self._successor = successor
        self.close("resumed")
        for delivery, event in queued:
            successor.enqueue(delivery, event)

    def close(self, reason: str) -> None:
        """End the connection at once, declaring what is still queued as dropped."""
        if self.closed:
            return
        self.closed = True
        for delivery, _ in self.queue:
            self._audit.note(Dropped(delivery, reason))
        self.queue.clear()
        if self._writer is not None:
            self._writer.cancel()
        self.transport.close()
        self._forget(self)
        self._report()

    async def deliver(self) -> None:
        """Wait until the client can take more, and write all that is queued by then."""
        await self.transport.drain()
        batch = list(self.queue)
        self.queue.clear()
        self.transport.write(batch)

    async def _write(self) -> None:
        while self.queue:
            await self.deliver()
            self._report()
        self._writer = None

    def _stopped(self, writer: asyncio.Task[None]) -> None:
        # A writer may also be cancelled before its first step: then only this callback knows.
        if writer.cancelled() or writer.exception() is not None:
            self._writer = None
            self.close("connection lost")

    def _report(self) -> None:
        self._progress.set()
        self._progress.clear()


class WebSocketConnectionPool:
    """The live connections of every user; a user may have several."""

    channel: type[Channel] = Channel

    def __init__(self, audit: Audit, *, capacity: int = 3, most: int = 3) -> None:
        self.capacity = capacity
        self.most = most
        self._audit = audit
        self._routes: dict[str, dict[str, Channel]] = {}
        self._opening: dict[str, int] = {}

    async def connect(self, user: str, connection: str, transport: Transport) -> None:
        """Finish the handshake, then register.

        Raises TooManyConnections or TransportLost, and leaves nothing. A place among the user's
        connections is taken before anything is waited for.
        """
        with self._place(user, transport):
            await self.shake_hands(transport)
        self.register_connection(user, connection, transport)

    async def resume(self, user: str, connection: str, transport: Transport) -> None:
        """Let a connection go on over a new transport; what was queued for the old one follows.

        Raises NoConnection or TransportLost, and then leaves the connection as it was.
        """
        await self.shake_hands(transport)
        old = self._routes.get(user, {}).get(connection)
        if old is None:
            transport.close()
            raise NoConnection("the connection has ended; open a new one")
        old.hand_over(self.register_connection(user, connection, transport))

    async def shake_hands(self, transport: Transport) -> None:
        """Finish the handshake; raises TransportLost, and then the transport is closed."""
        try:
            await transport.open()
        except BaseException:
            transport.close()
            raise

    def check_room(self, user: str) -> None:
        """Raise TooManyConnections if this user has as many connections as one user may."""
        if len(self.connections(user)) + self._opening.get(user, 0) >= self.most:
            raise TooManyConnections(f"at most {self.most} connections are open for one user")

    def register_connection(self, user: str, connection: str, transport: Transport) -> Channel:
        """Route this user's events over this connection, too."""
        channel = self.channel(
            user, connection, transport, self.capacity, self._audit, self._forget
        )
        mine = self._routes.setdefault(user, {})
        mine[connection] = channel
        self._audit.note(Used(f"connections of {user}", len(mine), self.most))
        return channel

    def disconnect(self, user: str, connection: str) -> None:
        """End this connection of the user; again is harmless."""
        channel = self._routes.get(user, {}).get(connection)
        if channel is not None:
            channel.close("disconnected")

    def disconnect_all(self, user: str) -> None:
        """End every connection of the user."""
        for connection in self.connections(user):
            self.disconnect(user, connection)

    def connections(self, user: str) -> list[str]:
        """The ids of the user's live connections, oldest first."""
        return list(self._routes.get(user, ()))

    def channels(self, user: str) -> list[Channel]:
        """The channels of the user's live connections, oldest first."""
        return list(self._routes.get(user, {}).values())

    def users(self) -> list[str]:
        """The users that have a live connection, or one in the making."""
        return list({**self._routes, **self._opening})

    async def send_to_user(
        self, user: str, event: Event, among: Collection[str] | None = None
    ) -> int:
        """Queue the event on the user's connections (``among`` these); how many took it."""
        taken = 0
        for channel in self.channels(user):
            if among is None or channel.connection in among:
                taken += await channel.put(user, event)
        return taken

    async def flush(self, user: str) -> None:
        """Wait until the user's connections have taken all that was sent."""
        for channel in self.channels(user):
            await channel.flush()

    def create_emitter(self, context: UserExecutionContext) -> EventEmitter:
        """An emitter of this context alone."""
        return EventEmitter(context, self)

    @contextmanager
    def _place(self, user: str, transport: Transport) -> Iterator[None]:
        """A place among the user's connections for the length of the block, or none at all."""
        try:
            self.check_room(user)
        except TooManyConnections:
            transport.close()
            raise
        self._opening[user] = self._opening.get(user, 0) + 1
        try:
            yield
        finally:
            self._opening[user] -= 1
            if not self._opening[user]:
                del self._opening[user]

    def _forget(self, channel: Channel) -> None:
        # Only if it is still this channel's: a late disconnect must not remove a newer one.
        mine = self._routes.get(channel.owner, {})
        if mine.get(channel.connection) is channel:
            del mine[channel.connection]
            if not mine:
                del self._routes[channel.owner]


class EventEmitter:
    """Emits the events of one context, in the legal order.

    They go to the connections the user has now: one that comes later sees whole runs only.
    """

    def __init__(self, context: UserExecutionContext, pool: WebSocketConnectionPool) -> None:
        self._context = context
        self._pool = pool
        self._among = frozenset(pool.connections(context.user_id))
        self._emitted = 0
        self._stage = 0

    async def emit(self, kind: str, payload: str) -> int:
        """Send the next event of the run's life cycle; the number of connections reached."""
        if self._stage == len(LIFE_CYCLE) or kind != LIFE_CYCLE[self._stage]:
            raise IllegalEvent(f"{kind} is not what comes next in the run's life cycle")
        self._stage += 1
        return await self._send(kind, self._context.request_id, payload)

    async def message(self, payload: str) -> int:
        """Send a message outside any run; the number of connections reached."""
        return await self._send("message", "", payload)

    async def _send(self, kind: str, run: str, payload: str) -> int:
        self._context.check_live()
        request = self._context.request_id
        self._emitted += 1
        event = Event(f"{request}/{self._emitted}", kind, run, payload)
        return await self._pool.send_to_user(self._context.user_id, event, self._among)
