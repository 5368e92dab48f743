"""Noninterference: it fires where another user is reached, and stays silent on near misses."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, ClassVar

import pytest

import isomodel
from isomodel import Opaque, Ranked, Resource, Secret, io, observe, operation
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.exploring.tally import Outcome
from isomodel.search.judging.isolate import Repetitions
from isomodel.search.running.execute import session
from isomodel.targets.declare import spec_of
from isomodel.values.schedule import Fidelity


def hunted(target: type, executions: int = 400, **options: Any) -> Outcome:
    options.setdefault("oracles", "noninterference")
    with session():
        return Explorer(spec_of(target), seed=3, **options).hunt(Budget(executions))


class CurrentUser:
    """The classic: who the request is for is kept in one attribute, across an await."""

    def __init__(self) -> None:
        self.user = ""

    @operation
    async def greet(self, user: str) -> str:
        self.user = user
        await io("database")
        return f"hello {self.user}"


class LocalUser:
    @operation
    async def greet(self, user: str) -> str:
        await io("database")
        return f"hello {user}"


@pytest.mark.parametrize("fidelity", ["stock", "portable"])
def test_state_shared_across_an_await_is_interference(fidelity: Fidelity) -> None:
    outcome = hunted(CurrentUser, fidelities=(fidelity,))
    assert outcome.verdict.status == "violated"
    assert outcome.finding is not None
    evidence = outcome.finding.evidence
    assert evidence["with"]["value"] != evidence["alone"]["value"]
    assert outcome.finding.user in evidence["alone"]["value"]


@pytest.mark.parametrize("fidelity", ["stock", "portable"])
def test_state_kept_in_the_request_is_none(fidelity: Fidelity) -> None:
    assert hunted(LocalUser, fidelities=(fidelity,)).verdict.status == "ok"


class Clock:
    @operation
    async def wait(self, user: str) -> float:
        await asyncio.sleep(5)
        return asyncio.get_running_loop().time()


def test_time_that_passes_for_another_user_is_no_interference() -> None:
    assert hunted(Clock).verdict.status == "ok"


class Sequence:
    """Hands out numbers from one global sequence."""

    def __init__(self) -> None:
        self.numbers = itertools.count()

    @operation
    async def take(self, user: str) -> Any:
        await io()
        return self.shown(next(self.numbers))

    def shown(self, number: int) -> Any:
        return number


class RankedSequence(Sequence):
    def shown(self, number: int) -> Any:
        return Ranked(number)


class OpaqueSequence(Sequence):
    def shown(self, number: int) -> Any:
        return Opaque(str(number))


def test_a_global_sequence_number_tells_of_others() -> None:
    assert hunted(Sequence).verdict.status == "violated"


@pytest.mark.parametrize("target", [RankedSequence, OpaqueSequence])
def test_a_number_declared_ranked_or_opaque_does_not(target: type) -> None:
    assert hunted(target).verdict.status == "ok"


class Room:
    def __init__(self) -> None:
        self.lines: list[str] = []

    @operation
    async def say(self, user: str, text: Secret) -> None:
        await io()
        self.lines.append(text)

    @observe
    async def read(self, user: str) -> list[str]:
        return list(self.lines)


class DeclaredRoom(Room):
    together = (("alice", "bob", "carol"),)


def test_a_room_is_interference_unless_its_members_are_declared() -> None:
    assert hunted(Room).verdict.status == "violated"
    assert hunted(DeclaredRoom).verdict.status == "ok"


class Full(Exception):
    pass


class Pool:
    def __init__(self) -> None:
        self.free = 2

    async def acquire(self) -> int:
        await io("pool")
        if not self.free:
            raise Full("no connection is free")
        self.free -= 1
        return self.free

    def release(self) -> None:
        self.free += 1


class UndeclaredPool:
    def __init__(self) -> None:
        self.pool = Pool()

    @operation
    async def query(self, user: str) -> str:
        await self.pool.acquire()
        try:
            await io("query")
        finally:
            self.pool.release()
        return "rows"


class DeclaredPool(UndeclaredPool):
    def shared(self) -> list[Resource]:
        return [Resource("pool", self.pool, "acquire", Full, 2, "release")]


class LeakyPool(DeclaredPool):
    @operation
    async def query(self, user: str) -> str:
        await self.pool.acquire()
        await io("query", fails=ConnectionError)
        self.pool.release()  # not reached after a failure
        return "rows"


def test_a_refusal_by_a_full_shared_pool_is_interference_unless_declared() -> None:
    assert hunted(UndeclaredPool, users=3).verdict.status == "violated"
    assert hunted(DeclaredPool, users=3).verdict.status == "ok"


def test_a_refusal_by_a_pool_that_lost_a_connection_is_interference_though_declared() -> None:
    outcome = hunted(LeakyPool)
    assert outcome.verdict.status == "violated"
    assert outcome.finding is not None
    assert "which is over" in outcome.finding.message


class LostLock:
    """A cancelled holder never releases: the next user waits for ever."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    @operation
    async def edit(self, user: str) -> str:
        await self.lock.acquire()
        await io("edit")
        self.lock.release()
        return "edited"


