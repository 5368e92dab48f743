"""What bugs in released packages have taught: each in a small program of the same kind."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import sys
from typing import Any

import pytest

from isomodel import Resource, Secret, io, observe, operation
from isomodel.schedulers.aimed import Aimed
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.held import Event
from isomodel.schedulers.random import RandomWalk
from isomodel.search.exploring.conflicts import Touch
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.exploring.frontier import CROWD, Frontier
from isomodel.search.exploring.tally import Outcome
from isomodel.search.running.execute import execute, session
from isomodel.targets.declare import spec_of
from isomodel.targets.plain import plain
from isomodel.values.errors import BadInput
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fault, Fidelity

FIDELITIES: tuple[Fidelity, ...] = ("stock", "portable")


def hunted(target: type, executions: int = 400, **options: Any) -> Outcome:
    with session():
        return Explorer(spec_of(target), seed=3, **options).hunt(Budget(executions))


class Waited(Exception):
    """A request for a connection has waited too long."""


class PatientPool:
    """One connection; who finds none waits for at most 30 s, and is handed it by who returns it."""

    def __init__(self) -> None:
        self.free = [1]
        self.waiting: collections.deque[asyncio.Future[int]] = collections.deque()

    async def acquire(self) -> int:
        if self.free:
            return self.free.pop()
        waiter = asyncio.get_running_loop().create_future()
        self.waiting.append(waiter)
        try:
            async with asyncio.timeout(30):
                return await waiter
        except TimeoutError:
            self.give_up(waiter)
            raise Waited from None
        except asyncio.CancelledError:
            self.give_up(waiter)
            raise

    def give_up(self, waiter: asyncio.Future[int]) -> None:
        if waiter in self.waiting:
            self.waiting.remove(waiter)
        elif waiter.done() and not waiter.cancelled():
            self.release(waiter.result())

    def release(self, connection: int) -> None:
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self.free.append(connection)


class LosingPool(PatientPool):
    """The same, but what was handed to a request that is cancelled is lost."""

    def give_up(self, waiter: asyncio.Future[int]) -> None:
        if waiter in self.waiting and not waiter.cancelled():
            self.waiting.remove(waiter)

    def release(self, connection: int) -> None:
        if self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
        else:
            self.free.append(connection)


class RepairingPool(PatientPool):
    """A used connection is closed, and a worker of the pool makes another one."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: asyncio.Queue[int] = asyncio.Queue()

    async def work(self) -> None:
        while True:
            connection = await self.closed.get()
            await io("connect")
            super().release(connection)

    def release(self, connection: int) -> None:
        self.closed.put_nowait(connection)


class Service:
    pool_class = PatientPool

    async def start(self) -> None:
        self.pool = self.pool_class()
        if isinstance(self.pool, RepairingPool):
            self.worker = asyncio.create_task(self.pool.work())

    @operation
    async def query(self, user: str) -> str:
        connection = await self.pool.acquire()
        try:
            await io("query")
        finally:
            self.pool.release(connection)
        return "rows"

    def shared(self) -> list[Resource]:
        return [Resource("connections", self.pool, "acquire", Waited, 1, "release")]


class LosingService(Service):
    pool_class = LosingPool


class RepairingService(Service):
    pool_class = RepairingPool


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_a_connection_lost_with_a_cancelled_waiter_is_interference(fidelity: Fidelity) -> None:
    outcome = hunted(LosingService, 1_000, fidelities=(fidelity,))
    assert outcome.verdict.status == "violated"
    assert outcome.finding is not None
    assert outcome.finding.property == "noninterference"


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("target", [Service, RepairingService])
def test_one_that_is_handed_over_or_made_anew_is_none(target: type, fidelity: Fidelity) -> None:
    outcome = hunted(target, 600, fidelities=(fidelity,))
    assert outcome.verdict.status == "ok", outcome.verdict.reason


class LostWakeUp:
    """A lock whose waiter is never woken up, in a program that is never idle for ever."""

    wakes = False

    async def start(self) -> None:
        self.held = False
        self.waiting: list[asyncio.Future[None]] = []
        self.heart = asyncio.create_task(self.beat())

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(10)

    @operation
    async def edit(self, user: str) -> str:
        while self.held:
            waiter = asyncio.get_running_loop().create_future()
            self.waiting.append(waiter)
            await waiter
        self.held = True
        try:
            await io("edit")
        finally:
            self.held = False
            if self.wakes:
                for waiter in self.waiting:
                    if not waiter.done():
                        waiter.set_result(None)
                self.waiting.clear()
        return "edited"


