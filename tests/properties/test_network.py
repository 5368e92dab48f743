"""The laws of the in-memory network, and that it behaves as the stock loop's sockets do."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomodel import operation
from isomodel.engine.loop import Blocked, ControlledLoop
from isomodel.engine.network import Conditions
from isomodel.engine.owner import OWNER, Owner, Part
from isomodel.engine.portable import PortableLoop
from isomodel.engine.stock import StockLoop
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.search.running.execute import execute, session
from isomodel.targets.declare import spec_of
from isomodel.values.errors import BadInput
from isomodel.values.scenario import Operation, Scenario

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

Kind = Callable[..., ControlledLoop]

STOCK: Kind = StockLoop
LOOPS: tuple[Kind, ...] = (StockLoop, PortableLoop)


def simulate(
    main: Coroutine[Any, Any, Any],
    *,
    seed: int | None = None,
    kind: Kind = STOCK,
    conditions: Conditions | None = None,
) -> Any:
    """Run ``main`` under a random schedule (None: the default one); nothing may go unreported."""
    loop = kind(Default() if seed is None else RandomWalk(seed), record=True)
    if conditions is not None:
        loop.network.conditions = conditions
    result = loop.run(main)
    assert loop.errors == []
    return result


def this_loop() -> ControlledLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ControlledLoop)
    return loop


def arrivals() -> list[str]:
    log = this_loop().log
    assert log is not None
    return [arrival.key for arrival in log]


@contextlib.contextmanager
def acting(owner: Owner) -> Any:
    token = OWNER.set(owner)
    try:
        yield
    finally:
        OWNER.reset(token)


class Diary(asyncio.Protocol):
    """Writes down what a transport tells it."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.pages: list[str] = []
        self.keep_open = keep_open
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.pages.append("made")

    def data_received(self, data: bytes) -> None:
        self.pages.append(data.decode())

    def eof_received(self) -> bool:
        self.pages.append("eof")
        return self.keep_open

    def connection_lost(self, error: Exception | None) -> None:
        self.pages.append("lost" if error is None else f"lost: {type(error).__name__}")
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        self.pages.append("pause")

    def resume_writing(self) -> None:
        self.pages.append("resume")


async def until(condition: Callable[[], bool]) -> None:
    """Let time pass; under a random schedule it may pass before anything else happens."""
    while not condition():
        await asyncio.sleep(0.001)


