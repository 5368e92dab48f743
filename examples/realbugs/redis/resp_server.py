"""A stand-in Redis server: the real protocol (RESP2 or 3) over streams, a dictionary behind it.

It answers what a client needs to connect, and PING, ECHO, GET, SET, DEL; anything else with the
error of a real server. It knows nothing of isomodel: ``python resp_server.py`` serves real
clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

OK = b"+OK\r\n"
NO_PASSWORD = (
    b"-ERR AUTH <password> called without any password configured for the default user. "
    b"Are you sure your configuration is correct?\r\n"
)


class RespServer:
    """The databases of one server, by number."""

    def __init__(self) -> None:
        self.databases: dict[int, dict[bytes, bytes]] = {}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until its client closes it."""
        connection = Connection(self)
        try:
            while not connection.over and (command := await read_command(reader)):
                writer.write(connection.answer(command))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone in the middle of a command
        finally:
            writer.close()


class Connection:
    """What the server knows of one connection: the database it uses, and whether it is over."""

    def __init__(self, server: RespServer) -> None:
        self.over = False
        self._server = server
        self._database = 0
        self._protocol = 2
        self._commands: dict[bytes, Callable[..., bytes]] = {
            b"AUTH": self._auth,
            b"CLIENT": self._client,
            b"DEL": self._del,
            b"ECHO": bulk,
            b"GET": self._get,
            b"HELLO": self._hello,
            b"PING": self._ping,
            b"QUIT": self._quit,
            b"SELECT": self._select,
            b"SET": self._set,
        }

    def answer(self, command: list[bytes]) -> bytes:
        """The reply to one command."""
        name, *arguments = command
        method = self._commands.get(name.upper())
        if method is None:
            return b"-ERR unknown command '%s'\r\n" % name
        try:
            return method(*arguments)
        except TypeError:
            return b"-ERR wrong number of arguments for '%s' command\r\n" % name.lower()

    def _data(self) -> dict[bytes, bytes]:
        return self._server.databases.setdefault(self._database, {})

    def _auth(self, *credentials: bytes) -> bytes:
        return NO_PASSWORD

    def _client(self, command: bytes, *arguments: bytes) -> bytes:
        if command.upper() in (b"SETNAME", b"SETINFO"):
            return OK
        return b"-ERR unknown subcommand '%s'\r\n" % command

    def _del(self, *keys: bytes) -> bytes:
        return b":%d\r\n" % sum(self._data().pop(key, None) is not None for key in keys)

    def _get(self, key: bytes) -> bytes:
        value = self._data().get(key)
        return b"_\r\n" if value is None and self._protocol == 3 else bulk(value)

    def _hello(self, protocol: bytes = b"2", *options: bytes) -> bytes:
        if protocol not in (b"2", b"3"):
            return b"-NOPROTO unsupported protocol version\r\n"
        self._protocol = int(protocol)
        told = [bulk(b"server"), bulk(b"redis"), bulk(b"proto"), b":%s\r\n" % protocol]
        head = b"%%%d\r\n" % (len(told) // 2) if self._protocol == 3 else b"*%d\r\n" % len(told)
        return head + b"".join(told)

    def _ping(self, message: bytes | None = None) -> bytes:
        return b"+PONG\r\n" if message is None else bulk(message)

    def _quit(self) -> bytes:
        self.over = True
        return OK

    def _select(self, index: bytes) -> bytes:
        if not index.isdigit():
            return b"-ERR value is not an integer or out of range\r\n"
        self._database = int(index)
        return OK

    def _set(self, key: bytes, value: bytes) -> bytes:
        self._data()[key] = value
        return OK


def bulk(value: bytes | None) -> bytes:
    """A string of any bytes, or the reply that there is none."""
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


async def read_command(reader: asyncio.StreamReader) -> list[bytes]:
    """The words of the next command; none at the end of the connection."""
    header = await reader.readline()
    if not header.startswith(b"*"):
        return header.split()
    words = []
    for _ in range(int(header[1:])):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words


async def main() -> None:
    """Serve real clients at the usual port."""
    server = await asyncio.start_server(RespServer().handle, "localhost", 6379)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
