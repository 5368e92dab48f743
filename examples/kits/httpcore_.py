"""httpcore's connection pool over a server that only seems to be there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpcore

from isomodel import io, kits

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Stream(httpcore.AsyncNetworkStream):
    """Answers each request, in order."""

    def __init__(self) -> None:
        self._answers = b""
        self._open = True

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        await io("read", fails=httpcore.ReadError)
        chunk, self._answers = self._answers[:max_bytes], self._answers[max_bytes:]
        return chunk

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await io("write", fails=httpcore.WriteError)
        self._answers += ANSWER * buffer.count(b"\r\n\r\n")

    async def aclose(self) -> None:
        self._open = False

    def get_extra_info(self, info: str) -> Any:
        return not self._open if info == "is_readable" else None


class Network(httpcore.AsyncNetworkBackend):
    """Leads to such streams."""

    async def connect_tcp(self, *place: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        await io("connect", fails=httpcore.ConnectError)
        return Stream()


@asynccontextmanager
async def _get(pool: httpcore.AsyncConnectionPool, **options: Any) -> AsyncIterator[Any]:
    limits = {"pool": options["timeout"]} if options else {}
    async with pool.stream(
        "GET", "http://example.org/", extensions={"timeout": limits}
    ) as response:
        yield response
        await response.aread()


_WAYS: dict[str, Any] = {
    "size": 2,
    "hold": _get,
    "timeout": "timeout",
    "refuses": (httpcore.PoolTimeout, httpcore.NetworkError, httpcore.RemoteProtocolError),
    "scopes": True,
}


@kits.pool(fair=False, **_WAYS)
async def pool() -> AsyncIterator[Any]:
    """Two connections at most."""
    async with httpcore.AsyncConnectionPool(max_connections=2, network_backend=Network()) as made:
        yield made


fair_pool = kits.pool(pool.make, **_WAYS)

_SLOT = ("promise", "every unit is free", "docs/findings/httpcore-slot.md")
KNOWN = {
    "pool": [_SLOT],
    "fair_pool": [_SLOT, ("promise", "who comes again", "docs/findings/httpcore-overtaking.md")],
}
