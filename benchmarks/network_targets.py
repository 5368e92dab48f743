"""Real libraries over the network in memory, each as a target: unmodified clients and servers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
import struct
from collections.abc import Iterator
from typing import Any

from isomodel import Secret, observe, operation

# websockets: client and server


class WebSockets:
    """An echo server; a user connects, hears its own words, and closes."""

    max_users = 2
    host = "chat.internal"

    async def start(self) -> None:
        import websockets.asyncio.client
        import websockets.asyncio.server

        async def echo(connection: Any) -> None:
            async for message in connection:
                await connection.send(message)

        self.connect = websockets.asyncio.client.connect
        self.server = await websockets.asyncio.server.serve(echo, self.host, 8765)

    async def stop(self) -> None:
        self.server.close()
        await self.server.wait_closed()

    @operation
    async def echo(self, user: str, text: Secret) -> str:
        async with self.connect(f"ws://{self.host}:8765", proxy=None) as connection:
            await connection.send(text)
            return str(await connection.recv())

    @observe
    async def nothing(self, user: str) -> str:
        return ""


# redis.asyncio: against the commands of fakeredis


async def serve_redis(
    server: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection to a server of fakeredis: its parser, its commands, its encoding."""
    from fakeredis import FakeRedisConnection
    from fakeredis._clients._tcp_server import encode_reply

    connection = FakeRedisConnection(server=server)
    try:
        while data := await reader.read(65536):
            engine = connection.get_socket()
            engine.sendall(data)
            while connection.can_read():
                try:
                    reply = connection.read_response()
                except Exception as error:  # an error is a reply, too
                    reply = error
                writer.write(encode_reply(reply, engine._client_info.protocol_version))
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Redis:
    """A cache for all users, through one client with a pool of connections."""

    async def start(self) -> None:
        from fakeredis import FakeServer
        from redis.asyncio import Redis as Client

        server = FakeServer()
        self.server = await asyncio.start_server(
            lambda reader, writer: serve_redis(server, reader, writer), "cache.internal", 6379
        )
        self.client = Client(host="cache.internal", port=6379, decode_responses=True)

    async def stop(self) -> None:
        await self.client.close()
        self.server.close()

    @operation
    async def set(self, user: str, value: Secret) -> bool | None:
        return bool(await self.client.set(f"value of {user}", value))

    @operation
    async def get(self, user: str) -> str | None:
        return await self.client.get(f"value of {user}")  # type: ignore[no-any-return]

    @observe
    async def value(self, user: str) -> str | None:
        return await self.get(user)


