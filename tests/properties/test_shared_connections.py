"""What users who share connections owe to each other by design is no alarm; a leak there is one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from isomodel import Secret, io, observe, operation
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.exploring.tally import Outcome
from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import execute, session
from isomodel.targets.declare import spec_of
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fault


def hunted(target: type, executions: int = 300, seed: int = 0, **options: Any) -> Outcome:
    with session():
        explorer = Explorer(
            spec_of(target), seed=seed, users=2, oracles="noninterference", **options
        )
        return explorer.hunt(Budget(executions))


class OpensOnce:
    """Whoever comes first opens the line, pushed on by a callback until that is done."""

    def __init__(self) -> None:
        self.line = ""
        self.spoke = ""

    @operation
    async def use(self, user: str) -> str:
        if not self.line:
            opening = asyncio.create_task(self.open())
            self.push(opening)
            await opening
        self.spoke = user
        await io("line")
        return self.answer(user)

    async def open(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.line = "open"

    def push(self, opening: asyncio.Task[None]) -> None:
        if not opening.done():
            asyncio.get_running_loop().call_soon(self.push, opening)

    def answer(self, user: str) -> str:
        return user


class OpensOnceForTheLast(OpensOnce):
    def answer(self, user: str) -> str:
        return self.spoke


def test_work_that_only_the_run_alone_has_to_do_ends_though_a_callback_spins() -> None:
    assert hunted(OpensOnce, fidelities=("portable",)).verdict.status == "ok"


def test_an_answer_to_whoever_spoke_last_is_found_though_a_callback_spins() -> None:
    assert hunted(OpensOnceForTheLast, fidelities=("portable",)).verdict.status == "violated"


class TwoLines:
    """Two connections to a table for all, and a log of each user's rows in their order."""

    def __init__(self) -> None:
        self.free = asyncio.Queue[str]()
        for line in ("first", "second"):
            self.free.put_nowait(line)
        self.rows: dict[str, list[str]] = {}

    @operation
    async def add(self, user: str, text: Secret) -> str:
        line = await self.free.get()
        try:
            await io(f"request on {line}")
            self.rows.setdefault(user, []).append(text)
            await io(f"reply on {line}")
        finally:
            await asyncio.shield(asyncio.create_task(self.release(line)))
        return "added"

    async def release(self, line: str) -> None:
        await asyncio.sleep(0)
        self.free.put_nowait(line)

    @observe
    async def added(self, user: str) -> list[str]:
        return self.rows.get(user, [])


class TwoLinesOfWhoeverAsks(TwoLines):
    """The row goes to who asked last, on whichever connection."""

    asks = ""

    @operation
    async def add(self, user: str, text: Secret) -> str:
        self.asks = user
        line = await self.free.get()
        await io(f"request on {line}")
        self.rows.setdefault(self.asks, []).append(text)
        await io(f"reply on {line}")
        self.free.put_nowait(line)
        return "added"


def test_waiting_for_a_connection_that_others_use_orders_ones_own_work_and_no_more() -> None:
    outcome = hunted(TwoLines, 600, fidelities=("portable",), operations=4)
    assert outcome.verdict.status == "ok"
    assert outcome.also_alone


def test_a_row_that_goes_to_whoever_asked_last_is_found_in_a_pool() -> None:
    assert hunted(TwoLinesOfWhoeverAsks).verdict.status == "violated"


