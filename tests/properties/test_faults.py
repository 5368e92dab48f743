"""Each kind of fault makes the bug show that it is there for, and leaves the sound code alone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest
from shrinking import shrunk

from isomodel import Secret, io, observe, operation
from isomodel.bridges.explain import explain
from isomodel.bridges.regression import source
from isomodel.bridges.wording import failed
from isomodel.engine.giving_up import GivenUp, Limit, Scope
from isomodel.engine.portable import PortableLoop
from isomodel.engine.stock import StockLoop
from isomodel.engine.tracking.loop import NotedTimer
from isomodel.engine.world import enter
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.search import cases
from isomodel.search.cases import make
from isomodel.search.exploring.explore import Explorer
from isomodel.search.exploring.generate import MORE_AFTER, Generator
from isomodel.search.judging.confirm import confirm
from isomodel.search.judging.isolate import alone_of
from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import execute, session
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.search.shrinking.simplest import ORDER, possible_faults
from isomodel.targets.declare import spec_of
from isomodel.values.case import dumps, loads
from isomodel.values.errors import BadInput
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import OF_NETWORK, Fault, FaultKind, Fidelity, Schedule
from isomodel.values.verdict import Finding

ONE = Scenario((Operation("alice.1", "alice", "use"),))
OF_ALL = tuple(kind for kind in ORDER if kind not in OF_NETWORK)
"""The kinds that need no network."""

FIDELITIES: tuple[Fidelity, ...] = ("stock", "portable")


class Held:
    """Counts what is held; whatever is left at the end was lost."""

    scopes = True

    def __init__(self) -> None:
        self.held: list[str] = []

    async def leave(self, user: str) -> None:
        pass

    def leftovers(self) -> list[str]:
        return [f"{what} is still held" for what in self.held]


class PutAfterReset(Held):
    """A pool whose ``put`` waits before it takes the connection back."""

    @operation
    async def use(self, user: str) -> str:
        self.held.append("connection")
        try:
            await io("query")
        finally:
            await self.put()
        return "used"

    async def put(self) -> None:
        await io("reset")
        self.held.remove("connection")


class PutAtOnce(PutAfterReset):
    """The same, which takes it back first."""

    async def put(self) -> None:
        self.held.remove("connection")
        await io("reset")


class PutShielded(PutAfterReset):
    """The same, whose clean-up is shielded from scopes, and from cancellations by a task."""

    async def put(self) -> None:
        with anyio.CancelScope(shield=True):
            await super().put()


class CountsOnOneError(Held):
    """Cleans up after its own time limit, and after nobody else's."""

    @operation
    async def use(self, user: str) -> str:
        self.held.append("lock")
        try:
            async with asyncio.timeout(5):
                await io("work")
        except TimeoutError:
            self.held.remove("lock")
            raise
        self.held.remove("lock")
        return "used"


class CleansUpAfterAll(Held):
    """The same with ``finally``."""

    @operation
    async def use(self, user: str) -> str:
        self.held.append("lock")
        try:
            async with asyncio.timeout(5):
                await io("work")
        finally:
            self.held.remove("lock")
        return "used"


class ForgetsOnError(Held):
    """Loses what it holds where its I/O fails."""

    @operation
    async def use(self, user: str) -> str:
        self.held.append("row")
        try:
            await io("write", fails=ConnectionError)
        except asyncio.CancelledError:
            self.held.remove("row")
            raise
        self.held.remove("row")
        return "used"


class RollsBackOnError(ForgetsOnError):
    """The same with a clean-up for every error."""

    @operation
    async def use(self, user: str) -> str:
        self.held.append("row")
        try:
            await io("write", fails=ConnectionError)
        finally:
            self.held.remove("row")
        return "used"


class LateReply(Held):
    """Has a time limit for its I/O, and loses what it holds when that passes."""

    @operation
    async def use(self, user: str) -> str:
        self.held.append("request")
        try:
            async with asyncio.timeout(5):
                await io("reply", fails=ConnectionError)
        except TimeoutError:
            return "too late"
        except asyncio.CancelledError:
            self.held.remove("request")
            raise
        self.held.remove("request")
        return "used"


