"""What listens: asyncio's Server for addresses in memory."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable
from typing import Any, Protocol, cast

from isomodel.engine.network.addresses import Address
from isomodel.engine.network.host import Host
from isomodel.engine.network.sockets import SocketView
from isomodel.engine.network.transport import StreamTransport

ProtocolFactory = Callable[[], asyncio.BaseProtocol]

WAITS_FOR_CONNECTIONS = sys.version_info >= (3, 12)
"""Whether ``wait_closed`` waits for open connections: from Python 3.12 on, as it was meant."""


class Registry(Protocol):
    """Who listens where."""

    def unbind(self, addresses: tuple[Address, ...]) -> None:
        """Nobody listens there any more."""


class Server(asyncio.AbstractServer):
    """Accepts the connections to some addresses, each with a protocol of its own.

    ``addresses`` is where it listens, ``clients`` the connections that are open.

    Accepted connections run in a copy of the context in which serving started, never in that of
    the client.
    """

    def __init__(
        self, host: Host, registry: Registry, addresses: tuple[Address, ...], make: ProtocolFactory
    ) -> None:
        self._host = host
        self._registry = registry
        self.addresses = addresses
        self._make = make
        self._context: contextvars.Context | None = None
        self._closed = False
        self.clients: dict[StreamTransport, None] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {list(self.addresses)!r}>"

    # What the network calls

    def serve(self) -> None:
        """Accept connections from now on."""
        if self._closed:
            raise RuntimeError(f"server {self!r} is closed")
        if self._context is None:
            self._context = contextvars.copy_context()

    def accept(self, transport: StreamTransport) -> None:
        """Serve a new connection with a protocol of its own."""
        assert self._context is not None
        self._context.copy().run(self._accept, transport)

    def _accept(self, transport: StreamTransport) -> None:
        try:
            protocol = self._make()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._host.call_exception_handler(
                {
                    "message": "Error on transport creation for incoming connection",
                    "exception": error,
                    "transport": transport,
                }
            )
            transport.vanish()
            return
        self.clients[transport] = None
        transport.when_lost(self._forget)
        transport.attach(protocol)

    def _forget(self, transport: StreamTransport) -> None:
        self.clients.pop(transport, None)
        self._wake()

    def _wake(self) -> None:
        if self._closed and not self.clients:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    # What programs call

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it serves on."""
        return cast(asyncio.AbstractEventLoop, self._host)

    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        return self._context is not None and not self._closed

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The listening sockets; none once closed."""
        if self._closed:
            return ()
        return tuple(SocketView(address, None, lambda: False) for address in self.addresses)

    def close(self) -> None:
        """Accept no more; connections that are open stay open."""
        if self._closed:
            return
        self._closed = True
        self._registry.unbind(self.addresses)
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
            self._forever = None
        self._wake()

    def close_clients(self) -> None:
        """Close the connections that are open, oldest first."""
        for transport in list(self.clients):
            transport.close()

    def abort_clients(self) -> None:
        """Abort the connections that are open, oldest first."""
        for transport in list(self.clients):
            transport.abort()

    async def start_serving(self) -> None:
        """Accept connections from now on."""
        self.serve()
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        """Accept connections until cancelled or closed; then close."""
        if self._forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        self.serve()
        self._forever = self._host.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise
        finally:
            self._forever = None

    async def wait_closed(self) -> None:
        """Wait until it is closed and (from Python 3.12 on) so are its connections."""
        if self._closed and (not self.clients or not WAITS_FOR_CONNECTIONS):
            return
        waiter: asyncio.Future[None] = self._host.create_future()
        self._waiters.append(waiter)
        await waiter
