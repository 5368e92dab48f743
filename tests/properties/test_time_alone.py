"""Time goes on alone as it did with others: what it does is no interference, what others do is."""

from __future__ import annotations

import asyncio
import time

import pytest

from isomodel import Secret, io, observe, operation
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.running.execute import session
from isomodel.targets.declare import spec_of
from isomodel.values.schedule import Fidelity


def verdict(target: type, fidelity: Fidelity = "stock", executions: int = 600) -> str:
    with session():
        explorer = Explorer(spec_of(target), fidelities=(fidelity,), oracles="noninterference")
        return explorer.hunt(Budget(executions)).verdict.status


both = pytest.mark.parametrize("fidelity", ["stock", "portable"])


class Swept:
    """What is older than half a minute goes when a sweeper finds it, whose rounds are shorter."""

    async def start(self) -> None:
        self.rows: dict[str, tuple[str, float]] = {}
        self.sweeper = asyncio.create_task(self.sweep())

    async def stop(self) -> None:
        self.sweeper.cancel()

    async def sweep(self) -> None:
        while True:
            await asyncio.sleep(20)
            for user in [user for user in self.rows if self.is_over(user)]:
                await self.note(user)
                if self.is_over(user):
                    self.drop(user)

    def is_over(self, user: str) -> bool:
        return user in self.rows and self.rows[user][1] <= time.monotonic()

    async def note(self, user: str) -> None:
        await io("note")

    def drop(self, user: str) -> None:
        self.rows.pop(user, None)

    @operation
    async def put(self, user: str, text: Secret) -> None:
        self.rows[user] = (text, time.monotonic() + 30)

    @observe
    async def row(self, user: str) -> str | None:
        return self.rows.get(user, (None,))[0]


class SlowlySwept(Swept):
    """Each row takes a while, so that the next round is later the more users there are."""

    async def note(self, user: str) -> None:
        await io("note", latency=5)


class SweptInTime(Swept):
    """Each row takes a timer of the sweeper's, which are so numbered otherwise alone."""

    async def note(self, user: str) -> None:
        async with asyncio.timeout(3):
            await io("note")


class SweptTogether(Swept):
    """The first row that is over takes all others with it."""

    def drop(self, user: str) -> None:
        self.rows.clear()


class KeptTogether(Swept):
    """Whoever puts a row keeps the others' as well."""

    @operation
    async def put(self, user: str, text: Secret) -> None:
        self.rows[user] = (text, 0)
        for each in self.rows:
            self.rows[each] = (self.rows[each][0], time.monotonic() + 30)


@both
@pytest.mark.parametrize("target", [Swept, SlowlySwept, SweptInTime])
def test_what_a_sweeper_of_nobodys_takes_when_it_is_over_is_no_interference(
    target: type, fidelity: Fidelity
) -> None:
    assert verdict(target, fidelity, 250) == "ok"


@both
@pytest.mark.parametrize("target", [SweptTogether, KeptTogether])
def test_what_is_gone_or_still_there_because_of_another_user_is(
    target: type, fidelity: Fidelity
) -> None:
    assert verdict(target, fidelity) == "violated"


class Ticking:
    """Something of nobody's gives each user one unit in ten seconds."""

    async def start(self) -> None:
        self.units: dict[str, int] = {}
        self.giver = asyncio.create_task(self.give())

    async def stop(self) -> None:
        self.giver.cancel()

    async def give(self) -> None:
        while True:
            await asyncio.sleep(10)
            for user in self.units:
                self.units[user] += 1

    @operation
    async def begin(self, user: str) -> None:
        self.units[user] = 0

    @operation
    async def rest(self, user: str) -> None:
        await asyncio.sleep(25)

    @observe
    async def has(self, user: str) -> int | None:
        return self.units.get(user)


class TickingForOne(Ticking):
    """Who begins starts the clock again, which is everybody's."""

    @operation
    async def begin(self, user: str) -> None:
        self.giver.cancel()
        self.units[user] = 0
        self.giver = asyncio.create_task(self.give())


def test_ticks_count_alone_as_with_others_where_time_passes_and_where_the_clock_jumps() -> None:
    assert verdict(Ticking, executions=300) == "ok"


def test_ticks_that_another_user_starts_again_are_interference() -> None:
    assert verdict(TickingForOne) == "violated"


class LoggedOut:
    """A timer for each user takes its row away."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.timers: dict[str, asyncio.TimerHandle] = {}

    def timer_of(self, user: str) -> str:
        return user

    @operation
    async def put(self, user: str, text: Secret) -> None:
        self.rows[user] = text
        name = self.timer_of(user)
        if name in self.timers:
            self.timers[name].cancel()
        loop = asyncio.get_running_loop()
        self.timers[name] = loop.call_later(30, self.rows.pop, user, None)

    @operation
    async def rest(self, user: str) -> None:
        await asyncio.sleep(35)

    @observe
    async def row(self, user: str) -> str | None:
        return self.rows.get(user)


class LoggedOutByOne(LoggedOut):
    """There is one timer, so that whoever comes next keeps the row before alive."""

    def timer_of(self, user: str) -> str:
        return "the timer"


@both
def test_a_timer_that_ends_while_only_others_act_ends_alone_as_well(fidelity: Fidelity) -> None:
    assert verdict(LoggedOut, fidelity, 400) == "ok"


@both
def test_a_timer_that_another_user_cancels_is_interference(fidelity: Fidelity) -> None:
    assert verdict(LoggedOutByOne, fidelity) == "violated"


class Batched:
    """Keys asked for within a moment are looked up together: who comes last waits least."""

    async def start(self) -> None:
        self.rows: dict[str, str] = {}
        self.asked: list[tuple[str, asyncio.Future[str | None]]] = []
        self.flushing: asyncio.Task[None] | None = None

    @operation
    async def save(self, user: str, text: Secret) -> None:
        self.rows[user] = text

    @operation
    async def load(self, user: str) -> str | None:
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.asked.append((user, answer))
        if self.flushing is None:
            self.flushing = asyncio.create_task(self.flush())
        return await answer

    async def flush(self) -> None:
        await asyncio.sleep(0.01)
        asked, self.asked, self.flushing = self.asked, [], None
        await io("select")
        for place, (user, answer) in enumerate(asked):
            if not answer.done():
                answer.set_result(self.rows.get(self.of(asked, place, user)))

    def of(self, asked: list[tuple[str, asyncio.Future[str | None]]], place: int, user: str) -> str:
        return user


class BatchedInDisorder(Batched):
    """Everybody gets the answer for whoever asked first."""

    def of(self, asked: list[tuple[str, asyncio.Future[str | None]]], place: int, user: str) -> str:
        return asked[0][0]


@both
def test_who_is_answered_sooner_as_others_have_asked_before_is_not_interfered_with(
    fidelity: Fidelity,
) -> None:
    assert verdict(Batched, fidelity) == "ok"


@both
def test_who_is_answered_what_others_have_asked_is(fidelity: Fidelity) -> None:
    assert verdict(BatchedInDisorder, fidelity) == "violated"
