"""One direction of a connection: bytes on their way from one end to the other."""

from __future__ import annotations

from collections import deque
from typing import Literal, Protocol

import msgspec

from isomodel.engine.network.host import Host, Owner, Withdrawable
from isomodel.values.schedule import FaultKind

GIVEN_UP = 924.6
"""Seconds after which Linux gives up sending again (``tcp_retries2`` is 15)."""


class Conditions(msgspec.Struct, frozen=True):
    """What connections are like.

    ``most`` is how many bytes arrive at a time at most (1 takes every message apart; the default
    is what stock asyncio reads at once). ``capacity`` is how many bytes are under way before the
    rest waits in the writer's buffer: what a kernel would hold. ``latency`` is how long a
    connect or a delivery takes at least, in seconds.
    """

    most: int = 256 * 1024
    capacity: int = 64 * 1024
    latency: float = 0.0


class Sink(Protocol):
    """The end at which the bytes arrive."""

    def is_ready(self) -> bool:
        """Whether something may arrive now."""

    def is_gone(self) -> bool:
        """Whether it is closed for good, so that what arrives is lost."""

    def receive(self) -> None:
        """Take bytes out of the pipe, and use them."""

    def receive_eof(self) -> None:
        """Nothing follows."""

    def is_stale(self) -> bool:
        """Whether it was closed while it was idle."""

    def expire(self) -> None:
        """Close, as one that has been idle for too long."""

    def cut(self) -> None:
        """The connection breaks."""

    def part(self) -> None:
        """From now on nothing comes through."""


class Source(Protocol):
    """The end at which the bytes were written."""

    def flushed(self) -> None:
        """Some bytes have left the pipe."""

    def refused(self) -> None:
        """Some bytes reached an end that is closed."""

    def cut(self) -> None:
        """The connection breaks."""

    def timed_out(self) -> None:
        """What was sent was never acknowledged."""


class Pipe:
    """Bytes in order, then an end. At most one delivery is pending.

    What is written while a delivery is pending joins it, as in TCP. But one delivery never
    holds bytes of two owners, so that every arrival is somebody's: bytes of two users that
    share a connection without waiting for each other always arrive one after the other.

    ``kind`` names the arrivals that deliver bytes; the end arrives as ``kind`` "-end". ``users``
    of the connection, who have written here or in the other direction, are noted for faults.
    """

    source: Source
    sink: Sink

    def __init__(
        self, host: Host, kind: str, conditions: Conditions, users: dict[Owner, None]
    ) -> None:
        self.users = users
        self._host = host
        self._kind = kind
        self._conditions = conditions
        self._parts: deque[tuple[Owner, bytearray]] = deque()
        self._end: Owner | None = None
        self._ended = False
        self._end_arrived = False
        self._cut = False
        self._parted = False
        self._fault: FaultKind | None = None
        self._splitting: Literal["no", "first", "middle"] = "no"
        self._pending: Withdrawable | None = None
        self.size = 0
        self.arrived_from: Owner | None = None
        """Who wrote the bytes taken last."""

    @property
    def excess(self) -> int:
        """How many bytes are not yet under way: they wait in the writer's buffer."""
        return max(0, self.size - self._conditions.capacity)

    def put(self, data: bytes, owner: Owner) -> None:
        """Add bytes that ``owner`` wrote."""
        self.users[owner] = None
        if self._cut:
            return
        if self.sink.is_stale():
            self._host.met_stale(owner)
        if self._parted and not self.size:
            self._give_up(owner)
        if self._parts and self._parts[-1][0] == owner:
            self._parts[-1][1].extend(data)
        else:
            self._parts.append((owner, bytearray(data)))
        self.size += len(data)
        self.pump()

    def left_behind(self) -> None:
        """The sink closes while idle: what is under way has come too late."""
        for owner, _ in self._parts:
            self._host.met_stale(owner)

    def end(self, owner: Owner) -> None:
        """Nothing follows; ``owner`` says so."""
        if not self._ended:
            self._ended, self._end = True, owner
            self.pump()

    def cut(self) -> None:
        """Lose everything under way, and whatever is still written."""
        self._cut = self._ended = self._end_arrived = True
        self._parts.clear()
        self.size = 0
        self.hold()

    def part(self) -> None:
        """From now on nothing comes through; the writer hears of it if it waits for an answer."""
        if not self._parted:
            self._parted = True
            self.hold()
            if self._parts:
                self._give_up(self._parts[0][0])

    def _give_up(self, owner: Owner) -> None:
        self._host.arrive("timeout", self.source.timed_out, latency=GIVEN_UP, owner=owner)

    def drop_excess(self) -> None:
        """Lose the bytes that are not yet under way."""
        while self.excess:
            owner, data = self._parts.pop()
            lost = min(self.excess, len(data))
            self.size -= lost
            del data[len(data) - lost :]
            if data:
                self._parts.append((owner, data))
        if not self._parts:
            self.hold()

    def pump(self) -> None:
        """Ask for the next delivery, if there is one and none is pending."""
        if self._pending is not None or self._parted or not self.sink.is_ready():
            return
        if self._parts:
            kind, owner = self._kind, self._parts[0][0]
        elif self._ended and not self._end_arrived and not self.sink.is_gone():
            kind, owner = f"{self._kind}-end", self._end
        else:
            return
        if self._fault is None and not self.sink.is_gone():
            self._fault = self._struck(owner)
            if self._fault == "partition":
                self.sink.part()
                return
        self._pending = self._host.arrive(
            kind, self._deliver, latency=self._conditions.latency, owner=owner
        )

    def _struck(self, owner: Owner) -> FaultKind | None:
        kinds: tuple[FaultKind, ...] = ("reset", "partition")
        if self._parts and len(self._parts[0][1]) > 1:
            kinds = ("reset", "split", "partition")
        if self._parts and self._kind == "request":
            kinds = (*kinds, "stale")
        return self._host.struck(owner, self.users, *kinds)

    def hold(self) -> None:
        """Nothing may arrive until the next ``pump``."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def take(self, most: int | None = None) -> bytes:
        """Take the next bytes out, of one owner, at most ``most``."""
        limit = self._conditions.most if most is None else min(most, self._conditions.most)
        owner, data = self._parts[0]
        if self._splitting != "no":
            limit = min(limit, self._portion(len(data)))
        taken = bytes(data[:limit])
        del data[:limit]
        if not data:
            self._parts.popleft()
        self.size -= len(taken)
        self.arrived_from = owner
        return taken

    def _portion(self, size: int) -> int:
        """How many of so many bytes come now: the first one; then all but the last one."""
        first = self._splitting == "first"
        self._splitting = "middle" if first else "no"
        return 1 if first else max(1, size - 1)

    def _deliver(self) -> None:
        self._pending = None
        fault, self._fault = self._fault, None
        if fault == "split":
            self._splitting = "first"
        if fault == "reset" and not self.sink.is_gone():
            self.sink.cut()
            self.source.cut()
            return
        if fault == "stale" and not self.sink.is_gone():
            self.sink.expire()
        if fault == "stale" or self.sink.is_gone():
            self._parts.clear()
            self.size = 0
            self.source.refused()
        elif self._parts:
            self.sink.receive()
        else:
            self._end_arrived = True
            self.sink.receive_eof()
        self.source.flushed()
        self.pump()