class OneLine(TwoLines):
    """One connection, on which a request is written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.line = asyncio.Lock()

    @operation
    async def add(self, user: str, text: Secret) -> str:
        async with self.line:
            self.rows.setdefault(user, []).append(text)
            try:
                await io("reply")
            except asyncio.CancelledError:
                self.give_up()
                raise
        return "added"

    def give_up(self) -> None:
        """What is written is written."""


class OneLineForgetsAll(OneLine):
    def give_up(self) -> None:
        self.rows.clear()


def test_who_is_cancelled_in_the_queue_for_a_connection_has_done_nothing_and_no_harm() -> None:
    outcome = hunted(OneLine, 400)
    assert outcome.verdict.status == "ok"
    assert outcome.also_alone


def test_a_cancellation_that_loses_the_rows_of_others_is_found() -> None:
    assert hunted(OneLineForgetsAll, 400).verdict.status == "violated"


class Kept:
    """A server that closes what is idle for 5 s, and one pool of connections for all users."""

    max_users = 2

    async def start(self) -> None:
        self.clients: list[asyncio.StreamWriter] = []
        self.server = await asyncio.start_server(self.serve, "shop", 7)
        self.idle: list[Any] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer)
        with contextlib.suppress(OSError):
            while line := await self.next(reader):
                writer.write(b"accepted\n")
                await asyncio.sleep(4)
                writer.write(b"of " + line)
        self.close(writer)

    async def next(self, reader: asyncio.StreamReader) -> bytes:
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(reader.readline(), 5)
        return b""

    def close(self, writer: asyncio.StreamWriter) -> None:
        writer.close()

    @operation
    async def use(self, user: str) -> str:
        line = self.take(user) or await asyncio.open_connection("shop", 7)
        line[1].write(f"{user}\n".encode())
        accepted, answer = await line[0].readline(), await line[0].readline()
        if not answer:
            line[1].close()
            return "dropped" if accepted else "disconnected"  # the latter is idle for too long
        self.idle.append((user, line))
        return answer.decode()

    def take(self, user: str) -> Any:
        usable = [each for each in self.idle if self.may_use(user, each)]
        if usable:
            self.idle.remove(usable[-1])
        return usable[-1][1] if usable else None

    def may_use(self, user: str, kept: Any) -> bool:
        return not kept[1][0].at_eof()

    @operation
    async def rest(self, user: str) -> None:
        await asyncio.sleep(5)

    @observe
    async def nothing(self, user: str) -> str:
        return ""


class KeptForEach(Kept):
    """Nobody uses the connection of another; but where one has been idle, all are closed."""

    def may_use(self, user: str, kept: Any) -> bool:
        return user == kept[0] and super().may_use(user, kept)

    def close(self, writer: asyncio.StreamWriter) -> None:
        for client in self.clients:
            client.close()


class ClosedByWord(Kept):
    """A user may have the server close its connection, which goes back to the pool all the same."""

    @operation
    async def rest(self, user: str) -> None:
        if self.idle:
            self.idle[-1][1][1].write(b"\n")

    async def next(self, reader: asyncio.StreamReader) -> bytes:
        line = await reader.readline()
        return b"" if line == b"\n" else line


def test_a_pooled_connection_that_was_closed_while_idle_is_nobodys_interference() -> None:
    outcome = hunted(Kept, 600)
    assert outcome.verdict.status == "ok"
    assert outcome.also_alone


@pytest.mark.parametrize("target", [KeptForEach, ClosedByWord])
def test_a_connection_closed_because_of_another_user_is(target: type) -> None:
    assert hunted(target, 600).verdict.status == "violated"


def test_a_stale_connection_is_closed_in_order_instead_of_serving_the_request() -> None:
    scenario = Scenario(
        (Operation("alice.1", "alice", "use"), Operation("alice.2", "alice", "use"))
    )
    seen = {}
    with session():
        for at in range(3):
            fault = Fault("stale", "alice.2", at)
            done = execute(spec_of(Kept), scenario, Default(), fidelity="stock", faults=(fault,))
            seen[at] = [value for _, _, value in done.observations["alice"]][1]
    assert seen == {0: "disconnected", 1: "of alice\n", 2: "of alice\n"}


class Dialled:
    """One pool of connections for all users: who finds none free connects."""

    async def start(self) -> None:
        self.server = await asyncio.start_server(self.serve, "shop", 7)
        self.idle: list[Any] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(b"of " + line)

    @operation
    async def use(self, user: str) -> str:
        line = self.idle.pop() if self.idle else await self.connected()
        line[1].write(f"{user}\n".encode())
        answer: bytes = await line[0].readline()
        self.idle.append(line)
        return answer.decode()

    async def connected(self) -> Any:
        return await asyncio.open_connection("shop", 7)


class DialledOnce(Dialled):
    """Where somebody could not connect, nobody is served any more."""

    down = False

    @operation
    async def use(self, user: str) -> str:
        if self.down:
            raise ConnectionError("down")
        return await super().use(user)

    async def connected(self) -> Any:
        try:
            return await super().connected()
        except OSError:
            self.down = True
            raise


def judged_refused(target: type) -> tuple[int, int]:
    """Of 300 executions in which one user may not connect: violated ones, and excused ones."""
    spec, judge = spec_of(target), Judge(spec_of(target), oracles="noninterference")
    labels = ("alice.1", "alice.2", "bob.1", "bob.2", "bob.3")
    scenario = Scenario(tuple(Operation(each, each.partition(".")[0], "use") for each in labels))
    refused = (Fault("refuse", "alice.2", 0),)

    def walked(seed: int) -> Execution:
        walk = RandomWalk(seed)
        return execute(spec, scenario, walk, fidelity="stock", faults=refused)

    with session():
        verdicts = [judge(walked(seed), lambda seed=seed: walked(seed)) for seed in range(300)]
    violated = sum(bool(each.findings) for each in verdicts)
    return violated, sum(bool(each.also_alone) for each in verdicts)


def test_who_may_not_connect_while_others_use_the_connections_has_met_the_weather() -> None:
    violated, excused = judged_refused(Dialled)
    assert not violated
    assert excused


def test_a_refused_connect_of_one_user_that_shuts_out_others_is_found() -> None:
    violated, _ = judged_refused(DialledOnce)
    assert violated


class Counter:
    """One clerk for all, for whom nobody waits longer than 10 s; nothing of this is declared."""

    def __init__(self) -> None:
        self.clerk = asyncio.Lock()
        self.served: dict[str, list[str]] = {}

    @operation
    async def ask(self, user: str, text: Secret) -> str:
        await asyncio.wait_for(self.clerk.acquire(), 10)
        self.served.setdefault(user, []).append(text)
        await io("answer")
        self.let_go()
        return "answered"

    def let_go(self) -> None:
        self.clerk.release()

    @observe
    async def answers(self, user: str) -> list[str]:
        return self.served.get(user, [])


class CounterClosesUnseen(Counter):
    """Who is served third leaves without a word, and the clerk goes on waiting."""

    def let_go(self) -> None:
        if sum(map(len, self.served.values())) != 3:
            super().let_go()


def test_a_time_limit_on_waiting_for_others_who_are_at_work_is_the_clocks_business() -> None:
    outcome = hunted(Counter, 400, faults=0)
    assert outcome.verdict.status == "ok"
    assert outcome.also_alone


def test_a_time_limit_on_waiting_for_who_is_gone_is_found() -> None:
    outcome = hunted(CounterClosesUnseen, 400, faults=0)
    assert outcome.verdict.status == "violated"
