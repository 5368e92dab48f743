"""aiohttp's connector, which limits connections, over connections that only seem to be there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import BaseConnector, ClientTimeout
from aiohttp.client_reqrep import ConnectionKey

from isomodel import io, kits

KEY = ConnectionKey("example.org", 80, False, True, None, None, None)


class Protocol:
    """As much of a connection as the connector asks of one."""

    def __init__(self) -> None:
        self.transport: Any = self
        self.should_close = False
        self.force_close = False
        self.closed = None

    def is_connected(self) -> bool:
        return self.transport is not None

    def is_closing(self) -> bool:
        return self.transport is None

    def close(self) -> None:
        self.transport = None

    abort = close


class Request:
    """What asks for a connection."""

    connection_key = KEY
    proxy = None


class Connector(BaseConnector):
    """Connects to nowhere."""

    async def _create_connection(self, *request: Any) -> Any:
        await io("connect", fails=OSError)
        return Protocol()


@asynccontextmanager
async def _connection(connector: Connector) -> AsyncIterator[Any]:
    connection = await connector.connect(Request(), [], ClientTimeout())  # type: ignore[arg-type]
    try:
        yield connection
    finally:
        connection.release()


_WAYS: dict[str, Any] = {
    "size": 2,
    "hold": _connection,
    "unit": lambda connection: connection.protocol,
    "refuses": OSError,
}


@kits.pool(fair=False, **_WAYS)
async def connector() -> AsyncIterator[Any]:
    """Two connections at most."""
    async with Connector(limit=2) as made:
        yield made


fair_connector = kits.pool(connector.make, **_WAYS)

KNOWN = {"fair_connector": [("promise", "who comes again", "docs/findings/aiohttp-overtaking.md")]}
