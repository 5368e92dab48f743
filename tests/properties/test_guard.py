"""A refusal of a shared resource is justified only while everything is rightly held."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from isomodel.targets.declare import Resource
from isomodel.targets.guard import Guards
from isomodel.values.errors import BadInput
from isomodel.values.execution import Refusal


class Empty(Exception):
    """No unit is free."""


class Pool:
    """Two units; refuses when it believes that none is free."""

    def __init__(self, size: int = 2) -> None:
        self.free = list(range(size))

    def take(self) -> int:
        if not self.free:
            raise Empty("none free")
        return self.free.pop()

    def give(self, unit: int) -> None:
        self.free.append(unit)


class PatientPool(Pool):
    """The same, whose ``take`` is a coroutine."""

    async def take(self) -> int:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().take()


class Host:
    """An execution in which the test says who acts, and who is over."""

    def __init__(self) -> None:
        self.label = "alice.1"
        self.over: set[str] = set()
        self.idle = 0
        self.begun: dict[str, int] = {}
        self.told = 0
        self.waited: list[Mapping[str, int]] = []

    def whose(self) -> tuple[str, str]:
        return self.label, self.label.partition(".")[0]

    def holds_rightly(self, label: str) -> bool:
        return label not in self.over

    def idles(self) -> int:
        return self.idle

    def running(self) -> str:
        return self.label

    def proceeds(self, task: str, label: str) -> bool:
        return False

    def under_repair(self) -> bool:
        return False

    def time(self) -> float:
        return float(self.idle)

    def counts(self) -> dict[str, int]:
        return dict(self.begun)

    def refused(self) -> None:
        self.told += 1

    async def refusal(self, spent: Mapping[str, int]) -> None:
        self.waited.append(spent)


def guarded(pool: Pool, host: Host, forced: Mapping[str, Refusal] | None = None) -> Guards:
    resource = Resource("pool", pool, "take", Empty, 2, "give")
    return Guards([resource], host, forced or {})


def refusal_of(pool: Pool, guards: Guards) -> Refusal:
    with pytest.raises(Empty):
        pool.take()
    return guards.refusals[-1]


def test_a_refusal_is_justified_while_every_unit_is_rightly_held() -> None:
    pool, host = Pool(), Host()
    guards = guarded(pool, host)
    pool.take()
    host.label = "bob.1"
    pool.take()
    host.label = "carol.1"

    refusal = refusal_of(pool, guards)

    assert refusal.justified
    assert (refusal.label, refusal.user, refusal.resource) == ("carol.1", "carol", "pool")
    assert refusal.why == "all 2 units were in use"


def test_a_unit_held_by_what_is_over_justifies_nothing() -> None:
    pool, host = Pool(), Host()
    guards = guarded(pool, host)
    pool.take()
    pool.take()
    host.over.add("alice.1")
    host.label = "bob.1"

    refusal = refusal_of(pool, guards)

    assert not refusal.justified
    assert refusal.why == "a unit is held by alice.1, alice.1, which is over"


def test_a_pool_that_lost_a_unit_refuses_without_reason() -> None:
    pool, host = Pool(), Host()
    guards = guarded(pool, host)
    pool.take()
    pool.free.clear()

    refusal = refusal_of(pool, guards)

    assert not refusal.justified
    assert refusal.why == "only 1 of 2 units were in use"


def test_a_unit_that_came_back_is_no_longer_held() -> None:
    pool, host = Pool(), Host()
    guards = guarded(pool, host)
    units = [pool.take(), pool.take()]
    pool.give(units[0])
    host.over.add("alice.1")
    pool.give(units[1])

    pool.take()
    pool.take()
    assert guards.refusals == []


def test_a_unit_freed_while_the_request_waits_is_told_from_one_that_lay_idle() -> None:
    async def outcome(idle: int) -> bool:
        pool, host = PatientPool(), Host()
        guards = guarded(pool, host)
        units = [await pool.take(), await pool.take()]
        waiting = asyncio.ensure_future(pool.take())
        await asyncio.sleep(0)
        pool.give(units.pop())
        pool.free.clear()  # gone at once, to somebody nobody knows
        host.idle += idle
        with pytest.raises(Empty):
            await waiting
        return guards.refusals[-1].justified

    assert asyncio.run(outcome(idle=0))
    assert not asyncio.run(outcome(idle=1))


def test_a_resource_that_says_what_is_in_use_is_believed_where_it_counts_more() -> None:
    pool, host = Pool(), Host()
    resource = Resource("pool", pool, "take", Empty, 2, "give", in_use=lambda: 2)
    guards = Guards([resource], host, {})
    pool.free.clear()

    assert refusal_of(pool, guards).justified


def test_only_a_justified_refusal_of_a_coroutine_is_told_to_the_execution() -> None:
    async def told(lost: bool) -> int:
        pool, host = PatientPool(), Host()
        guarded(pool, host)
        await pool.take()
        if lost:
            pool.free.clear()
        else:
            await pool.take()
        with pytest.raises(Empty):
            await pool.take()
        return host.told

    assert asyncio.run(told(lost=False)) == 1
    assert asyncio.run(told(lost=True)) == 0


def test_requests_are_numbered_within_their_operation() -> None:
    pool, host = Pool(0), Host()
    guards = guarded(pool, host)
    for label in ("alice.1", "bob.1", "alice.1"):
        host.label = label
        refusal_of(pool, guards)

    assert [each.key for each in guards.refusals] == [
        "alice.1 pool 0",
        "bob.1 pool 0",
        "alice.1 pool 1",
    ]


def forced(key: str) -> dict[str, Refusal]:
    return {key: Refusal(key, "pool", "alice.1", "alice", True, "", "none free", {"query": 1})}


def test_a_refusal_that_happened_jointly_happens_alone_without_asking() -> None:
    pool, host = Pool(), Host()
    guards = guarded(pool, host, forced("alice.1 pool 1"))

    first = pool.take()
    with pytest.raises(Empty, match="none free"):
        pool.take()
    third = pool.take()

    assert {first, third} == {0, 1}
    assert guards.refusals == []


def test_a_forced_refusal_of_a_coroutine_waits_for_its_place() -> None:
    async def waited() -> list[Mapping[str, int]]:
        pool, host = PatientPool(), Host()
        guarded(pool, host, forced("alice.1 pool 0"))
        with pytest.raises(Empty):
            await pool.take()
        assert await pool.take() == 1
        return host.waited

    assert asyncio.run(waited()) == [{"query": 1}]


def test_only_what_a_request_began_itself_is_kept_as_spent() -> None:
    class Asking(Pool):
        def take(self) -> int:
            host.begun["query"] += 1
            return super().take()

    host = Host()
    host.begun = {"query": 3, "timer": 1}
    pool = Asking(0)
    guards = guarded(pool, host)

    assert refusal_of(pool, guards).spent == {"query": 1}


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        (Resource("pool", Pool(), "grab", Empty, 2), "Pool has no method 'grab'"),
        (Resource("pool", (), "count", Empty, 2), "cannot wrap the methods of tuple (slots?)"),
        (Resource("pool", Pool(), "take", Empty, 2, "back"), "cannot wrap the methods of Pool"),
    ],
)
def test_a_resource_that_cannot_be_guarded_is_one_line(resource: Resource, message: str) -> None:
    with pytest.raises(BadInput) as raised:
        Guards([resource], Host(), {})

    assert message in str(raised.value)
    assert "'pool'" in str(raised.value)


def test_other_errors_of_the_resource_pass_and_are_no_refusal() -> None:
    class Broken(Pool):
        def take(self) -> Any:
            raise OSError("gone")

    pool, host = Broken(), Host()
    guards = guarded(pool, host)

    with pytest.raises(OSError, match="gone"):
        pool.take()
    assert guards.refusals == []
