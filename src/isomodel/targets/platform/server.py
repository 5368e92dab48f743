"""The server: WebSocket connections of authenticated users, their requests and their events."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import Sequence
from http import HTTPStatus
from uuid import uuid4

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from isomodel.targets.factory.backends import Audit, Event
from isomodel.targets.factory.errors import InvalidToken, TransportLost
from isomodel.targets.factory.layer import Layer
from isomodel.targets.platform import credentials, wire
from isomodel.targets.platform.desk import Desk
from isomodel.values.facts import Connected, Delivered, Disconnected, Issued

LOGGER = logging.getLogger("isomodel.platform")
LOGGER.addHandler(logging.NullHandler())

WINDOW = 1
"""Events that may be on their way to a client before it has said that it took them."""


class SocketTransport:
    """The server's end of one client connection, as the layer's event channels use it."""

    def __init__(self, user: str, connection: str, socket: ServerConnection, audit: Audit) -> None:
        self.user = user
        self.connection = connection
        self.closed = False
        self._socket = weakref.ref(socket)  # who serves it, keeps it: a channel never does
        self._audit = audit
        self._written = 0
        self._taken = 0
        self._room = asyncio.Event()
        audit.note(Connected(user, connection))

    async def open(self) -> None:
        """Nothing is left to do: the handshake is over."""

    async def drain(self) -> None:
        """Wait until the client can take more; raises TransportLost."""
        while self._written - self._taken >= WINDOW and not self.closed:
            self._room.clear()
            await self._room.wait()
        if self.closed:
            raise TransportLost("the client has gone")

    def write(self, batch: Sequence[tuple[str, Event]]) -> None:
        """Send events, in order."""
        socket = self._socket()
        for delivery, event in batch:
            self._audit.note(Delivered(delivery, self.user, self.connection))
            pushed = wire.Pushed(event.id, event.kind, event.run, event.payload)
            if socket is not None:
                broadcast([socket], wire.encoded(pushed))
        self._written += len(batch)

    def took(self, count: int) -> None:
        """The client has taken so many events in all."""
        self._taken = max(self._taken, count)
        self._room.set()

    def close(self) -> None:
        """Send nothing more; the connection itself ends with the client, or the server."""
        if not self.closed:
            self.closed = True
            self._room.set()
            self._audit.note(Disconnected(self.connection))


class PlatformServer:
    """Serves one layer to whoever has a credential signed with ``key``."""

    def __init__(self, layer: Layer, key: bytes) -> None:
        self.desk = Desk(layer)
        self._layer = layer
        self._audit = layer.backends.audit
        self._key = key

    async def listen(self, host: str, port: int) -> Server:
        """Accept connections there until the returned server is closed."""
        return await serve(
            self._serve,
            host,
            port,
            process_request=self._admit,
            compression=None,
            logger=LOGGER,
        )

    def _admit(self, socket: ServerConnection, request: HttpRequest) -> Response | None:
        scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
        try:
            if scheme != "Bearer":
                raise InvalidToken("send a credential: Authorization: Bearer ...")
            user = credentials.read(self._key, credential, time.time())
        except InvalidToken as refused:
            return socket.respond(HTTPStatus.UNAUTHORIZED, f"{refused}\n")
        socket.username = user
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        user = socket.username
        connection = f"ws-{uuid4().hex}"
        self._audit.note(Issued("connection", connection))
        transport = SocketTransport(user, connection, socket, self._audit)
        await self._layer.connections.connect(user, connection, transport)
        requests = Requests(self.desk, user, socket)
        try:
            async for text in socket:
                message = wire.from_client(text)
                if isinstance(message, wire.Taken):
                    transport.took(message.count)
                else:
                    requests.take(message)
        except ConnectionClosed:
            pass
        finally:
            try:
                await requests.give_up()
            finally:
                self._layer.connections.disconnect(user, connection)


class Requests:
    """The requests of one connection that are under way, each a task of its own."""

    def __init__(self, desk: Desk, user: str, socket: ServerConnection) -> None:
        self._desk = desk
        self._user = user
        self._socket = socket
        self._under_way: dict[int, asyncio.Task[None]] = {}

    def take(self, message: wire.Request | wire.Cancel) -> None:
        """Begin a request, or give one up."""
        if isinstance(message, wire.Request):
            task = asyncio.create_task(self._answer(message))
            self._under_way[message.id] = task
            task.add_done_callback(lambda _: self._under_way.pop(message.id, None))
        elif message.id in self._under_way:
            self._under_way[message.id].cancel()

    async def give_up(self) -> None:
        """Cancel all that are under way, and wait until they have cleaned up."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, request: wire.Request) -> None:
        answer: wire.FromServer
        try:
            value = await self._desk.answer(self._user, request.do, request.args)
            answer = wire.Reply(request.id, value)
        except Exception as error:
            answer = wire.Failure(request.id, type(error).__name__, str(error))
        broadcast([self._socket], wire.encoded(answer))
