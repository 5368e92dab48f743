"""The kernels of benchmark sct, the threads they are made of, and the table they end in."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # `pytest` alone would not look there

from benchmarks import sct
from benchmarks.kernels import KERNELS
from benchmarks.kernels.counters import reorder, twostage, wronglock
from benchmarks.kernels.threads import SPAWN_COST, Threads
from isomodel.engine.protocol import Scheduler
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.profile import Profiling
from isomodel.schedulers.sticky import Sticky
from isomodel.search.program import run_program
from isomodel.search.running.execute import session

SMALL = [kernel for kernel in KERNELS if kernel not in sct.LARGE]


@pytest.fixture(autouse=True, scope="module")
def _in_a_session() -> Iterator[None]:
    with session():
        yield


def ended(kernel: Any, threads: Threads, scheduler: Scheduler) -> str:
    return run_program(partial(kernel, threads), scheduler, fidelity="portable")[0]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_is_right_where_nothing_is_interleaved(kernel: str) -> None:
    assert ended(KERNELS[kernel], Threads(), Default()) == "ok"


@pytest.mark.parametrize("kernel", SMALL)
def test_surw_finds_the_bug_of_a_kernel(kernel: str) -> None:
    """Means are 30 at most: 1,000 executions are missed once in 10**14."""
    assert math.isfinite(sct.find(sct.Campaigns(kernel, "SURW", (0,), 1_000))[0])


@pytest.mark.slow
@pytest.mark.parametrize("kernel", sct.LARGE)
def test_surw_finds_the_bug_among_a_hundred_threads(kernel: str) -> None:
    assert math.isfinite(sct.find(sct.Campaigns(kernel, "SURW", (0,)))[0])


@pytest.mark.parametrize(
    "kernel",
    [
        partial(reorder, setters=0, checkers=3),
        partial(twostage, writers=3, readers=0),
        partial(wronglock, right=3, wrong=0),
    ],
    ids=["nobody sets", "nobody reads", "all take the right lock"],
)
@pytest.mark.parametrize("policy", sct.POLICIES)
def test_without_its_bug_nothing_is_found(kernel: Any, policy: str, monkeypatch: Any) -> None:
    monkeypatch.setitem(KERNELS, "sound", kernel)
    assert sct.find(sct.Campaigns("sound", policy, (0,), 100)) == [math.inf]


def test_a_campaign_is_a_function_of_its_number() -> None:
    campaigns = sct.Campaigns("twostage", "SURW", (3, 4, 3))
    first, other, again = sct.find(campaigns)
    assert first == again
    assert [first, other, again] == sct.find(campaigns)


def test_what_a_thread_touches_next_is_declared_before() -> None:
    """The profile sees every access of every thread, in the right place."""

    async def main(threads: Threads) -> None:
        x, lock = threads.variable("x", 0), threads.mutex("lock")

        async def add() -> None:
            async with lock:
                await x.add(1)

        await threads.join(await threads.spawn(add), await threads.spawn(add))
        assert x.value == 2

    threads = Threads()
    profiling = Profiling(Sticky(3, stay=0.0), threads.touches)
    _, _, loop = run_program(partial(main, threads), profiling, fidelity="portable")
    profile = profiling.profile(loop.step_counts())
    assert profile.touched["x"] == {"main/add": 2, "main/add#2": 2}
    assert set(profile.touched["lock"]) == {"main/add", "main/add#2"}
    assert profile.written == ("lock", "x")
    assert profile.parents == {"main/add": "main", "main/add#2": "main"}
    assert profile.events["main"] >= 2 * SPAWN_COST


def test_what_a_lock_keeps_apart_is_not_seen_to_race() -> None:
    async def main(threads: Threads) -> None:
        free, kept = threads.variable("free", 0), threads.variable("kept", 0)
        lock = threads.mutex("lock")

        async def both() -> None:
            for _ in range(5):
                await free.add(1)
                async with lock:
                    await kept.add(1)

        await threads.join(*[await threads.spawn(both) for _ in range(3)])

    raced: set[str] = set()
    for seed in range(20):
        threads = Threads()
        profiling = Profiling(Sticky(seed, stay=0.0), threads.touches)
        assert ended(main, threads, profiling) == "ok"
        raced.update(profiling.profile().raced)
    assert raced == {"free", "lock"}


@pytest.mark.parametrize("seed", range(20))
def test_a_mutex_lets_one_thread_in(seed: int) -> None:
    async def main(threads: Threads) -> None:
        mutex = threads.mutex("m")
        inside: list[int] = []

        async def enter(number: int) -> None:
            async with mutex:
                inside.append(number)
                await threads.point()
                assert inside == [number]
                inside.clear()

        await threads.join(*[await threads.spawn(enter, number) for number in range(4)])

    assert ended(main, Threads(), Sticky(seed, stay=0.0)) == "ok"


def test_a_signal_that_nobody_waits_for_is_lost() -> None:
    async def main(threads: Threads) -> None:
        mutex = threads.mutex("m")
        condition = threads.condition("c", mutex)

        async def wait() -> None:
            async with mutex:
                await condition.wait()

        async def signal() -> None:
            async with mutex:
                await condition.signal()

        await threads.join(await threads.spawn(wait), await threads.spawn(signal))

    outcomes = {ended(main, Threads(), Sticky(seed, stay=0.5)) for seed in range(60)}
    assert outcomes == {"ok", "hang"}


def test_join_raises_what_a_thread_raised_though_others_wait_for_ever() -> None:
    async def main(threads: Threads) -> None:
        async def wait() -> None:
            await asyncio.get_running_loop().create_future()

        async def fail() -> None:
            raise AssertionError("the bug")

        await threads.join(await threads.spawn(wait), await threads.spawn(fail))

    assert ended(main, Threads(), Default()) == "raised"


def test_a_full_run_is_to_make_every_campaign_once() -> None:
    made = [
        (each.kernel, each.policy, number)
        for each in sct._campaigns(quick=False)
        for number in each.numbers
    ]
    assert len(set(made)) == len(made)
    small, others = len(SMALL), len(sct.POLICIES) - 1
    assert len(made) == 20 * (20 + small * others) + 3 * 3 * others
    assert {kernel for kernel, policy, _ in made if policy == "SURW"} == set(KERNELS)


def test_every_kernel_has_its_published_figures() -> None:
    assert set(sct.PUBLISHED) == set(KERNELS)
    assert all(len(figures) == len(sct.COLUMNS) for figures in sct.PUBLISHED.values())
    assert len(KERNELS) == 20
    assert set(sct.COLUMNS) < set(sct.POLICIES)
    assert set(sct.LARGE) < set(KERNELS)
    for kernel, policy in sct.FEWER:
        assert sct._published(kernel, policy) is not None


def rows(results: dict[tuple[str, str], list[float]], kernels: list[str], count: int) -> Any:
    return {row.what: row for row in sct._summary(kernels, results, count)}


def test_the_goals_are_met_only_by_all_campaigns_on_all_kernels() -> None:
    results = {("account", "SURW"): [1.0, 3.0], ("lazy01", "SURW"): [2.0, 2.0]}
    kernels = ["account", "lazy01"]
    found, mean = rows(results, kernels, 2).values()
    assert (found.value, found.met) == (2, True)
    assert (mean.value, mean.peer_value, mean.met) == (2, 3.46, True)

    results["lazy01", "SURW"] = [2.0, math.inf]
    found, mean = rows(results, kernels, 2).values()
    assert (found.value, found.met) == (1, False)
    assert mean.met is None

    results["lazy01", "SURW"] = [90.0, 90.0]
    assert [row.met for row in rows(results, kernels, 2).values()] == [True, False]


def test_goals_stay_open_where_campaigns_are_missing() -> None:
    results = {("account", "SURW"): [1.0, 3.0]}
    for row in rows(results, ["account", "lazy01"], 2).values():
        assert row.met is None
    assert [row.met for row in rows({}, ["account"], 2).values()] == [None, None]
