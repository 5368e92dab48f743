"""Sockets that programs make by themselves: in memory inside an execution, and like real ones."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from isomodel import operation
from isomodel.engine.control.control import Control
from isomodel.engine.network import Conditions
from isomodel.engine.network.memory_socket import MemorySocket
from isomodel.engine.portable import PortableLoop
from isomodel.engine.stock import StockLoop
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.search.running.execute import execute, session
from isomodel.targets.declare import spec_of
from isomodel.values.execution import Issue
from isomodel.values.scenario import Operation, Scenario

Main = Callable[[], Awaitable[Any]]


def simulate(
    main: Main, *, seed: int | None = None, kind: Any = StockLoop, most: int = 1024
) -> tuple[Any, list[Issue]]:
    """What ``main`` returns in an execution, and what was not under control."""
    loop = kind(Default() if seed is None else RandomWalk(seed), record=True)
    loop.network.conditions = Conditions(most=most)
    control = Control()
    with control.installed():
        control.begin(0, loop.time, loop.label)
        try:
            result = loop.run(main())
        finally:
            issues = control.end()
    return result, [*issues, *loop.uncontrolled]


def in_memory(main: Main, **options: Any) -> Any:
    result, issues = simulate(main, **options)
    assert issues == []
    return result


def listening() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def connecting() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    return sock


async def talking() -> list[Any]:
    """An echo server and a client, of sockets alone."""
    loop = asyncio.get_running_loop()
    server, client = listening(), connecting()
    peers: list[Any] = []

    async def serve() -> None:
        accepted, address = await loop.sock_accept(server)
        peers.append(address)
        while data := await loop.sock_recv(accepted, 5):
            await loop.sock_sendall(accepted, data.upper())
        accepted.close()

    serving = asyncio.create_task(serve())
    await loop.sock_connect(client, server.getsockname())
    said: list[Any] = [client.getpeername() == server.getsockname(), client.gettimeout()]
    await loop.sock_sendall(client, b"hello world")
    client.shutdown(socket.SHUT_WR)
    answer = bytearray()
    buffer = bytearray(4)
    while count := await loop.sock_recv_into(client, buffer):
        answer += buffer[:count]
    await serving
    assert peers == [client.getsockname()]
    said += [bytes(answer), await loop.sock_recv(client, 10), client.family, client.type]
    client.close()
    server.close()
    return [*said, client.fileno()]


async def handing_over() -> list[Any]:
    """A connection that begins as a socket, as through a proxy, and goes on as streams."""
    loop = asyncio.get_running_loop()
    server, client = listening(), connecting()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HELLO\n")
        writer.write((await reader.readline()).upper())
        writer.close()

    async with await asyncio.start_server(serve, sock=server):
        await loop.sock_connect(client, server.getsockname())
        greeting = b""
        while len(greeting) < 4:
            greeting += await loop.sock_recv(client, 4 - len(greeting))
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(b"and more\n")
        rest = await reader.read()
        writer.close()
    return [greeting, rest]


async def accepting_for_a_protocol() -> list[Any]:
    """As anyio's listeners do."""
    loop = asyncio.get_running_loop()
    server = listening()
    reader, writer = await asyncio.open_connection(*server.getsockname())
    accepted, _ = await loop.sock_accept(server)
    made = asyncio.StreamReader()
    transport, _ = await loop.connect_accepted_socket(
        lambda: asyncio.StreamReaderProtocol(made), accepted
    )
    writer.write(b"question")
    writer.write_eof()
    question = await made.read()
    transport.close()
    rest = await reader.read()
    writer.close()
    server.close()
    return [question, rest]


async def failing() -> list[Any]:
    """What goes wrong."""
    loop = asyncio.get_running_loop()
    server, client = listening(), connecting()
    said = []
    with pytest.raises(OSError) as taken:  # noqa: PT011
        connecting().bind(server.getsockname())
    said.append(taken.value.errno)
    with pytest.raises(OSError) as unconnected:  # noqa: PT011
        client.getpeername()
    said.append(unconnected.value.errno)
    address = server.getsockname()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        await loop.sock_connect(client, address)
    client.close()
    return said