# httpx and aiohttp: against an ASGI application on uvicorn


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with who asked for what, in two parts."""
    assert scope["type"] == "http"
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send(
        {"type": "http.response.body", "body": scope["path"].encode() + b" ", "more_body": True}
    )
    await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": body.upper()})


class Uvicorn:
    """The application on a real uvicorn, started and stopped as its own ``serve`` does."""

    max_users = 2

    async def start(self) -> None:
        import uvicorn

        config = uvicorn.Config(
            application, host="api.internal", port=80, log_config=None, lifespan="off", ws="none"
        )
        self.server = uvicorn.Server(config)
        self.serving = asyncio.create_task(self.server.serve())
        while not self.server.started:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        await self.disconnect()
        self.server.should_exit = True
        await self.serving

    async def disconnect(self) -> None:
        raise NotImplementedError

    @observe
    async def nothing(self, user: str) -> str:
        return ""


@functools.cache
def certificates() -> ssl.SSLContext:
    """What httpx would load for each client anew, for 20 ms, though nothing here is encrypted."""
    return ssl.create_default_context()


class Httpx(Uvicorn):
    """One httpx client for all users."""

    async def start(self) -> None:
        import httpx

        await super().start()
        self.client = httpx.AsyncClient(
            base_url="http://api.internal", trust_env=False, verify=certificates()
        )

    async def disconnect(self) -> None:
        await self.client.aclose()

    @operation
    async def post(self, user: str, text: Secret) -> str:
        response = await self.client.post(f"/{user}", content=text)
        return str(response.text)


class Aiohttp(Uvicorn):
    """One aiohttp session for all users."""

    async def start(self) -> None:
        import aiohttp

        await super().start()
        self.session = aiohttp.ClientSession("http://api.internal")

    async def disconnect(self) -> None:
        await self.session.close()

    @operation
    async def post(self, user: str, text: Secret) -> str:
        async with self.session.post(f"/{user}", data=text) as response:
            return str(await response.text())


# asyncpg: against a peer that knows PostgreSQL's protocol and one table


CANCEL, TLS = 80877102, 80877103
"""Requests that come instead of a greeting."""


class Postgres:
    """The server's side of the protocol (version 3), for simple queries of text."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._greet(reader, writer):
                pass
            while True:
                kind, length = struct.unpack("!cI", await reader.readexactly(5))
                body = await reader.readexactly(length - 4)
                if kind == b"X":
                    break
                if kind == b"Q":
                    for part in self._answer(body[:-1].decode()):
                        writer.write(part)
                    writer.write(message(b"Z", b"I"))
                    await writer.drain()
        writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether another greeting follows."""
        length, code = struct.unpack("!II", await reader.readexactly(8))
        await reader.readexactly(length - 8)
        if code == TLS:
            writer.write(b"N")
            return True
        if code == CANCEL:
            raise ConnectionError("every query is over at once: there is nothing to cancel")
        writer.write(message(b"R", struct.pack("!I", 0)))
        for name, value in (("server_version", "16.0"), ("client_encoding", "UTF8")):
            writer.write(message(b"S", f"{name}\0{value}\0".encode()))
        writer.write(message(b"K", struct.pack("!II", 1, 1)) + message(b"Z", b"I"))
        return False

    def _answer(self, query: str) -> Iterator[bytes]:
        words = query.rstrip(";").split(" ")
        if words[0] == "INSERT":
            self.rows.setdefault(words[1], []).append(words[2])
            yield message(b"C", b"INSERT 0 1\0")
        else:
            yield message(b"C", b"SELECT 0\0")


def message(kind: bytes, body: bytes) -> bytes:
    """One message of PostgreSQL's protocol."""
    return kind + struct.pack("!I", len(body) + 4) + body


class Asyncpg:
    """A pool of two connections, through which each user adds rows."""

    async def start(self) -> None:
        import asyncpg

        self.database = Postgres()
        self.server = await asyncio.start_server(self.database.handle, "db.internal", 5432)
        self.pool = await asyncpg.create_pool(
            host="db.internal",
            user="app",
            password="",
            database="app",
            min_size=2,  # who has to connect because others use what is there, may be too late
            max_size=2,
            max_inactive_connection_lifetime=0,
            passfile="/nowhere",
            reset=nothing_to_reset,
        )

    async def stop(self) -> None:
        await self.pool.close()
        self.server.close()

    @operation
    async def add(self, user: str, text: Secret) -> str:
        async with self.pool.acquire() as connection:
            return str(await connection.execute(f"INSERT {user} {text}"))

    @observe
    async def rows(self, user: str) -> list[str]:
        return self.database.rows.get(user, [])


async def nothing_to_reset(connection: Any) -> None:
    """The peer knows no settings."""


TARGETS: dict[str, type] = {
    "websockets": WebSockets,
    "redis": Redis,
    "httpx": Httpx,
    "aiohttp": Aiohttp,
    "asyncpg": Asyncpg,
}
"""By the name of the library that speaks."""

NEEDED = {
    "websockets": ("websockets",),
    "redis": ("redis", "fakeredis"),
    "httpx": ("httpx", "uvicorn"),
    "aiohttp": ("aiohttp", "uvicorn"),
    "asyncpg": ("asyncpg",),
}
"""The modules that each of them needs."""
