"""Sockets that a program makes by itself: in memory, for the ``sock_`` methods of the loop.

``socket.socket(...)`` inside an execution yields one of these where it is a stream socket, made
in a step of a controlled loop. It has no descriptor. What would block (``connect``, ``accept``)
is not for a loop at all: it is done by the operating system, and reported by name.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from typing import Any, Protocol

from isomodel.engine.network.addresses import Address
from isomodel.engine.network.host import Host
from isomodel.engine.network.sockets import quiet_descriptor
from isomodel.engine.network.transport import StreamTransport

FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


class Binder(Protocol):
    """Who knows which addresses are taken."""

    def bind(self, family: int, address: Any) -> Address:
        """The address that this one stands for; raises OSError if it is taken."""

    def listen(self, address: Address, listener: Listener) -> None:
        """Let this one accept what connects there; raises OSError if another does."""

    def unbind(self, addresses: tuple[Address, ...]) -> None:
        """Nobody listens there any more."""


class Listener:
    """What waits on a listening socket until somebody accepts it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._arrived: deque[StreamTransport] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()

    def is_serving(self) -> bool:
        """True: the kernel completes connections before anybody accepts them."""
        return True

    def accept(self, transport: StreamTransport) -> None:
        """Keep this connection until somebody asks."""
        self._arrived.append(transport)
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def next(self) -> StreamTransport:
        """The connection that came first."""
        while not self._arrived:
            waiter = self._host.create_future()
            self._waiters.append(waiter)
            await waiter
        return self._arrived.popleft()

    def close(self) -> None:
        """Reset what was never accepted."""
        while self._arrived:
            transport = self._arrived.popleft()
            transport.vanish()


