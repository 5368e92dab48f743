"""Defects of connections that open, go on over a new transport, and close; and of their queues."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Literal

from isomodel.targets.factory.backends import Event, Transport
from isomodel.targets.factory.broken_events import with_channel
from isomodel.targets.factory.errors import NoConnection, TransportLost
from isomodel.targets.factory.events import Channel, WebSocketConnectionPool
from isomodel.targets.factory.layer import Parts


class UnplacedPool(WebSocketConnectionPool):
    """Looks for room before the handshake, and takes it after."""

    @contextmanager
    def _place(self, user: str, transport: Transport) -> Iterator[None]:
        with super()._place(user, transport):
            pass
        yield


class UntidyHandshakes(WebSocketConnectionPool):
    """Closes the transport after errors that it knows, and a cancellation is none of them."""

    async def shake_hands(self, transport: Transport) -> None:
        """Finish the handshake."""
        try:
            await transport.open()
        except TransportLost:
            transport.close()
            raise


class ForgettingById(WebSocketConnectionPool):
    """Forgets a connection by its id, whoever has it by now."""

    def _forget(self, channel: Channel) -> None:
        mine = self._routes.get(channel.owner, {})
        mine.pop(channel.connection, None)
        if not mine:
            self._routes.pop(channel.owner, None)


class CrossedResume(WebSocketConnectionPool):
    """Keeps the transport that is about to take over in one place for all."""

    _coming: Transport | None = None

    async def resume(self, user: str, connection: str, transport: Transport) -> None:
        """Let a connection go on over the transport that came last."""
        self._coming = transport
        await self.shake_hands(transport)
        old = self._routes.get(user, {}).get(connection)
        if old is None:
            transport.close()
            raise NoConnection("the connection has ended; open a new one")
        old.hand_over(self.register_connection(user, connection, self._coming))


class HastyResume(WebSocketConnectionPool):
    """Hands a connection over, and then looks whether there is a client."""

    async def resume(self, user: str, connection: str, transport: Transport) -> None:
        """Let a connection go on over a new transport."""
        old = self._routes.get(user, {}).get(connection)
        if old is None:
            transport.close()
            raise NoConnection("the connection has ended; open a new one")
        old.hand_over(self.register_connection(user, connection, transport))
        await self.shake_hands(transport)


class DroppingChannel(Channel):
    """Leaves behind what is queued when another channel takes over."""

    def hand_over(self, successor: Channel) -> None:
        """End this connection in favour of another."""
        self.queue.clear()
        super().hand_over(successor)


class LateChannel(Channel):
    """Waits for room, and does not look whether the connection still lives once there is."""

    async def put(self, user: str, event: Event) -> bool:
        """Queue the event, once there is room."""
        if self.closed:
            return False
        while len(self.queue) >= self.capacity:
            await self._progress.wait()
        self.accept(user, event)
        return True


class RepeatingChannel(Channel):
    """Writes again what may have been lost with an error, and keeps it queued."""

    async def deliver(self) -> None:
        """Write all that is queued, whatever happens."""
        try:
            await super().deliver()
        except TransportLost:
            self.transport.write(list(self.queue))


def copy_shallowly(parts: Parts) -> Parts:
    """Envelopes that share what is in them."""

    class EnvelopeChannel(Channel):
        """Queues copies of one envelope, but not of the body in it."""

        _empty: ClassVar[dict[str, dict[str, str]]] = {"body": {"text": ""}}

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self._envelopes: dict[str, dict[str, dict[str, str]]] = {}

        def enqueue(self, delivery: str, event: Event) -> None:
            """Queue the event in an envelope."""
            envelope = self._envelopes[delivery] = copy.copy(self._empty)
            envelope["body"]["text"] = event.payload
            super().enqueue(delivery, event)

        async def deliver(self) -> None:
            """Write what is in the envelopes."""
            await self.transport.drain()
            batch = list(self.queue)
            self.queue.clear()
            self.transport.write([(delivery, self._opened(delivery, e)) for delivery, e in batch])

        def _opened(self, delivery: str, event: Event) -> Event:
            envelope = self._envelopes.get(delivery)
            return event if envelope is None else replace(event, payload=envelope["body"]["text"])

    return with_channel(parts, EnvelopeChannel)


def wake_wrong_one(parts: Parts) -> Parts:
    """Progress that wakes one of those who wait, on whichever connection."""

    class WakeOne(asyncio.Event):
        """Wakes whoever waits longest."""

        def __init__(self) -> None:
            super().__init__()
            self._waiting: deque[asyncio.Future[None]] = deque()

        async def wait(self) -> Literal[True]:
            """Wait to be the one."""
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            finally:
                if future in self._waiting:
                    self._waiting.remove(future)
            return True

        def set(self) -> None:
            """Wake one."""
            if self._waiting:
                future = self._waiting.popleft()
                if not future.done():
                    future.set_result(None)

    class OneProgressChannel(Channel):
        """Has its progress in common with all channels."""

        _common: ClassVar[WakeOne] = WakeOne()

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self._progress = self._common

    return with_channel(parts, OneProgressChannel)


def drop_repeated_numbers(parts: Parts) -> Parts:
    """Events taken for one another because they have the same number in their requests."""

    class OnceChannel(Channel):
        """Sends every event once, known by its number."""

        _seen: ClassVar[set[str]] = set()

        def enqueue(self, delivery: str, event: Event) -> None:
            """Queue the event, unless it was before."""
            number = event.id.rpartition("/")[2]
            if number not in self._seen:
                self._seen.add(number)
                super().enqueue(delivery, event)

    return with_channel(parts, OnceChannel)


def pass_connection_limit(parts: Parts) -> Parts:
    """A limit that is passed because the check and the act are apart."""
    return replace(parts, connections=UnplacedPool)


def leave_transport_open(parts: Parts) -> Parts:
    """A clean-up that does not run after a cancellation."""
    return replace(parts, connections=UntidyHandshakes)


def remove_newer_connection(parts: Parts) -> Parts:
    """A late disconnect that removes the newer connection."""
    return replace(parts, connections=ForgettingById)


def cross_reconnects(parts: Parts) -> Parts:
    """Two reconnects at once, after which one user's connection leads to the other."""
    return replace(parts, connections=CrossedResume)


def hand_over_first(parts: Parts) -> Parts:
    """A connection that is handed over to a client whose handshake is cancelled."""
    return replace(parts, connections=HastyResume)


def drop_at_reconnect(parts: Parts) -> Parts:
    """A reconnect during a flush that loses what is queued."""
    return with_channel(parts, DroppingChannel)


def overflow_into_closed(parts: Parts) -> Parts:
    """What waited for room goes to a connection that has ended."""
    return with_channel(parts, LateChannel)


def deliver_twice(parts: Parts) -> Parts:
    """A delivery that is repeated after an error."""
    return with_channel(parts, RepeatingChannel)