class WakesUp(LostWakeUp):
    wakes = True


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_a_heartbeat_does_not_hide_a_lost_wake_up(fidelity: Fidelity) -> None:
    outcome = hunted(LostWakeUp, fidelities=(fidelity,))
    assert outcome.finding is not None
    assert outcome.finding.property == "liveness"
    assert hunted(WakesUp, fidelities=(fidelity,)).verdict.status == "ok"


class PollsForLong:
    """An operation that only a worker's hundredth look brings to its end."""

    async def start(self) -> None:
        self.asked: list[asyncio.Future[str]] = []
        self.worker = asyncio.create_task(self.work())

    async def work(self) -> None:
        while True:
            asked, self.asked = self.asked, []
            for _ in range(100):
                await asyncio.sleep(1)
            for future in asked:
                if not future.done():
                    future.set_result("report")

    @operation
    async def report(self, user: str) -> str:
        future = asyncio.get_running_loop().create_future()
        self.asked.append(future)
        return await future


def test_a_worker_that_takes_its_time_is_no_deadlock() -> None:
    assert hunted(PollsForLong, 50).verdict.status == "ok"


class Checkpoint:
    """A lock that yields right after it was taken, outside the block that gives it back."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    @operation
    async def edit(self, user: str) -> str:
        await self.lock.acquire()
        await asyncio.sleep(0)
        try:
            await io("edit")
        finally:
            self.lock.release()
        return "edited"


class NoCheckpoint(Checkpoint):
    @operation
    async def edit(self, user: str) -> str:
        async with self.lock:
            await io("edit")
        return "edited"


def test_a_cancellation_queued_behind_a_first_step_strikes_its_checkpoint() -> None:
    """On the stock loop nothing else can: a cancellation that comes later comes behind step 2."""
    outcome = hunted(Checkpoint, 1_000, fidelities=("stock",))
    assert outcome.finding is not None
    assert outcome.finding.property == "liveness"
    assert hunted(NoCheckpoint, 1_000, fidelities=("stock",)).verdict.status == "ok"


def test_the_default_schedule_queues_it_there() -> None:
    spec = spec_of(Checkpoint)
    scenario = Scenario((Operation("alice.1", "alice", "edit", {}),), 0)
    with session():
        ended = {
            fault.at: execute(spec, scenario, Default(), fidelity="stock", faults=(fault,)).history[
                -1
            ]
            for fault in (Fault("cancel", "alice.1", 0), Fault("cancel", "alice.1", 1))
        }
    assert {at: event.kind for at, event in ended.items()} == {0: "info", 1: "info"}


class Sleeps:
    @operation
    async def wait(self, user: str) -> str:
        await asyncio.sleep(1)
        return "slept"


def test_a_jump_of_the_clock_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a caller's scope needs anyio; where it is not installed, a jump must not ask for it."""
    monkeypatch.setitem(sys.modules, "anyio", None)
    scenario = Scenario((Operation("alice.1", "alice", "wait", {}),), 0)
    with session():
        execution = execute(
            spec_of(Sleeps),
            scenario,
            Default(),
            fidelity="stock",
            faults=(Fault("jump", "alice.1", 0),),
        )
    assert execution.observations["alice"][0][1:] == ("ok", "slept")


def test_an_address_in_an_error_is_not_observed() -> None:
    error = RuntimeError(f"failed: {object()!r}, at 0x2 of the map")
    assert plain(error)["message"] == "failed: <object object at 0x>, at 0x of the map"


def test_what_all_touch_all_the_time_is_not_paired_without_end() -> None:
    frontier = Frontier()
    touches = [
        Touch(Event(f"task{number % 2}", number), "busy", True) for number in range(20 * CROWD)
    ]
    frontier.learn((), touches)
    assert len(frontier._pairs) <= CROWD * CROWD


class Shared:
    """One connection, made by whoever needs it first; the others get it at once."""

    async def start(self) -> None:
        self.lock = asyncio.Lock()
        self.made = 0

    @operation
    async def resolve(self, user: str) -> int:
        if not self.made:
            async with self.lock:
                if not self.made:
                    await io("connect")
                    self.made += 1
        return self.made


def test_a_cancellation_that_came_too_late_is_none_alone_either() -> None:
    outcome = hunted(Shared, 600, fidelities=("stock",), oracles="noninterference")
    assert outcome.verdict.status == "ok", outcome.verdict.reason


class Hides:
    async def start(self) -> None:
        self.rows = 0

    @operation
    async def add(self, user: str) -> None:
        self.rows += 1

    @observe
    async def rows(self, user: str) -> int:
        return self.rows


def test_an_attribute_that_hides_a_method_is_named() -> None:
    with pytest.raises(BadInput, match=r"start sets self.rows, which hides the method rows"):
        hunted(Hides, 1)


