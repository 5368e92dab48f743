"""Defects 414-10 and 414-13 to 414-15: connections, their queues, and who gets what.

State "of the class" lives in a class made when the defect is armed, so that no execution
inherits it from another.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, ClassVar

from isomodel.targets.factory.backends import Event, Transport
from isomodel.targets.factory.events import Channel, WebSocketConnectionPool
from isomodel.targets.factory.layer import Parts


def with_channel(parts: Parts, kind: type[Channel]) -> Parts:
    """The layer with channels of this kind."""

    class Pool(WebSocketConnectionPool):
        channel = kind

    return replace(parts, connections=Pool)


def coalesce_writes(parts: Parts) -> Parts:
    """Under load, what one writer is about to write carries the events of others along."""

    class CoalescingChannel(Channel):
        """Hands its events to the writer that is already at work, whoever it writes to."""

        _at_work: ClassVar[list[Channel]] = []

        def enqueue(self, delivery: str, event: Event) -> None:
            """Queue the event where it will leave soonest."""
            carrier = self._at_work[0] if self._at_work else self
            Channel.enqueue(carrier, delivery, event)

        async def deliver(self) -> None:
            """Write, open to the events of others meanwhile."""
            self._at_work.append(self)
            try:
                await super().deliver()
            finally:
                self._at_work.remove(self)

    return with_channel(parts, CoalescingChannel)


class RecyclingPool(WebSocketConnectionPool):
    """Uses the channels of closed connections again, and forgets to change their owner."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._spare: list[Channel] = []

    def register_connection(self, user: str, connection: str, transport: Transport) -> Channel:
        """Route events over this connection, by a used channel if there is one."""
        if not self._spare:
            return super().register_connection(user, connection, transport)
        channel = self._spare.pop()
        channel.connection, channel.transport = connection, transport
        channel.closed = False
        self._routes.setdefault(channel.owner, {})[connection] = channel
        return channel

    def _forget(self, channel: Channel) -> None:
        super()._forget(channel)
        self._spare.append(channel)


def recycle_channels(parts: Parts) -> Parts:
    """Pooled channels that keep their former owner."""
    return replace(parts, connections=RecyclingPool)


def share_route(parts: Parts) -> Parts:
    """The route is looked up into a place that all writers share, and used after a wait."""

    class MisroutingChannel(Channel):
        """Looks its route up, waits, and writes to whatever was looked up last."""

        _route: ClassVar[dict[str, Transport]] = {}

        async def deliver(self) -> None:
            """Write all that is queued to the current route."""
            self._route["current"] = self.transport
            await self.transport.drain()
            batch = list(self.queue)
            self.queue.clear()
            self._route["current"].write(batch)

    return with_channel(parts, MisroutingChannel)


def share_queue_room(parts: Parts) -> Parts:
    """One capacity for the queues of all users; what finds no room is silently lost."""

    class CrowdedChannel(Channel):
        """Counts the events of everybody against the capacity, and never waits."""

        _queues: ClassVar[list[deque[tuple[str, Event]]]] = []

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self._queues.append(self.queue)

        async def put(self, user: str, event: Event) -> bool:
            """Accept the event at once."""
            if not self.closed:
                self.accept(user, event)
            return not self.closed

        def enqueue(self, delivery: str, event: Event) -> None:
            """Queue the event if there is room."""
            if sum(map(len, self._queues)) < self.capacity:
                super().enqueue(delivery, event)

    return with_channel(parts, CrowdedChannel)
