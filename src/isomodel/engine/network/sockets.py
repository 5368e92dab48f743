"""The socket that ``get_extra_info("socket")`` shows: enough for libraries that tune it."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable
from typing import Any

from isomodel.engine.network.addresses import Address


@functools.cache
def quiet_descriptor() -> int:
    """A descriptor that is never readable; one for the whole process, never closed.

    Connection pools poll the descriptor of an idle connection to see whether the server has
    closed it.
    """
    return os.pipe()[0]


class SocketView:
    """What a program may ask of, and set on, the socket under a transport.

    Options are kept and have no effect. ``fileno`` is -1 once nothing more can arrive.
    """

    proto = socket.IPPROTO_TCP

    def __init__(
        self, sockname: Address, peername: Address | None, is_over: Callable[[], bool]
    ) -> None:
        self.family = socket.AF_UNIX if isinstance(sockname, str) else socket.AF_INET
        self.type = socket.SOCK_STREAM
        self._sockname = sockname
        self._peername = peername
        self._is_over = is_over
        self._options: dict[tuple[int, int], Any] = {}
        self._timeout: float | None = 0.0

    def __repr__(self) -> str:
        return f"<socket in memory, laddr={self._sockname!r}, raddr={self._peername!r}>"

    def getsockname(self) -> Address:
        """The own address."""
        return self._sockname

    def getpeername(self) -> Address:
        """The other end's address."""
        if self._peername is None:
            raise OSError("socket is not connected")
        return self._peername

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        """Keep this option."""
        self._options[level, option] = value[0]

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> Any:
        """The option as set, else 0."""
        return self._options.get((level, option), b"" if buflen else 0)

    def fileno(self) -> int:
        """A descriptor that is never readable, or -1 once nothing more can arrive."""
        return -1 if self._is_over() else quiet_descriptor()

    def gettimeout(self) -> float | None:
        """0: asyncio's sockets never block."""
        return self._timeout

    def settimeout(self, value: float | None) -> None:
        """Only 0 is possible, as on stock asyncio."""
        if value != 0:
            raise ValueError("settimeout(): only 0 timeout is allowed on transport sockets")

    def setblocking(self, flag: bool) -> None:
        """Only False is possible, as on stock asyncio."""
        if flag:
            raise ValueError("setblocking(): transport sockets cannot be blocking")