class HandsOver:
    """One slot, which passes to whoever has waited longest.

    Who gives up while it waits is skipped; who gives up when it has the slot has to pass it on.
    """

    passes_on = False

    async def start(self) -> None:
        self.taken = False
        self.waiting: collections.deque[asyncio.Future[None]] = collections.deque()

    def give_back(self) -> None:
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.taken = False

    async def take(self) -> None:
        if not self.taken:
            self.taken = True
            return
        waiter = asyncio.get_running_loop().create_future()
        self.waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if self.passes_on and not waiter.cancelled():
                self.give_back()
            raise

    @operation
    async def use(self, user: str) -> str:
        await self.take()
        try:
            await io("use")
        finally:
            self.give_back()
        return "used"


class PassesOn(HandsOver):
    passes_on = True


def test_a_cancellation_is_aimed_at_the_tick_of_a_hand_over() -> None:
    """Three have to be there, and the second has to go in the very tick in which it is woken."""
    for seed in range(5):
        with session():
            outcome = Explorer(spec_of(HandsOver), seed=seed, fidelities=("stock",)).hunt(
                Budget(400)
            )
        assert outcome.finding is not None, seed
        assert outcome.finding.property == "liveness"


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_who_passes_the_wake_up_on_is_clean(fidelity: Fidelity) -> None:
    assert hunted(PassesOn, fidelities=(fidelity,)).verdict.status == "ok"


def test_a_withheld_cancellation_shows_where_it_would_fall_into_a_hand_over() -> None:
    """Struck there, bob is cancelled in the tick in which alice hands the slot to him."""
    scenario = Scenario((Operation("alice.1", "alice", "use"), Operation("bob.1", "bob", "use")))
    fault = Fault("cancel", "bob.1", 1)
    struck = 0
    for seed in range(12):
        before = Aimed(RandomWalk(seed))
        with session():
            ended = outcomes(PassesOn, scenario, before, fault)
            assert ended == {"alice.1": "ok", "bob.1": "ok"}, "it is withheld"
            for window in before.windows:
                if window.handed:
                    struck += 1
                    again = Aimed(RandomWalk(seed), window.question)
                    ended = outcomes(PassesOn, scenario, again, fault)
                    assert ended == {"alice.1": "ok", "bob.1": "info"}
    assert struck


def outcomes(target: type, scenario: Scenario, scheduler: Any, fault: Fault) -> dict[str, str]:
    spec = spec_of(target)
    execution = execute(spec, scenario, scheduler, fidelity="stock", faults=(fault,))
    return {event.label: event.kind for event in execution.history if event.kind != "invoke"}


who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


class Lines(asyncio.Protocol):
    """Serves each line in a task of its own; one that reads a long one on sets who asks for it.

    Reading is paused while a request is served, and resumed by the request itself.
    """

    fresh = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.pause_reading()
        loop = asyncio.get_running_loop()
        if self.fresh:
            contextvars.Context().run(loop.create_task, self.serve(data))
        else:
            self.task = loop.create_task(self.serve(data))

    async def serve(self, data: bytes) -> None:
        if data != b"?":
            who.set(data.decode())
        self.transport.resume_reading()
        await io("work")
        self.transport.write(who.get().encode())


class FreshLines(Lines):
    fresh = True


class Gateway:
    """All users' requests go over one connection."""

    protocol = Lines

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self.protocol, "api", 80)
        self.reader, self.writer = await asyncio.open_connection("api", 80)
        self.turn = asyncio.Lock()

    async def stop(self) -> None:
        self.writer.close()
        self.server.close()

    async def asked(self, text: str) -> str:
        async with self.turn:
            self.writer.write(text.encode())
            return (await self.reader.read(100)).decode()

    @operation
    async def login(self, user: str, name: Secret) -> str:
        return await self.asked(name)

    @operation
    async def whoami(self, user: str) -> str:
        return await self.asked("?")


class FreshGateway(Gateway):
    protocol = FreshLines


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_a_connection_reads_on_in_the_context_that_resumed_it(fidelity: Fidelity) -> None:
    """As in asyncio: the next request begins with what the one before had set."""
    outcome = hunted(Gateway, faults=0, fidelities=(fidelity,))
    assert outcome.finding is not None
    assert outcome.finding.property == "no leaked secret"


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_a_task_begun_in_an_empty_context_leaks_nothing_and_is_its_users(
    fidelity: Fidelity,
) -> None:
    outcome = hunted(FreshGateway, faults=0, fidelities=(fidelity,))
    assert outcome.verdict.status == "ok", outcome.verdict.reason
    scenario = Scenario((Operation("bob.1", "bob", "whoami"),))
    with session():
        execution = execute(
            spec_of(FreshGateway), scenario, Default(), fidelity="stock", record=True
        )
    assert "@bob.1/serve" in {step.task for step in execution.trace}
