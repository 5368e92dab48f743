"""The client: one connection to the platform, its requests, and the events that come over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import broadcast
from websockets.exceptions import ConnectionClosed

from isomodel.targets.factory import errors
from isomodel.targets.platform import wire


class ConnectionLost(Exception):
    """The connection broke before the answer came: whether the request was done is unknown."""


class RequestFailed(Exception):
    """The server failed in a way that the layer does not name."""


class PlatformClient:
    """One connection of one user; ``take`` is called with every event."""

    def __init__(self, socket: ClientConnection, take: Callable[[wire.Pushed], None]) -> None:
        self._socket = socket
        self._take = take
        self._taken = 0
        self._asked = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def connect(
        cls, url: str, credential: str, take: Callable[[wire.Pushed], None]
    ) -> PlatformClient:
        """A new connection; raises OSError, or what ``websockets`` raises where it is refused."""
        headers = {"Authorization": f"Bearer {credential}"}
        socket = await connect(url, additional_headers=headers, compression=None, proxy=None)
        return cls(socket, take)

    @property
    def is_open(self) -> bool:
        """Whether requests may be sent."""
        return not self._reading.done()

    async def ask(self, do: str, **args: Any) -> Any:
        """The answer to this request; raises the layer's errors, ConnectionLost, RequestFailed.

        Cancelling it gives the request up at the server, too.
        """
        if not self.is_open:
            raise ConnectionLost("the connection is closed")
        self._asked += 1
        number = self._asked
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(wire.Request(number, do, args))
            return await answer
        except asyncio.CancelledError:
            broadcast([self._socket], wire.encoded(wire.Cancel(number)))
            raise
        finally:
            del self._answers[number]

    async def close(self) -> None:
        """Say goodbye, and wait until the server has."""
        await self._socket.close()
        await self._reading

    async def _send(self, message: wire.FromClient) -> None:
        try:
            await self._socket.send(wire.encoded(message))
        except ConnectionClosed:
            raise ConnectionLost("the connection broke") from None

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                message = wire.from_server(text)
                if isinstance(message, wire.Pushed):
                    self._take(message)
                    self._taken += 1
                    await self._socket.send(wire.encoded(wire.Taken(self._taken)))
                else:
                    self._settle(message)
        except ConnectionClosed:
            pass
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionLost("the connection broke"))

    def _settle(self, message: wire.Reply | wire.Failure) -> None:
        answer = self._answers.get(message.id)
        if answer is None or answer.done():
            return
        if isinstance(message, wire.Reply):
            answer.set_result(message.value)
        else:
            answer.set_exception(_error(message))


def _error(failure: wire.Failure) -> Exception:
    """The error that the server met; only the layer's own are known by name."""
    known = getattr(errors, failure.error, None)
    if isinstance(known, type) and issubclass(known, errors.LayerError):
        return known(failure.message)
    return RequestFailed(f"{failure.error}: {failure.message}")