class Plug(asyncio.BufferedProtocol):
    """Takes out of a connection exactly what is asked for, so that the rest stays in it."""

    def __init__(self, host: Host) -> None:
        self.transport: StreamTransport | None = None
        self.error: BaseException | None = None
        self._host = host
        self._room = bytearray()
        self._reader: asyncio.Future[bytes] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._ended = False
        self._full = False

    async def receive(self, count: int) -> bytes:
        """At most so many bytes; none at the end."""
        assert self.transport is not None
        if self.error is not None:
            raise self.error
        if self._ended:
            return b""
        self._room = bytearray(count)
        self._reader = self._host.create_future()
        self.transport.resume_reading()
        try:
            return await self._reader
        finally:
            self._reader = None
            self.transport.pause_reading()

    async def send(self, data: Any) -> None:
        """Return when the kernel would have taken all."""
        assert self.transport is not None
        self.transport.write(data)
        while self._full and self.error is None:
            self._writer = self._host.create_future()
            await self._writer
        if self.error is not None:
            raise self.error
        if self.transport.is_closing():
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    # What the transport calls

    def connection_made(self, transport: Any) -> None:
        """Nothing is read before it is asked for."""
        self.transport = transport
        transport.set_write_buffer_limits(0)
        transport.pause_reading()

    def get_buffer(self, sizehint: int) -> bytearray:
        """As much room as was asked for."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Hand over what has come."""
        self._hand(bytes(self._room[:nbytes]))

    def eof_received(self) -> bool:
        """The own direction stays open, as with any socket."""
        self._ended = True
        self._hand(b"")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake who waits."""
        self._ended, self.error = True, exc
        if self._reader is not None and not self._reader.done() and exc is not None:
            self._reader.set_exception(exc)
        self._hand(b"")
        self.resume_writing()

    def pause_writing(self) -> None:
        """The kernel's buffer is full."""
        self._full = True

    def resume_writing(self) -> None:
        """It has room again."""
        self._full = False
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _hand(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.pause_reading()
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(data)


class MemorySocket(socket.socket):
    """A stream socket of the network in memory.

    ``end`` is its end of a connection once there is one, ``listener`` what it accepts from.
    """

    __slots__ = (
        "_address",
        "_binder",
        "_family",
        "_options",
        "_peer",
        "_proto",
        "_timeout",
        "end",
        "listener",
        "plug",
    )

    def __init__(
        self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None
    ) -> None:
        # socket.socket's own __init__ would ask the operating system for a descriptor
        self._io_refs, self._closed = 0, False
        self._family = socket.AddressFamily(socket.AF_INET if family == -1 else family)
        self._proto = max(proto, 0)
        self._options: dict[tuple[int, int], Any] = {}
        self._timeout: float | None = None
        self._address: Address | None = None
        self._peer: Address | None = None
        self._binder: Binder = asyncio.get_running_loop().network  # type: ignore[attr-defined]
        self.end: StreamTransport | None = None
        self.listener: Listener | None = None
        self.plug: Plug | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"laddr={self._address!r}, raddr={self._peer!r}"
        return f"<socket in memory, {state}>"

    # What it is

    @property
    def family(self) -> socket.AddressFamily:
        """As given."""
        return self._family

    @property
    def type(self) -> socket.SocketKind:
        """A stream."""
        return socket.SOCK_STREAM

    @property
    def proto(self) -> int:
        """As given."""
        return self._proto

    def fileno(self) -> int:
        """A descriptor that is never readable, or -1 once closed."""
        return -1 if self._closed else quiet_descriptor()

    def getsockname(self) -> Any:
        """The own address."""
        if self._address is not None:
            return self._address
        return "" if self._family == socket.AF_UNIX else ("0.0.0.0", 0)

    def getpeername(self) -> Any:
        """The other end's address."""
        if self._peer is None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return self._peer

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        """Keep this option; it has no effect."""
        self._options[level, option] = value[0]

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> Any:
        """The option as set, else 0."""
        if (level, option) == (socket.SOL_SOCKET, socket.SO_TYPE):
            return int(socket.SOCK_STREAM)
        return self._options.get((level, option), b"" if buflen else 0)

    def gettimeout(self) -> float | None:
        """As set."""
        return self._timeout

    def settimeout(self, value: float | None) -> None:
        """As set; nothing here ever blocks."""
        self._timeout = value

    def setblocking(self, flag: bool) -> None:
        """As set; nothing here ever blocks."""
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """As set."""
        return self._timeout != 0

    # What it does

    def bind(self, address: Any) -> None:
        """Take this address."""
        self._address = self._binder.bind(self._family, address)

    def listen(self, backlog: int = 128) -> None:
        """Let others connect, whether or not anybody accepts."""
        if self.listener is None:
            self._address = self._address or self._binder.bind(self._family, ("0.0.0.0", 0))
            loop: Any = asyncio.get_running_loop()
            self.listener = Listener(loop)
            self._binder.listen(self._address, self.listener)

    def become(self, end: StreamTransport) -> None:
        """Be this end of a connection."""
        self.end = end
        self._address = end.get_extra_info("sockname")
        self._peer = end.get_extra_info("peername")

    def let_go(self) -> StreamTransport | None:
        """The end of its connection, for a transport's protocol to serve."""
        end, self.end, self.plug = self.end, None, None
        return end

    def shutdown(self, how: int) -> None:
        """End the own direction; the other one is ended by whoever is there."""
        if self.end is None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self.end.write_eof()

    def close(self) -> None:
        """Close the connection, or stop listening; again is harmless."""
        if self._closed:
            return
        self._closed = True
        if self.listener is not None and self._address is not None:
            self._binder.unbind((self._address,))
            self.listener.close()
        if self.plug is not None and self.end is not None:
            self.end.close()
        elif self.end is not None:
            self.end.vanish()

    def stop_listening(self) -> Address:
        """Its address, for a server to accept there instead."""
        if self._address is None:
            raise OSError(errno.EINVAL, "the socket is not bound to an address")
        if self.listener is not None:
            self._binder.unbind((self._address,))
            self.listener = None
        return self._address

    # What only the operating system does

    def connect(self, address: Any) -> None:
        """Connect for real, and block; reported."""
        self._become_real()
        socket.socket.connect(self, address)

    def connect_ex(self, address: Any) -> int:
        """Connect for real, and block; reported."""
        self._become_real()
        return socket.socket.connect_ex(self, address)

    def accept(self) -> Any:
        """Accept for real, and block; reported."""
        self._become_real()
        if self._address is not None:
            socket.socket.bind(self, self._address)
            socket.socket.listen(self)
        return socket.socket.accept(self)

    def _become_real(self) -> None:
        socket.socket.__init__(self, self._family, socket.SOCK_STREAM, self._proto)
        socket.socket.settimeout(self, self._timeout)


def stands_in(family: int, type: int, fileno: int | None) -> bool:
    """Whether a socket of this kind, made now, is one in memory."""
    if fileno is not None or (family != -1 and family not in FAMILIES):
        return False
    kind = socket.SOCK_STREAM if type == -1 else type & 0xF
    return kind == socket.SOCK_STREAM and hasattr(asyncio._get_running_loop(), "network")