PROGRAMS = [talking, handing_over, accepting_for_a_protocol, failing]


@pytest.mark.parametrize("program", PROGRAMS)
def test_sockets_do_what_those_of_the_operating_system_do(program: Main) -> None:
    assert in_memory(program) == asyncio.run(program())  # type: ignore[arg-type]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("kind", [StockLoop, PortableLoop])
def test_so_they_do_in_any_order_and_byte_by_byte(program: Main, kind: Any) -> None:
    usual = in_memory(program)
    for seed in range(10):
        assert in_memory(program, seed=seed, kind=kind, most=1) == usual


def test_only_streams_made_in_a_step_are_in_memory() -> None:
    outside = socket.socket()

    async def main() -> list[bool]:
        kinds = [socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(type=2)]
        inside = [isinstance(each, MemorySocket) for each in kinds]
        for each in kinds:
            each.close()
        return [*inside, isinstance(outside, MemorySocket)]

    result, issues = simulate(main)
    outside.close()
    assert result == [True, True, False, False]
    assert [issue.source for issue in issues] == ["socket"]
    with socket.socket() as afterwards:
        assert type(afterwards) is socket.socket


def test_a_socket_of_the_operating_system_is_refused_in_one_line() -> None:
    outside = socket.socket()

    async def main() -> str:
        with pytest.raises(NotImplementedError) as caught:
            await asyncio.start_server(lambda reader, writer: None, sock=outside)
        return str(caught.value)

    said, issues = simulate(main)
    outside.close()
    assert "create_server(sock=)" in said
    assert "make it inside" in said
    assert "\n" not in said
    assert [issue.source for issue in issues] == ["loop.create_server(sock=)"]


def test_a_socket_that_would_block_is_real_and_reported() -> None:
    server = socket.create_server(("127.0.0.1", 0))

    async def main() -> None:
        with socket.socket() as client:
            client.connect(server.getsockname())

    _, issues = simulate(main)
    server.close()
    assert {issue.source for issue in issues} == {"socket"}


def test_a_handler_of_signals_is_taken_and_what_sends_them_is_reported() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def main() -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)
        signal.alarm(0)

    _, issues = simulate(main)
    assert signal.getsignal(signal.SIGTERM) is before
    assert [issue.source for issue in issues] == ["signal"]


def test_a_write_to_a_socket_whose_peer_is_gone_fails() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        server, client = listening(), connecting()
        await loop.sock_connect(client, server.getsockname())
        accepted, _ = await loop.sock_accept(server)
        accepted.close()
        try:
            for _ in range(5):
                await loop.sock_sendall(client, b"anybody?")
                await asyncio.sleep(1)
        except OSError as error:
            return error.errno or 0
        finally:
            client.close()
        return 0

    assert in_memory(main) in (errno.EPIPE, errno.ECONNRESET)


def test_what_a_target_does_with_sockets_is_repeated_from_its_schedule() -> None:
    class Raw:
        async def start(self) -> None:
            self.server = listening()
            self.serving = asyncio.create_task(self.serve())

        async def serve(self) -> None:
            loop = asyncio.get_running_loop()
            while True:
                accepted, _ = await loop.sock_accept(self.server)
                await loop.sock_sendall(accepted, (await loop.sock_recv(accepted, 100)).upper())
                accepted.close()

        @operation
        async def shout(self, user: str) -> str:
            loop = asyncio.get_running_loop()
            with connecting() as sock:
                await loop.sock_connect(sock, self.server.getsockname())
                await loop.sock_sendall(sock, user.encode())
                return (await loop.sock_recv(sock, 100)).decode()

    spec = spec_of(Raw)
    users = ("alice", "bob")
    scenario = Scenario(tuple(Operation(f"{user}.1", user, "shout") for user in users))
    with session():
        for seed in range(20):
            runs = [execute(spec, scenario, RandomWalk(seed), fidelity="stock") for _ in range(2)]
            assert runs[0] == runs[1]
            assert runs[0].uncontrolled == ()
            assert [runs[0].observations[user][0][2] for user in users] == ["ALICE", "BOB"]
