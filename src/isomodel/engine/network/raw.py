"""The loop's ``sock_`` methods, over sockets in memory."""

from __future__ import annotations

import asyncio
import errno
from typing import Any, Protocol

from isomodel.engine.network.addresses import Address, tcp_address, unix_path
from isomodel.engine.network.host import Host
from isomodel.engine.network.memory_socket import MemorySocket, Plug
from isomodel.engine.network.transport import StreamTransport

ADVICE = (
    "it was made outside the execution, or is no stream: it is the operating system's; make it "
    "inside (in start or in an operation), or pass host and port"
)


class Reaching(Protocol):
    """Who makes connections."""

    async def reach(self, address: Address) -> StreamTransport:
        """The connecting end of a new connection."""


class RawSockets:
    """What the loop delegates to; each method refuses sockets that are not in memory."""

    def __init__(self, host: Host, network: Reaching) -> None:
        self._host = host
        self._network = network

    def own(self, method: str, sock: Any) -> MemorySocket:
        """This socket, if it is one in memory and open."""
        if not isinstance(sock, MemorySocket):
            self._host.refuse(f"{method}(sock=)", ADVICE)
        if sock.fileno() == -1:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return sock

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """As the loop's."""
        mine = self.own("sock_connect", sock)
        if mine.end is not None:
            raise OSError(errno.EISCONN, "Transport endpoint is already connected")
        where = tcp_address(*address[:2]) if isinstance(address, tuple) else unix_path(address)
        end = await self._network.reach(where)
        if mine.fileno() == -1:
            end.vanish()
            raise OSError(errno.EBADF, "Bad file descriptor")
        mine.become(end)

    async def sock_accept(self, sock: Any) -> tuple[MemorySocket, Any]:
        """As the loop's."""
        mine = self.own("sock_accept", sock)
        if mine.listener is None:
            raise OSError(errno.EINVAL, "Invalid argument")
        end = await mine.listener.next()
        accepted = MemorySocket(mine.family)
        accepted.setblocking(False)
        accepted.become(end)
        return accepted, accepted.getpeername()

    async def sock_recv(self, sock: Any, n: int) -> bytes:
        """As the loop's."""
        return await (await self._plug("sock_recv", sock)).receive(n)

    async def sock_recv_into(self, sock: Any, buf: Any) -> int:
        """As the loop's."""
        room = memoryview(buf).cast("B")
        data = await (await self._plug("sock_recv_into", sock)).receive(len(room))
        room[: len(data)] = data
        return len(data)

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        """As the loop's."""
        plug = await self._plug("sock_sendall", sock)
        await plug.send(bytes(data))

    async def _plug(self, method: str, sock: Any) -> Plug:
        mine = self.own(method, sock)
        if mine.end is None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        if mine.plug is None:
            mine.plug = plug = Plug(self._host)
            mine.end.attach(plug)
        while mine.plug is not None and mine.plug.transport is None:
            await asyncio.sleep(0)
        if mine.plug is None:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return mine.plug