async def diaries(**options: Any) -> tuple[Diary, Diary, asyncio.AbstractServer]:
    """A connected client and server, each with a diary, on whatever loop is running."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    def accept() -> Diary:
        diary = Diary(**options)
        accepted.set_result(diary)
        return diary

    server = await loop.create_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, client = await loop.create_connection(lambda: Diary(**options), "127.0.0.1", port)
    return client, await accepted, server


# Nothing is lost, doubled or reordered


@given(
    messages=st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=20)), max_size=12),
    most=st.sampled_from([1, 3, 1024]),
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(LOOPS),
)
@settings(max_examples=150, deadline=None)
def test_what_is_written_arrives_exactly_once_and_in_order(
    messages: list[tuple[bool, bytes]], most: int, seed: int, kind: Kind
) -> None:
    async def main() -> None:
        got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            pouring = asyncio.create_task(pour(writer, True))
            got.set_result(await reader.read())
            await pouring

        async def pour(writer: asyncio.StreamWriter, replying: bool) -> None:
            for reply, data in messages:
                if reply == replying:
                    writer.write(data)
                    await asyncio.sleep(0)
            writer.write_eof()

        await asyncio.start_server(handle, "db", 5432)
        reader, writer = await asyncio.open_connection("db", 5432)
        await pour(writer, False)
        assert await reader.read() == b"".join(data for reply, data in messages if reply)
        assert await got == b"".join(data for reply, data in messages if not reply)

    simulate(main(), seed=seed, kind=kind, conditions=Conditions(most=most))


@given(seed=st.integers(0, 10_000), kind=st.sampled_from(LOOPS))
@settings(max_examples=50, deadline=None)
def test_many_clients_of_an_echo_server_each_hear_their_own_words(seed: int, kind: Kind) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def talk(name: str) -> list[bytes]:
        reader, writer = await asyncio.open_connection("localhost", 7)
        heard = []
        for number in range(3):
            writer.write(f"{name} {number}\n".encode())
            heard.append(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return heard

    async def main() -> None:
        async with await asyncio.start_server(echo, port=7):
            names = ["alice", "bob", "carol"]
            heard = await asyncio.gather(*map(talk, names))
        assert heard == [[f"{name} {n}\n".encode() for n in range(3)] for name in names]
        assert this_loop().network.connections == () or sys.version_info < (3, 12)

    simulate(main(), seed=seed, kind=kind)


def test_readexactly_and_readuntil_gather_bytes_that_arrive_one_at_a_time() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HEADERbody\r\nrest")
        writer.close()

    async def main() -> None:
        await asyncio.start_server(handle, port=80)
        reader, _ = await asyncio.open_connection("localhost", 80)
        assert await reader.readexactly(6) == b"HEADER"
        assert await reader.readuntil(b"\r\n") == b"body\r\n"
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await reader.readexactly(10)
        assert caught.value.partial == b"rest"
        assert sum("reply" in key for key in arrivals()) == 17

    simulate(main(), conditions=Conditions(most=1))


def test_writes_join_the_delivery_that_is_already_pending() -> None:
    async def main() -> None:
        client, server, _ = await diaries()
        for word in ("one ", "two ", "three"):
            client.transport.write(word.encode())
        await asyncio.sleep(1)
        assert server.pages == ["made", "one two three"]

    simulate(main())


def test_a_delivery_takes_the_latency_of_the_network() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        client, server, _ = await diaries(keep_open=True)
        assert loop.time() == 0.25
        client.transport.write(b"x")
        client.transport.write_eof()
        await asyncio.sleep(0.3)
        assert server.pages == ["made", "x"]
        await asyncio.sleep(0.3)
        assert server.pages == ["made", "x", "eof"]

    simulate(main(), conditions=Conditions(latency=0.25))


# The life of a connection is that of a stock one


async def closing() -> tuple[list[str], list[str]]:
    client, server, _ = await diaries()
    client.transport.write(b"bye")
    client.transport.close()
    client.transport.close()
    await client.lost
    await server.lost
    return client.pages, server.pages


async def half_closing() -> tuple[list[str], list[str]]:
    client, server, _ = await diaries(keep_open=True)
    client.transport.write(b"question")
    client.transport.write_eof()
    await until(lambda: "eof" in server.pages)
    server.transport.write(b"answer")
    server.transport.close()
    await server.lost
    await until(lambda: "eof" in client.pages)
    client.transport.close()
    await client.lost
    return client.pages, server.pages


async def aborting() -> tuple[list[str], list[str]]:
    client, server, _ = await diaries()
    client.transport.write(b"some")
    client.transport.abort()
    assert client.transport.is_closing()
    await client.lost
    await server.lost
    return client.pages, server.pages


async def closing_at_once_in_connection_made() -> tuple[list[str], list[str]]:
    loop = asyncio.get_running_loop()
    accepted: list[Diary] = []

    class Hasty(Diary):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(b"go away")
            transport.close()

    def accept() -> Diary:
        accepted.append(Hasty())
        return accepted[0]

    server = await loop.create_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, client = await loop.create_connection(Diary, "127.0.0.1", port)
    await client.lost
    return client.pages, accepted[0].pages


async def writing_to_a_closed_end() -> tuple[list[str], list[str]]:
    client, server, _ = await diaries(keep_open=True)
    client.transport.close()
    await until(lambda: "eof" in server.pages)
    server.transport.write(b"into the void")
    assert not server.transport.is_closing()
    await until(lambda: server.transport.write(b"again") or server.transport.is_closing())
    await server.lost
    server.transport.write(b"and again")
    return client.pages, server.pages


async def failing_in_data_received() -> tuple[list[str], list[str]]:
    client, server, _ = await diaries()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    server.data_received = lambda data: 1 / 0  # type: ignore[method-assign,assignment]
    client.transport.write(b"x")
    await server.lost
    await client.lost
    return client.pages, server.pages


async def pausing_reading() -> tuple[list[str], list[str]]:
    client, server, _ = await diaries()
    server.transport.pause_reading()
    assert not server.transport.is_reading()
    client.transport.write(b"early ")
    await asyncio.sleep(0.01)
    assert server.pages == ["made"]
    client.transport.write(b"late")
    client.transport.close()
    await asyncio.sleep(0.01)
    server.transport.resume_reading()
    await server.lost
    return client.pages, server.pages


async def pausing_reading_too_late_for_some() -> tuple[list[str], list[str]]:
    client, server, _ = await diaries()
    client.transport.write(b"under way")
    server.transport.pause_reading()
    server.transport.pause_reading()
    await asyncio.sleep(0.01)
    assert server.pages == ["made"]
    server.transport.resume_reading()
    server.transport.resume_reading()
    await until(lambda: len(server.pages) > 1)
    return client.pages, server.pages


LIVES = [
    closing,
    half_closing,
    aborting,
    closing_at_once_in_connection_made,
    writing_to_a_closed_end,
    failing_in_data_received,
    pausing_reading,
    pausing_reading_too_late_for_some,
]


@pytest.mark.parametrize("life", LIVES)
def test_protocols_hear_what_stock_asyncio_would_tell_them(life: Any) -> None:
    stock = asyncio.run(life())
    for kind in LOOPS:
        for seed in (None, *range(20)):
            loop = kind(Default() if seed is None else RandomWalk(seed))
            assert loop.run(life()) == stock


def test_an_error_in_data_received_is_reported() -> None:
    loop = STOCK(Default())
    loop.run(failing_in_data_received())
    assert loop.errors == [
        "Fatal error: protocol.data_received() call failed.: ZeroDivisionError: division by zero"
    ]


def test_nothing_is_received_before_connection_made() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        class Greeter(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                transport.write(b"welcome")

        await loop.create_server(Greeter, port=25)
        _, client = await loop.create_connection(Diary, "localhost", 25)
        await until(lambda: len(client.pages) > 1)
        assert client.pages == ["made", "welcome"]

    for seed in range(100):
        simulate(main(), seed=seed)


def test_a_buffered_protocol_gets_no_more_than_it_has_room_for() -> None:
    class Small(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.room = bytearray(4)
            self.pieces: list[bytes] = []

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.room

        def buffer_updated(self, nbytes: int) -> None:
            self.pieces.append(bytes(self.room[:nbytes]))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        small = Small()
        await loop.create_server(lambda: small, port=9)
        transport, _ = await loop.create_connection(asyncio.Protocol, "localhost", 9)
        transport.write(b"abcdefghij")
        await asyncio.sleep(1)
        assert small.pieces == [b"abcd", b"efgh", b"ij"]

    simulate(main())


def test_write_refuses_what_is_not_bytes_and_what_comes_after_the_end() -> None:
    async def main() -> None:
        client, _, _ = await diaries()
        with pytest.raises(TypeError):
            client.transport.write("text")
        client.transport.write_eof()
        with pytest.raises(RuntimeError):
            client.transport.write(b"late")

    simulate(main())


# Flow control


def test_a_writer_pauses_until_the_reader_has_caught_up() -> None:
    async def main() -> None:
        client, server, _ = await diaries(keep_open=True)
        server.transport.pause_reading()
        client.transport.set_write_buffer_limits(high=20, low=5)
        assert client.transport.get_write_buffer_limits() == (5, 20)
        client.transport.write(b"x" * 30)
        assert client.pages == ["made"]
        assert client.transport.get_write_buffer_size() == 20
        client.transport.write(b"y" * 10)
        assert client.pages == ["made", "pause"]
        server.transport.resume_reading()
        await until(lambda: client.transport.get_write_buffer_size() <= 6)
        assert client.pages == ["made", "pause"]
        await until(lambda: client.transport.get_write_buffer_size() == 0)
        assert client.pages == ["made", "pause", "resume"]
        await asyncio.sleep(1)
        assert "".join(server.pages[1:]) == "x" * 30 + "y" * 10

    simulate(main(), conditions=Conditions(most=8, capacity=10, latency=0.1))


def test_drain_waits_while_the_peer_does_not_read() -> None:
    async def main() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(5)
            assert len(await reader.read()) == 1_000_000

        await asyncio.start_server(handle, port=21)
        _, writer = await asyncio.open_connection("localhost", 21)
        writer.write(b"x" * 1_000_000)
        await writer.drain()
        assert asyncio.get_running_loop().time() == 5
        writer.close()
        await writer.wait_closed()

    simulate(main())


def test_close_sends_what_is_buffered_and_abort_loses_it() -> None:
    async def main() -> None:
        for leave, arrives in (("close", 100), ("abort", 10)):
            client, server, _ = await diaries()
            client.transport.write(b"x" * 100)
            getattr(client.transport, leave)()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert client.lost.done() == (leave == "abort")
            await server.lost
            assert len("".join(server.pages[1:-2])) == arrives
            assert client.lost.done()

    simulate(main(), conditions=Conditions(capacity=10))


# Connecting and serving


@pytest.mark.parametrize("seed", [None, *range(5)])
def test_a_connection_is_refused_where_nobody_listens(seed: int | None) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("localhost", 6379)
        with pytest.raises(FileNotFoundError):
            await asyncio.open_unix_connection("/run/db.sock")
        async with await asyncio.start_server(print, "localhost", 6379):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("elsewhere", 6379)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("localhost", 6379)

    simulate(main(), seed=seed)


@pytest.mark.parametrize("everywhere", [None, "", "0.0.0.0", "::"])
def test_who_listens_on_every_interface_is_reached_by_every_name(everywhere: str | None) -> None:
    async def main() -> None:
        reached: list[str] = []

        def serving(name: str) -> Callable[..., None]:
            return lambda reader, writer: reached.append(name)

        async with (
            await asyncio.start_server(serving("all"), everywhere, 8080),
            await asyncio.start_server(serving("db"), "db", 8080),
        ):
            for host in ("counter", "10.1.2.3", "localhost", "db"):
                _, writer = await asyncio.open_connection(host, 8080)
                writer.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("counter", 8081)
        assert reached == ["all", "all", "all", "db"]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("counter", 8080)
        async with await asyncio.start_server(print, "localhost", 8080):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("counter", 8080)

    simulate(main())


def test_a_refusal_is_an_arrival() -> None:
    async def main() -> None:
        attempt = asyncio.create_task(asyncio.open_connection("localhost", 1))
        await asyncio.sleep(0)
        assert not attempt.done()
        await asyncio.wait([attempt])
        assert isinstance(attempt.exception(), ConnectionRefusedError)
        assert [key.split(" ", 1)[1] for key in arrivals()] == ["connect 0"]

    simulate(main())


def test_a_server_that_closes_serves_its_open_connections_to_the_end() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(echo, port=7)
        reader, writer = await asyncio.open_connection("localhost", 7)
        server.close()
        assert not server.is_serving()
        assert server.sockets == ()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("localhost", 7)
        closed = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(1)
        assert closed.done() == (sys.version_info < (3, 12))
        writer.write(b"still here")
        writer.write_eof()
        assert await reader.read() == b"still here"
        writer.close()
        await closed
        await asyncio.start_server(echo, port=7)

    simulate(main())


def test_serve_forever_ends_by_cancellation_or_close() -> None:
    async def main() -> None:
        server = await asyncio.start_server(print, port=7, start_serving=False)
        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("localhost", 7)
        forever = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        assert server.is_serving()
        with pytest.raises(RuntimeError):
            await server.serve_forever()
        forever.cancel()
        await asyncio.wait([forever])
        assert forever.cancelled()
        assert not server.is_serving()
        with pytest.raises(RuntimeError):
            await server.serve_forever()

    simulate(main())


def test_an_address_serves_one_server_at_a_time() -> None:
    async def main() -> None:
        await asyncio.start_server(print, "0.0.0.0", 80)
        with pytest.raises(OSError, match="already in use"):
            await asyncio.start_server(print, "localhost", 80)
        await asyncio.start_server(print, "other", 80)

    simulate(main())


def test_ephemeral_ports_are_counted_and_both_ends_agree_on_names() -> None:
    async def main() -> None:
        client, server, listening = await diaries()
        assert listening.sockets[0].getsockname() == ("127.0.0.1", 49152)  # type: ignore[attr-defined]
        for here, there in ((client, server), (server, client)):
            sockname = here.transport.get_extra_info("sockname")
            assert sockname == there.transport.get_extra_info("peername")
            assert sockname == here.transport.get_extra_info("socket").getsockname()
        assert client.transport.get_extra_info("sockname") == ("127.0.0.1", 49153)

    simulate(main())


def test_the_socket_can_be_tuned_and_polled() -> None:
    async def main() -> None:
        client, server, _ = await diaries()
        sock = client.transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert sock.family == socket.AF_INET
        assert sock.fileno() > 2
        server.transport.close()
        await client.lost
        assert sock.fileno() == -1

    simulate(main())


def test_unix_sockets_connect_by_path() -> None:
    async def main() -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        await asyncio.start_unix_server(greet, "/run/db.sock")
        reader, writer = await asyncio.open_unix_connection("/run/db.sock")
        assert await reader.read() == b"hello"
        assert writer.get_extra_info("peername") == "/run/db.sock"

    simulate(main())


def test_every_name_has_one_address_and_reaches_who_listens_there() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ((family, kind, _, _, address),) = await loop.getaddrinfo("cache.internal", 6379)
        assert (family, kind) == (socket.AF_INET, socket.SOCK_STREAM)
        await asyncio.start_server(print, "cache.internal", 6379)
        await asyncio.open_connection(*address[:2])
        assert (await loop.getaddrinfo("localhost", "http"))[0][4] == ("127.0.0.1", 80)

    simulate(main())


@pytest.mark.parametrize("options", [{"ssl": True}, {"sock": object()}])
def test_what_is_not_simulated_is_refused_by_name(options: dict[str, Any]) -> None:
    (argument,) = options

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for method in (loop.create_connection, loop.create_server):
            with pytest.raises(NotImplementedError, match=f"{argument}=.* is not simulated"):
                await method(asyncio.Protocol, **options)

        assert {issue.source for issue in this_loop().uncontrolled} == {
            f"loop.{method}({argument}=)" for method in ("create_connection", "create_server")
        }

    simulate(main())


def test_a_cancelled_connect_never_reaches_the_server_or_is_closed_there() -> None:
    outcomes = set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        served: list[Diary] = []

        def accept() -> Diary:
            served.append(Diary())
            return served[-1]

        await loop.create_server(accept, port=7)
        attempt = asyncio.create_task(loop.create_connection(Diary, "localhost", 7))
        stop = loop.create_future()
        this_loop().arrive("stop", stop.set_result, None)
        await stop
        attempt.cancel()
        await asyncio.wait([attempt])
        before = len(arrivals())
        if attempt.cancelled():
            await until(lambda: this_loop().network.connections == ())
            outcomes.add("closed" if served else "never made")
            await asyncio.sleep(1)
            assert "main connect 0" not in arrivals()[before:]
            assert all(diary.pages == ["made", "eof", "lost"] for diary in served)
        else:
            outcomes.add("connected")

    for seed in range(200):
        simulate(main(), seed=seed)
    assert outcomes == {"never made", "closed", "connected"}


def test_a_server_never_runs_in_the_context_of_its_client() -> None:
    user = contextvars.ContextVar("user", default="nobody")
    seen: list[str] = []

    class Protocol(Diary):
        def connection_made(self, transport: Any) -> None:
            seen.append(user.get())
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            seen.append(user.get())
            user.set(data.decode())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        user.set("server")
        await loop.create_server(Protocol, port=7)
        for name in ("alice", "bob"):
            user.set(name)
            transport, _ = await loop.create_connection(Diary, "localhost", 7)
            transport.write(name.encode())
            await asyncio.sleep(1)

    simulate(main())
    assert seen == ["server"] * 4


# Faults


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("end", ["client", "server"])
def test_a_dropped_connection_is_lost_at_both_ends_with_all_that_was_under_way(
    seed: int, end: str
) -> None:
    async def main() -> None:
        client, server, _ = await diaries()
        client.transport.write(b"lost")
        dropped = client if end == "client" else server
        this_loop().network.drop(dropped.transport)
        this_loop().network.drop(dropped.transport)
        client.transport.write(b"lost, too")
        await client.lost
        await server.lost
        assert client.pages == server.pages == ["made", "lost: ConnectionResetError"]
        this_loop().network.drop(dropped.transport)
        assert this_loop().network.connections == ()

    simulate(main(), seed=seed)


def test_a_stream_on_a_dropped_connection_raises() -> None:
    async def main() -> None:
        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionResetError):
                await reader.read()

        await asyncio.start_server(wait, port=7)
        reader, writer = await asyncio.open_connection("localhost", 7)
        this_loop().network.drop(writer.transport)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        with pytest.raises(ConnectionResetError):
            await writer.drain()

    simulate(main())


def test_a_connection_dropped_before_it_is_made_is_first_made_then_lost() -> None:
    async def main() -> None:
        loop = this_loop()

        def drop() -> None:
            loop.network.drop(loop.network.connections[0])

        class Doomed(Diary):
            def __init__(self) -> None:
                super().__init__()
                loop.arrive("drop", drop)

        await loop.create_server(Doomed, port=7)
        _, client = await loop.create_connection(Diary, "localhost", 7)
        await client.lost
        assert client.pages == ["made", "lost: ConnectionResetError"]

    for kind in LOOPS:
        for seed in range(50):
            simulate(main(), seed=seed, kind=kind)


# Whose arrivals they are


def test_a_request_belongs_to_its_writer_and_the_reply_to_whom_it_answers() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    async def main() -> None:
        await asyncio.start_server(echo, port=7)
        for name in ("alice", "bob", "alice"):
            with acting(owners[name]):
                if name == "alice" and not pool:
                    pool.append(await asyncio.open_connection("localhost", 7))
                reader, writer = pool[0]
                writer.write(name.encode())
                await reader.read(100)
        with acting(owners["bob"]):
            writer.close()
        await asyncio.sleep(1)
        assert arrivals() == [
            "alice.1 connect 0",
            "alice.1 request 0",
            "alice.1 reply 0",
            "bob.1 request 0",
            "bob.1 reply 0",
            "alice.1 request 1",
            "alice.1 reply 1",
            "bob.1 request-end 0",
            "main timer 0",
        ]

    pool: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    owners = {name: Owner(f"{name}.1", name, Part(name)) for name in ("alice", "bob")}
    simulate(main())


def test_bytes_of_two_owners_never_share_an_arrival() -> None:
    async def main() -> None:
        client, server, _ = await diaries()
        for name in ("alice", "alice", "bob", "alice"):
            with acting(owners[name]):
                client.transport.write(name[0].encode())
        await asyncio.sleep(1)
        assert server.pages == ["made", "aa", "b", "a"]

    owners = {name: Owner(f"{name}.1", name, Part(name)) for name in ("alice", "bob")}
    simulate(main())


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_equal_schedules_give_equal_executions(seed: int) -> None:
    def once() -> list[str]:
        async def main() -> list[str]:
            client, server, _ = await diaries()
            for word in ("a", "b", "c"):
                client.transport.write(word.encode())
                server.transport.write(word.encode())
                await asyncio.sleep(0)
            client.transport.close()
            await server.lost
            return [*client.pages, *server.pages, *arrivals()]

        result: list[str] = simulate(main(), seed=seed)
        return result

    assert once() == once()


def test_a_program_that_waits_for_bytes_nobody_sends_is_blocked_not_hung() -> None:
    async def main() -> None:
        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        await asyncio.start_server(wait, port=7)
        reader, _ = await asyncio.open_connection("localhost", 7)
        await reader.read()

    with pytest.raises(Blocked):
        simulate(main())


# Servers that never end


class ServesForEver:
    async def start(self) -> None:
        server = await asyncio.start_server(lambda reader, writer: None, port=7)
        await server.serve_forever()

    @operation
    async def nothing(self, user: str) -> None:
        pass


class TicksForEver(ServesForEver):
    async def start(self) -> None:
        while True:
            await asyncio.sleep(0.1)


class WaitsForItsClients(ServesForEver):
    async def start(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        self.server = await asyncio.start_server(serve, port=7)
        self.client = await asyncio.open_connection("localhost", 7)

    async def stop(self) -> None:
        self.server.close()
        await self.server.wait_closed()
        await self.client[0].read()


@pytest.mark.parametrize("target", [ServesForEver, TicksForEver])
def test_a_start_that_waits_for_its_server_is_told_to_make_it_a_task(target: type) -> None:
    operations = (Operation("alice.1", "alice", "nothing"),)
    with session(), pytest.raises(BadInput, match=r"start never ends.*asyncio\.create_task") as it:
        execute(spec_of(target), Scenario(operations), Default(), fidelity="stock")
    assert "\n" not in str(it.value)


def test_a_server_that_never_closes_is_told_to_close_its_clients_first() -> None:
    operations = (Operation("alice.1", "alice", "nothing"),)
    with session():
        spec = spec_of(WaitsForItsClients)
        told = execute(spec, Scenario(operations), Default(), fidelity="stock")
    assert told.error.startswith("stop never ends: the server at ('127.0.0.1', 7) has 1 open")
    assert "close the clients before it" in told.error
    assert "\n" not in told.error