class KeptLock(LostLock):
    @operation
    async def edit(self, user: str) -> str:
        async with self.lock:
            await io("edit")
        return "edited"


def test_waiting_for_ever_on_another_user_is_interference() -> None:
    outcome = hunted(LostLock)
    assert outcome.verdict.status == "violated"
    assert outcome.finding is not None
    assert outcome.finding.evidence["with"]["outcome"] == "hang"


def test_waiting_for_another_user_who_is_done_in_time_is_not() -> None:
    assert hunted(KeptLock).verdict.status == "ok"


class OwnRace:
    """A user's own two requests race for its own profile; others are never involved."""

    def __init__(self) -> None:
        self.profiles: dict[str, int] = {}

    @operation
    async def bump(self, user: str) -> int:
        before = self.profiles.get(user, 0)
        await io("load")
        self.profiles[user] = before + 1
        return self.profiles[user]


def test_a_race_within_one_user_is_not_blamed_on_another() -> None:
    assert hunted(OwnRace).verdict.status == "ok"


_executions = itertools.count()


class Remembers:
    """Keeps state in a module between executions: repeats of one schedule differ."""

    @operation
    async def visit(self, user: str) -> int:
        await io()
        return next(_executions)


def test_a_target_that_remembers_earlier_executions_is_unknown_and_told_why() -> None:
    outcome = hunted(Remembers, executions=20)
    assert outcome.verdict.status == "unknown"
    assert "state kept in a module" in outcome.verdict.reason


class Silent:
    @operation
    async def work(self, user: str) -> None:
        await io()


class Broken:
    @operation
    async def work(self, user: str) -> str:
        raise ValueError("no such table")

    @operation
    async def other(self, user: str) -> str:
        return "fine"


def test_a_target_that_observes_nothing_is_unknown() -> None:
    outcome = hunted(Silent, executions=30)
    assert outcome.verdict.status == "unknown"
    assert "observed anything" in outcome.verdict.reason


def test_an_operation_that_never_succeeds_is_unknown_and_named_with_its_error() -> None:
    outcome = hunted(Broken, executions=30)
    assert outcome.verdict.status == "unknown"
    assert "operation work never succeeded (ValueError: no such table)" in outcome.verdict.reason


class Background:
    """Work goes on after the operation has ended, and its result is seen at the end."""

    tasks: ClassVar[list[Any]] = []

    def __init__(self) -> None:
        self.done: dict[str, list[str]] = {}
        self.running: set[asyncio.Task[None]] = set()

    @operation
    async def submit(self, user: str, text: Secret) -> str:
        task = asyncio.create_task(self._work(user, text))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return "accepted"

    async def _work(self, user: str, text: str) -> None:
        await io("job")
        self.done.setdefault(user, []).append(text)

    @observe
    async def results(self, user: str) -> list[str]:
        return self.done.get(user, [])