class LateReplyTidied(LateReply):
    """The same, which cleans up then, too."""

    @operation
    async def use(self, user: str) -> str:
        try:
            return await super().use(user)
        finally:
            self.held.clear()


class Expiring(Held):
    """A session that ends after half an hour; who uses it later leaves something behind."""

    checks = False

    @operation
    async def use(self, user: str) -> str:
        live = [True]
        timer = asyncio.get_running_loop().call_later(1_800, live.pop)
        try:
            await io("query")
            if not live and not self.checks:
                self.held.append("a row of an expired session")
        finally:
            timer.cancel()
        return "used" if live else "expired"


class ExpiringChecked(Expiring):
    """The same, which looks."""

    checks = True


class Caller(Held):
    """Asks a server over the in-memory network."""

    async def start(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while line := await reader.readline():
                    writer.write(line.upper())
            writer.close()

        self.server = await asyncio.start_server(serve, "localhost", 7)

    async def ask(self) -> bytes:
        reader, writer = await asyncio.open_connection("localhost", 7)
        try:
            writer.write(b"hello\n")
            return await self.read(reader)
        finally:
            writer.close()

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        return await reader.readline()


class ForgetsOnLoss(Caller):
    """Loses what it holds where the connection is refused or lost."""

    @operation
    async def use(self, user: str) -> str:
        self.held.append("request")
        answer = await self.ask()
        self.held.remove("request")
        return answer.decode()


class TidiesOnLoss(Caller):
    """The same with a clean-up."""

    @operation
    async def use(self, user: str) -> str:
        self.held.append("request")
        try:
            return (await self.ask()).decode()
        finally:
            self.held.remove("request")


class ReadsOnce(ForgetsOnLoss):
    """Takes whatever one read brings for the whole answer."""

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        answer = await reader.read(100)
        if answer != b"HELLO\n":
            raise ValueError(f"half an answer: {answer!r}")
        return answer


class TakesNothingForAnAnswer(Caller):
    """Does not look whether there was one."""

    @operation
    async def use(self, user: str) -> str:
        self.held.append("request")
        if await self.ask():
            self.held.remove("request")
        return "asked"


class WaitsNotForEver(TidiesOnLoss):
    """Has a time limit, beyond what is slow over a network that works."""

    async def ask(self) -> bytes:
        async with asyncio.timeout(10_000):
            return await super().ask()


def found(target: type, kind: str, fidelity: Fidelity) -> list[tuple[Fault, Finding, Execution]]:
    """What each fault of this kind breaks in one call of ``use``; none breaks it without."""
    spec = spec_of(target)

    def run(*faults: Fault) -> Execution:
        return execute(spec, ONE, Default(), fidelity=fidelity, faults=faults)

    broken = []
    with session():
        judge = Judge(spec)
        calm = run()
        assert judge(calm, run).findings == ()
        tried = list(possible_faults(calm, frozenset((kind,))))
        assert tried
        for fault in tried:
            execution = run(fault)
            findings = judge(execution, run).findings
            broken += [(fault, finding, execution) for finding in findings]
    return broken


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize(
    ("kind", "planted", "near_miss"),
    [
        ("cancel", PutAfterReset, PutAtOnce),
        ("timeout", CountsOnOneError, CleansUpAfterAll),
        ("scope", PutAfterReset, PutShielded),
        ("fail", ForgetsOnError, RollsBackOnError),
        ("slow", LateReply, LateReplyTidied),
        ("jump", Expiring, ExpiringChecked),
        ("refuse", ForgetsOnLoss, TidiesOnLoss),
        ("reset", ForgetsOnLoss, TidiesOnLoss),
        ("split", ReadsOnce, ForgetsOnLoss),
        ("partition", TidiesOnLoss, WaitsNotForEver),
        ("stale", TakesNothingForAnAnswer, TidiesOnLoss),
    ],
)
def test_a_fault_shows_the_planted_bug_and_not_its_repair(
    kind: str, planted: type, near_miss: type, fidelity: Fidelity
) -> None:
    assert found(planted, kind, fidelity)
    assert found(near_miss, kind, fidelity) == []


def test_a_scope_cancels_a_clean_up_that_waits_where_one_cancellation_would_not() -> None:
    at_first_await = [fault for fault, _, _ in found(PutAfterReset, "scope", "stock")]
    assert Fault("scope", "alice.1", 1) in at_first_await
    assert Fault("cancel", "alice.1", 1) not in [
        fault for fault, _, _ in found(PutAfterReset, "cancel", "stock")
    ]


def test_who_gives_up_sees_that_its_time_limit_has_passed() -> None:
    spec = spec_of(CleansUpAfterAll)
    with session():
        runs = {
            kind: execute(
                spec, ONE, Default(), fidelity="stock", faults=(Fault(kind, "alice.1", 1),)
            )
            for kind in ("timeout", "scope", "cancel")
        }
    seen = {kind: run.observations["alice"][0] for kind, run in runs.items()}
    assert seen["timeout"] == ("alice.1", "info", {"error": "TimeoutError", "message": ""})
    assert seen["scope"] == seen["cancel"]
    assert seen["cancel"] == ("alice.1", "info", {"error": "CancelledError", "message": ""})


@pytest.mark.parametrize("loop", [StockLoop, PortableLoop])
@pytest.mark.parametrize("boundary", [Limit, Scope])
def test_what_a_caller_gives_up_leaves_no_cancellation_behind(
    loop: type, boundary: Callable[[], Any]
) -> None:
    async def main() -> tuple[str, int]:
        around = boundary()
        asyncio.get_running_loop().call_later(1, around.strike)
        try:
            await around.around(asyncio.sleep(5))
        except GivenUp as error:
            task = asyncio.current_task()
            assert task is not None
            await asyncio.sleep(0)
            return str(error), task.cancelling()
        return "not given up", -1

    assert loop(Default()).run(main()) == (
        "TimeoutError" if boundary is Limit else "CancelledError",
        0,
    )


def test_a_cancellation_from_outside_is_not_taken_for_the_callers_limit() -> None:
    async def main() -> str:
        limit = Limit()
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(1, limit.strike)
        asyncio.get_running_loop().call_later(1, task.cancel)
        try:
            await limit.around(asyncio.sleep(5))
        except asyncio.CancelledError:
            return "cancelled"
        return "given up"

    assert StockLoop(Default()).run(main()) == "cancelled"


def test_a_strike_that_comes_too_late_does_nothing() -> None:
    async def main() -> str:
        limit = Limit()
        result = await limit.around(asyncio.sleep(0, "done"))
        limit.strike()
        await asyncio.sleep(0)
        return str(result)

    assert StockLoop(Default()).run(main()) == "done"


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_a_jump_makes_every_timer_due_at_once_and_in_order(fidelity: Fidelity) -> None:
    class Clocks:
        @operation
        async def use(self, user: str) -> list[Any]:
            loop = asyncio.get_running_loop()
            rang: list[Any] = []
            for seconds in (1_000, 10, 100):
                loop.call_later(seconds, lambda s=seconds: rang.append((s, loop.time())))
            await asyncio.sleep(5_000)
            return rang

    spec = spec_of(Clocks)
    with session():
        faults = (Fault("jump", "alice.1", 1),)
        run = execute(spec, ONE, Default(), fidelity=fidelity, faults=faults)
    rang = run.observations["alice"][0][2]
    assert [seconds for seconds, _ in rang] == [10, 100, 1_000]
    assert len({time for _, time in rang}) == 1
    assert rang[0][1] > 5_000


def test_a_jump_is_possible_whatever_class_of_timer_a_loop_makes() -> None:
    async def waiting() -> None:
        await asyncio.sleep(10)

    class Noting(PortableLoop):
        timer_type = NotedTimer

    jump = Fault("jump", "waiting", 0)
    loop = Noting(Default(), faults=(jump,))
    loop.run(waiting())
    assert loop.fired == [jump]


def test_a_jump_is_impossible_while_only_a_latency_is_pending() -> None:
    async def reading() -> None:
        await io("read", latency=10)

    loop = PortableLoop(Default(), faults=(Fault("jump", "reading", 0),))
    before = enter(loop)
    try:
        loop.run(reading())
    finally:
        enter(before)
    assert not loop.fired
    assert not loop.met


def test_a_slow_io_outlasts_every_timer_that_is_set_when_it_begins() -> None:
    class Waits:
        @operation
        async def use(self, user: str) -> bool:
            passed = []
            asyncio.get_running_loop().call_later(100_000, passed.append, 1)
            await io("reply")
            return bool(passed)

    spec = spec_of(Waits)
    with session():
        plain = execute(spec, ONE, Default(), fidelity="stock")
        slow = (Fault("slow", "alice.1", 0),)
        late = execute(spec, ONE, Default(), fidelity="stock", faults=slow)
    assert plain.observations["alice"][0][2] is False
    assert late.observations["alice"][0][2] is True
    assert late.schedule.faults == slow


class Server:
    """A client with a time limit, over the in-memory network."""

    async def start(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line.upper())
            writer.close()

        self.server = await asyncio.start_server(serve, "localhost", 7)

    @operation
    async def use(self, user: str) -> str:
        reader, writer = await asyncio.open_connection("localhost", 7)
        try:
            async with asyncio.timeout(3):
                writer.write(b"hello\n")
                return (await reader.readline()).decode()
        finally:
            writer.close()


def test_what_comes_over_the_network_may_be_slow_too() -> None:
    spec = spec_of(Server)
    with session():
        ends = [
            execute(
                spec, ONE, Default(), fidelity="stock", faults=(Fault("slow", "alice.1", at),)
            ).observations["alice"][0][1:]
            for at in range(4)
        ]
    assert ("ok", "HELLO\n") in ends
    assert ("fail", {"error": "TimeoutError", "message": ""}) in ends


@pytest.mark.parametrize("kind", ORDER)
def test_what_a_fault_breaks_under_stock_it_breaks_on_the_ordinary_loop(kind: str) -> None:
    planted = {
        "cancel": PutAfterReset,
        "timeout": CountsOnOneError,
        "scope": PutAfterReset,
        "fail": ForgetsOnError,
        "slow": LateReply,
        "jump": Expiring,
        "refuse": ForgetsOnLoss,
        "reset": ForgetsOnLoss,
        "split": ReadsOnce,
        "partition": TidiesOnLoss,
        "stale": TakesNothingForAnAnswer,
    }[kind]
    spec = spec_of(planted)
    _, finding, execution = found(planted, kind, "stock")[0]
    case = make(spec.name, (), ONE, execution.schedule, finding, switches=0)
    with session():
        told = confirm(case, spec)
    assert told.confirmed, told.why
    assert ";" not in told.why


# Whose faults


class Pool:
    """One connection for all, which is left broken where a request is given up."""

    max_users = 2

    def __init__(self) -> None:
        self.unread: list[str] = []

    @operation
    async def use(self, user: str, text: Secret) -> str:
        await io("send")
        self.unread.append(text)
        await io("receive")
        return self.unread.pop(0)

    @observe
    async def nothing(self, user: str) -> str:
        return ""


@pytest.mark.parametrize("kind", ["cancel", "timeout"])
def test_a_users_run_alone_is_without_the_faults_of_others(kind: FaultKind) -> None:
    spec = spec_of(Pool)
    scenario = Scenario(
        (
            Operation("alice.1", "alice", "use", {"text": "a-secret"}),
            Operation("bob.1", "bob", "use", {"text": "b-secret"}),
        )
    )

    def run() -> Execution:
        faults = (Fault(kind, "alice.1", 2),)
        return execute(spec, scenario, Default(), fidelity="stock", faults=faults)

    with session():
        judged = Judge(spec, oracles="noninterference")(run(), run)
    (finding,) = judged.findings
    assert finding.user == "bob"
    assert finding.evidence["alone"]["value"] == "b-secret"


def test_a_user_keeps_its_own_faults_alone_and_is_no_finding() -> None:
    spec = msgspec.structs.replace(spec_of(LateReply), scopes=True)
    scenario = Scenario(
        (Operation("alice.1", "alice", "use"), Operation("bob.1", "bob", "use")),
    )
    with session():
        judge = Judge(spec, oracles="noninterference")
        for kind in OF_ALL:
            faults = (Fault(kind, "alice.1", 1 if kind in ("cancel", "timeout", "scope") else 0),)

            def run(faults: tuple[Fault, ...] = faults) -> Execution:
                return execute(spec, scenario, Default(), fidelity="stock", faults=faults)

            joint = run()
            assert joint.schedule.faults == faults, kind
            assert judge(joint, run).findings == (), kind
            assert alone_of(joint, ("bob",)).arrivals


class Shop:
    """Users who ask a server for what is theirs, each over what ``connection`` gives them."""

    max_users = 2

    async def start(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while line := await reader.readline():
                    writer.write(b"of " + line)
                writer.close()

        self.server = await asyncio.start_server(serve, "shop", 7)
        self.lines: dict[str, Any] = {}
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def line_of(self, user: str) -> str:
        return user

    @operation
    async def use(self, user: str) -> str:
        name = self.line_of(user)
        async with self.locks[name]:
            line = self.lines.get(name) or await asyncio.open_connection("shop", 7)
            self.lines[name] = line
            try:
                line[1].write(f"{user}\n".encode())
                answer = await line[0].readline()
                if not answer.endswith(b"\n"):
                    raise ConnectionResetError("closed in the middle")
                return str(answer.decode())
            except BaseException:
                self.lost(name)
                raise

    def lost(self, name: str) -> None:
        self.lines.pop(name)[1].close()

    @observe
    async def nothing(self, user: str) -> str:
        return ""


class OneLine(Shop):
    """One connection for all, which is given up by whoever finds it broken."""

    def line_of(self, user: str) -> str:
        return "all"


class ClosesAll(Shop):
    """One connection for each, and all are closed where one is lost."""

    def lost(self, name: str) -> None:
        for other in list(self.lines):
            self.lines.pop(other)[1].transport.abort()


NETWORK: tuple[FaultKind, ...] = ("refuse", "reset", "split", "slow", "cancel")


def interference(target: type, kinds: tuple[FaultKind, ...]) -> set[str]:
    """Under which faults of alice's, in any order of events, bob sees what he could not alone."""
    spec = spec_of(target)
    twice = [Operation(f"{user}.{n}", user, "use") for n in (1, 2) for user in ("alice", "bob")]
    scenario = Scenario(tuple(twice))
    found = set()
    with session():
        judge = Judge(spec, oracles="noninterference", witnesses=40)
        for kind, at, seed in itertools.product(kinds, range(6), range(6)):
            fault = Fault(kind, "alice.2" if at % 2 else "alice.1", at)

            def run(fault: Fault = fault, seed: int = seed) -> Execution:
                walk = RandomWalk(seed)
                return execute(spec, scenario, walk, fidelity="stock", faults=(fault,))

            for finding in judge(run(), run).findings:
                found.add(f"{kind} {finding.user}")
    return found


@pytest.mark.parametrize("target", [Shop, OneLine])
def test_what_the_network_does_to_one_user_is_nobodys_interference(target: type) -> None:
    assert interference(target, NETWORK) == set()


def test_where_there_is_no_network_what_would_reset_it_is_a_failing_io() -> None:
    spec = spec_of(ForgetsOnError)
    with session():
        for kind in ("refuse", "reset"):
            faults = (Fault(kind, "alice.1", 0),)
            run = execute(spec, ONE, Default(), fidelity="stock", faults=faults)
            assert run.schedule.faults == (Fault("fail", "alice.1", 0),)


def test_a_silent_connection_keeps_no_others_waiting_but_those_who_share_it() -> None:
    assert interference(Shop, ("partition",)) == set()
    assert interference(OneLine, ("partition",)) == {"partition bob"}


def test_what_a_system_makes_of_it_for_others_is() -> None:
    assert "reset bob" in interference(ClosesAll, ("reset",))


# How many, and which


def test_few_faults_come_first_and_never_more_than_allowed() -> None:
    generator = Generator(spec_of(PutAfterReset), faults=3)
    counts: dict[int, set[int]] = {}
    for index in range(4 * MORE_AFTER):
        drawn = generator.faults(ONE, random.Random(index), index)
        counts.setdefault(index // MORE_AFTER, set()).add(len(drawn))
    assert counts[0] == {0, 1}
    assert max(counts[1]) == 2
    assert max(counts[2]) == max(counts[3]) == 3


def test_no_faults_means_none() -> None:
    explorer = Explorer(spec_of(PutAfterReset), faults=0)
    assert all(explorer.draw(index).faults == () for index in range(300))


def test_every_kind_is_drawn_and_scopes_only_where_the_target_says_so() -> None:
    def kinds(target: type) -> set[str]:
        explorer = Explorer(spec_of(target))
        return {fault.kind for index in range(600) for fault in explorer.draw(index).faults}

    assert kinds(PutAfterReset) == set(ORDER) - {"partition", "stale"}
    assert kinds(Pool) == set(ORDER) - {"partition", "scope", "stale"}
    assert kinds(type("Partitioned", (Pool,), {"partitions": True})) >= {"partition"}


def test_scopes_without_anyio_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anyio", None)
    with pytest.raises(BadInput, match="scopes needs anyio"):
        spec_of(PutAfterReset)


# Shrinking, and words


def shrunk_with(target: type, fault: Fault) -> Any:
    spec = spec_of(target)
    with session():
        execution = execute(spec, ONE, Default(), fidelity="stock", faults=(fault,))
        findings = Judge(spec)(execution, lambda: execution).findings
        return Shrinker(spec).shrink(execution, findings[0])


def test_a_time_limit_shrinks_to_a_cancellation_where_that_fails_alike() -> None:
    case = shrunk_with(PutAfterReset, Fault("timeout", "alice.1", 2))
    assert [fault.kind for fault in case.schedule.faults] == ["cancel"]


def test_a_fault_that_nothing_plainer_stands_in_for_is_kept() -> None:
    class Reset(PutAfterReset):
        """Broken by scopes alone: a single cancellation is waited out."""

        async def put(self) -> None:
            for _ in range(2):
                try:
                    await io("reset")
                    break
                except asyncio.CancelledError:
                    continue
            else:
                return
            self.held.remove("connection")

    case = shrunk_with(Reset, Fault("scope", "alice.1", 1))
    assert [fault.kind for fault in case.schedule.faults] == ["scope"]
    assert case.size.faults == 1


@pytest.mark.parametrize("kind", ORDER)
def test_every_kind_is_told_kept_and_read_again(kind: FaultKind) -> None:
    fault = Fault(kind, "alice.1", 1)
    finding = Finding("cleanup", "it is still held", "alice", "use", "alice.1")
    case = make("a:B", (), ONE, Schedule("stock", (), (fault,)), finding, switches=0)
    assert loads(dumps(case), "it") == case
    assert failed(fault) in " ".join(explain(case).split())
    text = source(case)
    words: dict[str, Any] = {}
    exec(compile(text.replace("a:B", "a:B"), "story", "exec"), words)
    assert words["STORY"].schedule.faults == (fault,)


def test_cases_of_the_first_schema_are_read_as_ever() -> None:
    text = b"""{"schema": 1, "target": "a:B", "scenario": {"operations": []},
        "schedule": {"faults": [{"kind": "cancel", "task": "alice.1", "at": 2}]},
        "finding": {"property": "cleanup", "message": "m"},
        "size": {"users": 1, "operations": 1, "switches": 0, "faults": 1}}"""
    case = loads(text, "old")
    assert case.schedule.faults == (Fault("cancel", "alice.1", 2),)


@pytest.mark.parametrize("target", [PutAfterReset, CountsOnOneError, LateReply, Expiring])
def test_a_hunt_finds_and_shrinks_what_takes_one_fault(target: type) -> None:
    case = shrunk(target, fidelities=("stock",))
    with session():
        assert cases.rejudge(case, spec_of(target))[1] is not None
    assert case.size.operations == 1
    assert case.size.faults + case.size.switches == 1  # a switch that lets time pass may do, too
