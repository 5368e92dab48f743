"""The network of one execution: who listens where, and the connections between them."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable
from typing import Any, Protocol

from isomodel.engine.network.addresses import (
    LOOPBACK,
    Address,
    AddressInfo,
    Ports,
    address_info,
    ip_address,
    is_everywhere,
    port_number,
    tcp_address,
    unix_path,
)
from isomodel.engine.network.host import Host, Owner
from isomodel.engine.network.pipe import Conditions, Pipe
from isomodel.engine.network.raw import RawSockets
from isomodel.engine.network.server import ProtocolFactory, Server
from isomodel.engine.network.transport import StreamTransport
from isomodel.values.schedule import FaultKind

UNANSWERED = 127.0
"""Seconds after which Linux gives up connecting (``tcp_syn_retries`` is 6)."""

Hosts = str | bytes | Iterable[str] | None
Port = int | str | bytes | None
Path = str | bytes | os.PathLike[str] | None


class Listening(Protocol):
    """Who accepts connections."""

    def is_serving(self) -> bool:
        """Whether it does so now."""

    def accept(self, transport: StreamTransport) -> None:
        """Take the accepting end of a new connection."""


class Network:
    """Connects the programs of one loop; the loop delegates to the methods of the same name.

    ``conditions`` holds for connections made from now on. ``connections`` are the open ends,
    oldest first: of each connection the accepting end, then the connecting one.
    """

    def __init__(self, host: Host, conditions: Conditions | None = None) -> None:
        self._host = host
        self._servers: dict[Address, Listening] = {}
        self._everywhere: set[Address] = set()
        self._made: list[Server] = []
        self._ports = Ports()
        self._peers: dict[StreamTransport, StreamTransport] = {}
        self.conditions = conditions or Conditions()
        self.raw = RawSockets(host, self)

    @property
    def connections(self) -> tuple[StreamTransport, ...]:
        """The ends of connections that are open."""
        return tuple(self._peers)

    def still_serving(self) -> str:
        """Which servers have connections that are open, in a line that says what to do."""
        told = []
        for server in self._made:
            clients = len(server.clients)
            if clients:
                told.append(
                    f"the server at {server.addresses[0]!r} has {clients} open connections: close "
                    "the clients before it, or call its close_clients()"
                )
        return "; ".join(told)

    def drop(self, transport: asyncio.BaseTransport) -> None:
        """Break this connection: each end loses it, with a reset, when the scheduler says so.

        What is under way is lost. Does nothing if this end is closed already.
        """
        assert isinstance(transport, StreamTransport)
        peer = self._peers.get(transport)
        if peer is not None:
            transport.cut()
            peer.cut()

    # What the loop delegates

    async def getaddrinfo(
        self,
        host: str | bytes | None,
        port: Port,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """The one address of any name; see ``addresses.ip_address``."""
        return address_info(host, port, type=type, proto=proto)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """The address and the port as text: names are not looked up backwards."""
        return str(sockaddr[0]), str(sockaddr[1])

    async def create_connection(
        self,
        protocol_factory: ProtocolFactory,
        host: str | bytes | None = None,
        port: Port = None,
        *,
        ssl: Any = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: Any = None,
        local_addr: Any = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> tuple[asyncio.Transport, Any]:
        """As the loop's; refused, as in reality, only once the attempt has arrived."""
        self._check_plain("create_connection", ssl)
        if sock is not None:
            end = self._end_of("create_connection", sock, host, port)
            return await self._serve(protocol_factory, end)
        if host is None and port is None:
            raise ValueError("host and port was not specified and no sock specified")
        return await self._connect(protocol_factory, tcp_address(host, port))

    async def create_unix_connection(
        self,
        protocol_factory: ProtocolFactory,
        path: Path = None,
        *,
        ssl: Any = None,
        sock: Any = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """As the loop's."""
        self._check_plain("create_unix_connection", ssl)
        if sock is not None:
            end = self._end_of("create_unix_connection", sock, path)
            return await self._serve(protocol_factory, end)
        return await self._connect(protocol_factory, unix_path(path))

    async def connect_accepted_socket(
        self,
        protocol_factory: ProtocolFactory,
        sock: Any,
        *,
        ssl: Any = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """As the loop's."""
        self._check_plain("connect_accepted_socket", ssl)
        end = self._end_of("connect_accepted_socket", sock)
        return await self._serve(protocol_factory, end)

    async def create_server(
        self,
        protocol_factory: ProtocolFactory,
        host: Hosts = None,
        port: Port = None,
        *,
        family: int = 0,
        flags: int = 0,
        sock: Any = None,
        backlog: int = 100,
        ssl: Any = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """As the loop's."""
        self._check_plain("create_server", ssl)
        if sock is not None:
            mine = self.raw.own("create_server", sock)
            bound = [mine.stop_listening()]
            return await self._listen(protocol_factory, bound, start_serving)
        hosts = [host] if host is None or isinstance(host, (str, bytes)) else list(host)
        ips = dict.fromkeys(ip_address(name) for name in hosts)
        number = port_number(port)
        addresses = [(ip, number) if number else self._free_port(ip) for ip in ips]
        server = await self._listen(protocol_factory, addresses, start_serving)
        self._note_everywhere(hosts, addresses)
        return server

    async def create_unix_server(
        self,
        protocol_factory: ProtocolFactory,
        path: Path = None,
        *,
        sock: Any = None,
        backlog: int = 100,
        ssl: Any = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
        cleanup_socket: bool = True,
    ) -> Server:
        """As the loop's."""
        self._check_plain("create_unix_server", ssl)
        if sock is not None:
            mine = self.raw.own("create_unix_server", sock)
            bound = [mine.stop_listening()]
            return await self._listen(protocol_factory, bound, start_serving)
        return await self._listen(protocol_factory, [unix_path(path)], start_serving)

    # What servers and listening sockets call

    def bind(self, family: int, address: Any) -> Address:
        """The address that a socket gets by asking for this one."""
        if family == socket.AF_UNIX:
            return self._unused(unix_path(address))
        host, port = address[:2]
        number = port_number(port)
        ip = ip_address(host)
        bound = self._unused((ip, number)) if number else self._free_port(ip)
        self._note_everywhere((host,), (bound,))
        return bound

    def listen(self, address: Address, listener: Listening) -> None:
        """Let this one accept what connects there."""
        self._servers[self._unused(address)] = listener

    def unbind(self, addresses: tuple[Address, ...]) -> None:
        """Nobody listens there any more."""
        for address in addresses:
            self._servers.pop(address, None)

    # How it works

    def _note_everywhere(
        self, hosts: Iterable[str | bytes | None], bound: Iterable[Address]
    ) -> None:
        local = {address for address in bound if address[0] == LOOPBACK}
        if any(map(is_everywhere, hosts)):
            self._everywhere |= local
        else:
            self._everywhere -= local

    def _free_port(self, ip: str) -> tuple[str, int]:
        return self._ports.take(ip, self._servers)

    def _unused(self, address: Address) -> Address:
        if address in self._servers:
            raise OSError(
                errno.EADDRINUSE,
                f"error while attempting to bind on address {address!r}: address already in use",
            )
        return address

    def _check_plain(self, method: str, ssl: Any) -> None:
        if ssl:
            advice = "connect and serve without TLS: nothing leaves this process"
            self._host.refuse(f"{method}(ssl=)", advice)

    def _end_of(self, method: str, sock: Any, *others: Any) -> StreamTransport:
        """The end of its connection that a socket held until now."""
        if any(other is not None for other in others):
            raise ValueError("host/port or path and sock can not be specified at the same time")
        end = self.raw.own(method, sock).let_go()
        if end is None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return end

    async def _listen(
        self, make: ProtocolFactory, addresses: Iterable[Address], start_serving: bool
    ) -> Server:
        bound = tuple(map(self._unused, addresses))
        server = Server(self._host, self, bound, make)
        self._made.append(server)
        for address in bound:
            self._servers[address] = server
        if start_serving:
            await server.start_serving()
        return server

    async def _connect(
        self, make: ProtocolFactory, address: Address
    ) -> tuple[asyncio.Transport, Any]:
        return await self._serve(make, await self.reach(address))

    async def _serve(
        self, make: ProtocolFactory, transport: StreamTransport
    ) -> tuple[asyncio.Transport, Any]:
        """Let a new protocol serve this end of a connection."""
        try:
            protocol = make()
            transport.attach(protocol)
            made = self._host.create_future()
            self._host.call_soon(_resolve, made)
        except BaseException:
            transport.vanish()
            raise
        try:
            await made
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def reach(self, address: Address) -> StreamTransport:
        """The connecting end of a new connection, which nobody serves yet."""
        arrived: asyncio.Future[StreamTransport] = self._host.create_future()
        owner = self._host.owner()
        fault = self._host.struck(owner, (), "refuse", "partition")
        attempt = self._host.arrive(
            "connect",
            self._establish,
            address,
            arrived,
            owner,
            fault,
            latency=UNANSWERED if fault == "partition" else self.conditions.latency,
            owner=owner,
        )
        try:
            return await arrived
        except asyncio.CancelledError:
            attempt.cancel()
            if arrived.done() and not arrived.cancelled() and not arrived.exception():
                arrived.result().vanish()
            raise

    def _establish(
        self,
        address: Address,
        arrived: asyncio.Future[StreamTransport],
        owner: Owner,
        fault: FaultKind | None,
    ) -> None:
        if arrived.done():
            return
        if fault == "partition":
            arrived.set_exception(TimeoutError(errno.ETIMEDOUT, f"Connect call failed {address!r}"))
            return
        server = self._server_at(address)
        if fault == "refuse" or server is None or not server.is_serving():
            arrived.set_exception(_refusal(address, server is not None))
            return
        accepted, connected = self._pair(address, owner)
        server.accept(accepted)
        arrived.set_result(connected)

    def _server_at(self, address: Address) -> Listening | None:
        """Who listens there, or on every interface: any name may be that of its machine."""
        server = self._servers.get(address)
        if server is None and not isinstance(address, str):
            local = (LOOPBACK, address[1])
            server = self._servers.get(local) if local in self._everywhere else None
        return server

    def _pair(self, address: Address, owner: Owner) -> tuple[StreamTransport, StreamTransport]:
        own: Address = "" if isinstance(address, str) else self._free_port(LOOPBACK)
        users: dict[Owner, None] = {owner: None}
        request = Pipe(self._host, "request", self.conditions, users)
        reply = Pipe(self._host, "reply", self.conditions, users)
        accepted = StreamTransport(
            self._host,
            incoming=request,
            outgoing=reply,
            sockname=address,
            peername=own,
            owner=owner,
            serves=True,
        )
        connected = StreamTransport(
            self._host,
            incoming=reply,
            outgoing=request,
            sockname=own,
            peername=address,
            owner=owner,
            serves=False,
        )
        request.source, request.sink = connected, accepted
        reply.source, reply.sink = accepted, connected
        for end, peer in ((accepted, connected), (connected, accepted)):
            self._peers[end] = peer
            end.when_lost(self._forget)
        return accepted, connected

    def _forget(self, transport: StreamTransport) -> None:
        self._peers.pop(transport, None)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _refusal(address: Address, bound: bool) -> OSError:
    if isinstance(address, str) and not bound:
        return FileNotFoundError(errno.ENOENT, "No such file or directory", address)
    return ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed {address!r}")