def test_background_work_started_by_a_user_stays_that_users() -> None:
    assert hunted(Background).verdict.status == "ok"


class Tokens:
    """Random tokens and ids: each user's own, whatever the others draw."""

    @operation
    async def token(self, user: str) -> list[str]:
        import random
        import secrets
        import uuid

        await io()
        return [secrets.token_hex(4), str(uuid.uuid4()), str(random.random())]


def test_random_tokens_are_the_same_alone_and_with_others() -> None:
    assert hunted(Tokens).verdict.status == "ok"


class Worker:
    """One worker of the system serves everybody's requests from a queue."""

    async def start(self) -> None:
        self.queue: asyncio.Queue[tuple[str, asyncio.Future[str]]] = asyncio.Queue()
        self.worker = asyncio.create_task(self.work())

    async def work(self) -> None:
        while True:
            text, reply = await self.queue.get()
            await io("model")
            if not reply.done():
                reply.set_result(f"answer to {text}")

    @operation
    async def ask(self, user: str, text: Secret) -> str:
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await self.queue.put((text, reply))
        return await reply

    async def stop(self) -> None:
        self.worker.cancel()


class ForgetfulWorker(Worker):
    """Keeps the reply to send in an attribute, which the next request overwrites."""

    async def work(self) -> None:
        while True:
            text, self.reply = await self.queue.get()
            self.answering = asyncio.ensure_future(self.answer(text))

    async def answer(self, text: str) -> None:
        await io("model")
        if not self.reply.done():
            self.reply.set_result(f"answer to {text}")


def test_a_worker_that_serves_all_users_one_by_one_is_no_interference() -> None:
    assert hunted(Worker).verdict.status == "ok"


def test_a_worker_that_mixes_up_replies_is_interference() -> None:
    assert hunted(ForgetfulWorker).verdict.status == "violated"


class Cache:
    """The first to ask loads a public value for all; its cancellation must not harm the others."""

    def __init__(self) -> None:
        self.loading: asyncio.Task[str] | None = None

    async def load(self) -> str:
        await io("load")
        return "news"

    @operation
    async def news(self, user: str) -> str:
        if self.loading is None:
            self.loading = asyncio.create_task(self.load())
        return await asyncio.shield(self.loading)


class PoisonedCache(Cache):
    @operation
    async def news(self, user: str) -> str:
        if self.loading is None:
            self.loading = asyncio.create_task(self.load())
        return await self.loading


def test_a_shared_load_that_survives_a_cancellation_is_no_interference() -> None:
    assert hunted(Cache).verdict.status == "ok"


def test_a_shared_load_that_one_users_cancellation_kills_is_interference() -> None:
    assert hunted(PoisonedCache).verdict.status == "violated"


class Throttle:
    """At most one at a time, with a time limit that is never reached."""

    def __init__(self) -> None:
        self.slot = asyncio.Semaphore(1)

    @operation
    async def work(self, user: str, text: Secret) -> str:
        async with self.slot, asyncio.timeout(1e9):
            await io("one")
            await io("two")
        return text


def test_waiting_for_a_slot_is_no_interference() -> None:
    assert hunted(Throttle).verdict.status == "ok"


def test_io_outside_an_execution_only_waits() -> None:
    asyncio.run(_uses_io())


async def _uses_io() -> None:
    await isomodel.io("anything")


def test_repetitions_end_a_search_only_where_each_run_was_repeated() -> None:
    repetitions = Repetitions()
    for run in ("a", "b", "a", "a", "a"):
        repetitions.add(run)
    assert not repetitions.are(2), "b came once: something as rare may be left"
    repetitions.add("b")
    assert repetitions.are(2)
    assert not repetitions.are(5)
    repetitions.add("c")
    assert not repetitions.are(0)
