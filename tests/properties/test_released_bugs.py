"""What bugs in released packages have taught: each in a small program of the same kind."""

from __future__ import annotations

import asyncio
import collections
import sys
from typing import Any

import pytest

from isomodel import Resource, io, observe, operation
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.held import Event
from isomodel.search.conflicts import Touch
from isomodel.search.execute import execute, session
from isomodel.search.explore import Budget, Explorer, Outcome
from isomodel.search.frontier import CROWD, Frontier
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
