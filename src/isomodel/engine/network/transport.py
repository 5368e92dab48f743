"""One end of a connection: what asyncio calls a transport.

The rules, and the order of callbacks, are those of asyncio's selector transports.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
from collections.abc import Callable
from typing import Any

from isomodel.engine.network.addresses import Address
from isomodel.engine.network.flow import Flow
from isomodel.engine.network.host import Host, Owner
from isomodel.engine.network.pipe import Pipe
from isomodel.engine.network.sockets import SocketView

Lost = Callable[["StreamTransport"], None]


class StreamTransport(asyncio.Transport):
    """One end of a connection in memory.

    ``serves`` says that it is the accepting end. What the connecting end writes belongs to
    whoever writes it. What the accepting end writes belongs to whom it answers, the owner of
    the bytes that reached it last: a pooled connection outlives the user who opened it. So does
    what the protocol there does, and the tasks that it starts: a server's answer to a user is made
    with that user's random numbers and ids, under its clock and its faults.
    """

    def __init__(
        self,
        host: Host,
        *,
        incoming: Pipe,
        outgoing: Pipe,
        sockname: Address,
        peername: Address,
        owner: Owner,
        serves: bool,
    ) -> None:
        view = SocketView(sockname, peername, self._is_over)
        super().__init__({"socket": view, "sockname": sockname, "peername": peername})
        self._host = host
        self._incoming = incoming
        self._outgoing = outgoing
        self._serves = serves
        self._serving = host.server_for(owner) if serves else owner
        self._served = owner
        self._flow = Flow(host, self)
        self._protocol: Any = None
        self._worker: Owner = owner
        self._reading: contextvars.Context | None = None
        self._writing: contextvars.Context | None = None
        self._when_lost: list[Lost] = []
        self._started = False
        self._paused = False
        self._eof_written = False
        self._eof_read = False
        self._broken = False
        self._cut = False
        self._closing = False
        self._losing = False
        self._gone = False
        self._stale = False
        self._closed_by: Owner = owner

    def __repr__(self) -> str:
        state = "closed" if self._gone else "closing" if self._closing else "open"
        here, there = self.get_extra_info("sockname"), self.get_extra_info("peername")
        return f"<{type(self).__name__} {here!r} -> {there!r} {state}>"

    # What the network calls

    def attach(self, protocol: asyncio.BaseProtocol) -> None:
        """Serve this protocol: ``connection_made`` first, only then may anything arrive.

        What arrives is handled in a copy of the present context, as in stock asyncio.
        """
        self._worker = self._serving if self._serves else self._host.owner()
        self._reading = self._here()
        self._paused = False
        self.set_protocol(protocol)
        self._host.call_soon(self._made, protocol, context=self._reading.copy())
        self._host.call_soon(self._start_reading)

    def when_lost(self, callback: Lost) -> None:
        """Call ``callback`` once the connection is lost."""
        self._when_lost.append(callback)

    def owner(self) -> Owner:
        """To whom what is written now belongs."""
        return self._served if self._serves else self._host.owner()

    def vanish(self) -> None:
        """Close the socket under the transport, without a word to the protocol."""
        self._closing = self._losing = self._gone = True
        self._protocol = None
        self._outgoing.end(self._closed_by)
        self._incoming.pump()
        for callback in self._when_lost:
            callback(self)

    def is_stale(self) -> bool:
        """Whether this is an accepting end that was closed when it had waited for too long."""
        return self._stale

    def expire(self) -> None:
        """Close, as an accepting end does that has been idle for too long."""
        self.close()

    def cut(self) -> None:
        """The connection breaks: what is under way is lost, and the protocol hears of it."""
        self._outgoing.cut()
        self._incoming.cut()
        if not self._cut and not self._losing:
            self._cut = True
            self._break()

    # What the pipes call

    def part(self) -> None:
        """From now on nothing comes through, in either direction, and nobody is told."""
        self._incoming.part()
        self._outgoing.part()

    def timed_out(self) -> None:
        """What was sent was never acknowledged: the kernel gives the connection up."""
        if not self._losing:
            error = TimeoutError(errno.ETIMEDOUT, "Connection timed out")
            self._in(self._reading, self._fail, error)

    def is_ready(self) -> bool:
        """Whether something may arrive now."""
        return self._gone or (self._started and not self._eof_read and self.is_reading())

    def is_gone(self) -> bool:
        """Whether the socket is closed, so that what arrives is lost."""
        return self._gone

    def receive(self) -> None:
        """Hand the next bytes to the protocol."""
        self._in(self._reading, self._receive)

    def receive_eof(self) -> None:
        """Tell the protocol that the other end writes no more."""
        self._eof_read = True
        self._in(self._reading, self._receive_eof)

    def flushed(self) -> None:
        """Some written bytes are out of the buffer."""
        if not self._losing:
            self._in(self._writing or self._reading, self._flushed)

    def refused(self) -> None:
        """The other end's socket is closed: the next write fails."""
        self._broken = True

    # What protocols and streams call

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From now on ``protocol`` hears what happens here."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who hears what happens here; None once the connection is lost."""
        return self._protocol  # type: ignore[no-any-return]

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether the protocol wants to hear of what arrives."""
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        """Nothing may arrive until ``resume_reading``."""
        if self.is_reading():
            self._paused = True
            self._incoming.hold()

    def resume_reading(self) -> None:
        """Arrivals may go on, handled in a copy of the present context, as in stock asyncio."""
        if self._paused and not self._closing:
            self._paused = False
            self._reading = self._here()
            self._incoming.pump()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` on its way; lost without a word once the connection is."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"data argument must be a bytes-like object, not {type(data).__name__!r}"
            )
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data:
            return
        if self._losing:
            self._outgoing.users[self.owner()] = None
            return
        if self._broken:
            self._fail(BrokenPipeError(errno.EPIPE, "Broken pipe"))
            return
        owner = self.owner()
        if not self._serves:
            self._served = owner
        had_room = not self.get_write_buffer_size()
        self._outgoing.put(bytes(data), owner)
        if had_room and self.get_write_buffer_size():
            self._writing = self._here()
        self._flow.grew(self._protocol)

    def can_write_eof(self) -> bool:
        """True: a connection can be half closed."""
        return True

    def write_eof(self) -> None:
        """Send the end after what was written; reading goes on."""
        if not self._closing and not self._eof_written:
            self._eof_written = True
            self._outgoing.end(self.owner())

    def get_write_buffer_size(self) -> int:
        """How many bytes are not yet under way."""
        return self._outgoing.excess

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high limit, in bytes."""
        return self._flow.low, self._flow.high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the protocol is told to pause and to resume writing, in bytes."""
        self._flow.limit(high, low)
        self._flow.grew(self._protocol)

    def close(self) -> None:
        """Read no more, send what was written and then the end."""
        if self._closing:
            return
        self._stop()
        if not self.get_write_buffer_size():
            self._lose(None)

    def abort(self) -> None:
        """Close at once; what is not yet under way is lost."""
        self._force_close(None)

    # The life of the connection

    def _is_over(self) -> bool:
        return self._closing or self._eof_read

    def _here(self) -> contextvars.Context:
        """A copy of the present context, in which all is this end's work, whoever asked for it."""
        context = contextvars.copy_context()
        context.run(self._host.be, self._worker)
        return context

    def _in(
        self, context: contextvars.Context | None, step: Callable[..., None], *args: Any
    ) -> None:
        host = self._host
        outer, host.working_for = host.working_for, self._worker
        try:
            if context is None:
                step(*args)
            else:
                context.run(step, *args)
        finally:
            host.working_for = outer

    def _made(self, protocol: asyncio.BaseProtocol) -> None:
        try:
            protocol.connection_made(self)
        finally:
            if self._serves:
                self._serving.fresh = False

    def _start_reading(self) -> None:
        self._started = True
        self._incoming.pump()
        self._break()

    def _break(self) -> None:
        """Let the reset arrive, but never before ``connection_made``."""
        if self._cut and self._started:
            self._host.arrive("reset", self._reset, owner=self._served)

    def _reset(self) -> None:
        error = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        self._in(self._reading, self._fail, error)

    def _receive(self) -> None:
        protocol = self._protocol
        method = "data_received"
        try:
            if isinstance(protocol, asyncio.BufferedProtocol):
                method = "get_buffer"
                self._fill(protocol, protocol.get_buffer(-1))
            else:
                protocol.data_received(self._take())
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, f"Fatal error: protocol.{method}() call failed.")

    def _fill(self, protocol: asyncio.BufferedProtocol, buffer: Any) -> None:
        if not len(buffer):
            raise RuntimeError("get_buffer() returned an empty buffer")
        data = self._take(len(buffer))
        buffer[: len(data)] = data
        protocol.buffer_updated(len(data))

    def _take(self, most: int | None = None) -> bytes:
        data = self._incoming.take(most)
        if self._serves and self._served is not self._incoming.arrived_from:
            self._served = self._incoming.arrived_from
            self._host.turn(self._serving, self._served)
        return data

    def _flushed(self) -> None:
        self._flow.shrank(self._protocol)
        if self._closing and not self._losing and not self.get_write_buffer_size():
            self._losing = True
            self._connection_lost(None)

    def _receive_eof(self) -> None:
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, "Fatal error: protocol.eof_received() call failed.")
            return
        if not keep_open:
            self.close()

    def _fail(self, error: BaseException, message: str = "") -> None:
        """Close at once because of ``error``; one of the network's own is nobody's mistake."""
        if not isinstance(error, OSError):
            self._host.call_exception_handler(
                {
                    "message": message,
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
        self._force_close(error)

    def _force_close(self, error: BaseException | None) -> None:
        if self._losing:
            return
        self._outgoing.drop_excess()
        if not self._closing:
            self._stop()
        self._lose(error)

    def _stop(self) -> None:
        self._closing = True
        if self._serves and self._host.waited(self._serving):
            self._stale = True
            self._incoming.left_behind()
        self._closed_by = self.owner()
        self._incoming.hold()

    def _lose(self, error: BaseException | None) -> None:
        self._losing = True
        self._host.call_soon(self._connection_lost, error)

    def _connection_lost(self, error: BaseException | None) -> None:
        try:
            if self._protocol is not None:
                self._protocol.connection_lost(error)
        finally:
            self.vanish()
