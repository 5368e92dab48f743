"""Holds, observers, and the search for orders of conflicting events."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomodel.engine.control.control import Control
from isomodel.engine.world import io
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.held import Event, Held, Hold
from isomodel.search.exploring.conflicts import Conflict, Touch, by_event, conflicts
from isomodel.search.exploring.frontier import Frontier
from isomodel.search.exploring.observe import Observer
from isomodel.search.exploring.plans import POLICIES, Plan, ScheduleSearch
from isomodel.search.exploring.portfolio import Portfolio
from isomodel.search.program import explore_program, run_program
from isomodel.tracking.recorder import Access
from isomodel.tracking.tracker import Tracker
from isomodel.values.schedule import Fault, Fidelity

Log = list[tuple[str, Any]]

_control = Control()


@pytest.fixture(autouse=True, scope="module")
def controlled() -> Iterator[None]:
    with _control.installed():
        yield


# Holds


async def two(log: Log) -> None:
    async def worker(name: str) -> None:
        await io()
        log.append((name, "did"))

    async def one() -> None:
        await worker("one")

    async def other() -> None:
        await worker("other")

    await asyncio.gather(one(), other())


def held(*holds: Hold, program: Any = two) -> Log:
    log: Log = []
    run_program(lambda: program(log), Held(Default(), holds))
    return log


def test_a_hold_reverses_an_order() -> None:
    first, second = Event("two/one", 2), Event("two/other", 2)

    assert held() == [("other", "did"), ("one", "did")]  # whoever began last goes on
    assert held(Hold(second, first)) == [("one", "did"), ("other", "did")]


def test_holds_in_a_circle_are_dropped() -> None:
    first, second = Event("two/one", 2), Event("two/other", 2)

    assert sorted(held(Hold(first, second), Hold(second, first))) == sorted(held())


def test_a_hold_for_what_never_comes_is_dropped() -> None:
    assert sorted(held(Hold(Event("two/one", 2), Event("nobody", 9)))) == sorted(held())


async def timed(log: Log) -> None:
    async def sleeper() -> None:
        await asyncio.sleep(5)
        log.append(("sleeper", asyncio.get_running_loop().time()))

    async def worker() -> None:
        await io()
        log.append(("worker", asyncio.get_running_loop().time()))

    await asyncio.gather(worker(), sleeper())


def test_time_passes_for_a_hold_only_if_it_waits_for_the_timer() -> None:
    work = Event("timed/worker", 2)

    assert held(Hold(work, Event("nobody", 1)), program=timed)[0] == ("worker", 0.0)
    sleeper = Event("timed/sleeper", 2)
    assert held(Hold(work, sleeper), program=timed) == [("sleeper", 5.0), ("worker", 5.0)]


async def timed_and_more(log: Log) -> None:
    async def sleeper() -> None:
        await asyncio.sleep(5)
        await io()
        log.append(("sleeper", asyncio.get_running_loop().time()))

    async def worker() -> None:
        await io()
        log.append(("worker", asyncio.get_running_loop().time()))

    await asyncio.gather(worker(), sleeper())


def test_time_passes_for_a_hold_that_waits_for_what_comes_after_the_timer() -> None:
    work = Event("timed_and_more/worker", 2)
    last = Event("timed_and_more/sleeper", 3)

    assert held(Hold(work, last), program=timed_and_more) == [("sleeper", 5.0), ("worker", 5.0)]
    other = Event("timed_and_more/worker", 1)
    assert held(Hold(work, other), program=timed_and_more)[0] == ("worker", 0.0)


# Observers


def program(parts: Sequence[Sequence[str]], log: Log) -> Any:
    """Tasks that share a lock, a queue, an event and a dict, as these letters say."""

    async def main() -> None:
        lock, queue, event = asyncio.Lock(), asyncio.Queue[int](), asyncio.Event()
        shared = {"n": 0}
        loop = asyncio.get_running_loop()

        async def work(number: int, part: Sequence[str]) -> None:
            for what in part:
                log.append((f"{number} {what}", (shared["n"], loop.time())))
                if what == "io":
                    await io()
                elif what == "lock":
                    async with lock:
                        seen = shared["n"]
                        await io()
                        shared["n"] = seen + 1
                elif what == "put":
                    queue.put_nowait(number)
                    event.set()
                elif what == "get":
                    try:
                        async with asyncio.timeout(1):
                            log.append(("got", await queue.get()))
                    except TimeoutError:
                        log.append(("late", number))
                elif what == "thread":
                    shared["n"] += await loop.run_in_executor(None, len, "ab")
                elif what == "sleep":
                    await asyncio.sleep(0.5)
                elif what == "later":
                    loop.call_later(0.5, shared.__setitem__, "n", 7)

        tasks = [asyncio.create_task(work(n, part)) for n, part in enumerate(parts)]
        await asyncio.wait(tasks)

    return main


PARTS = st.lists(
    st.lists(st.sampled_from(["io", "lock", "put", "get", "thread", "sleep", "later"]), max_size=4),
    min_size=1,
    max_size=4,
)


@settings(max_examples=120, deadline=None)
@given(
    parts=PARTS,
    seed=st.integers(0, 2**20),
    policy=st.sampled_from(["walk", "pct 3", "sticky"]),
    fidelity=st.sampled_from(["stock", "portable"]),
    company=st.booleans(),
    cancel=st.none() | st.tuples(st.integers(0, 3), st.integers(1, 4)),
    profiled=st.booleans(),
)
def test_an_observed_execution_is_the_same_as_an_unobserved_one(
    parts: list[list[str]],
    seed: int,
    policy: str,
    fidelity: Fidelity,
    company: bool,
    cancel: tuple[int, int] | None,
    profiled: bool,
) -> None:
    plan = Plan(policy, seed, company=company)
    faults = [] if cancel is None else [Fault("cancel", f"main/?{cancel[0]}", cancel[1])]

    def run(observer: Observer | None) -> Any:
        log: Log = []
        options: Any = {"around": observer.watching} if observer else {}
        scheduler = observer.scheduler if observer else plan.scheduler()
        ended, why, loop = run_program(
            program(parts, log), scheduler, fidelity=fidelity, faults=faults, **options
        )
        return ended, why, log, loop.step_counts(), loop.now, loop.fired, list(loop.met)

    observer = Observer(Tracker([program]), plan.scheduler(), profiled=profiled)

    assert run(observer) == run(None)


def test_a_callback_belongs_to_the_event_that_led_to_it() -> None:
    a, b = Event("a", 1), Event("b", 2)
    accesses = [Access("a", 1, "x", True), Access("c", 5, "y", False)]

    assert by_event(accesses, [(0, a), (1, b)]) == [Touch(a, "x", True), Touch(b, "y", False)]
    assert by_event(accesses, [(2, a)]) == [Touch(a, "x", True)]


def test_what_a_timer_does_is_not_put_down_to_the_task_that_ran_last() -> None:
    async def main() -> None:
        shared = {"n": 0}

        def change() -> None:
            shared["n"] = 7

        async def sets() -> None:
            asyncio.get_running_loop().call_later(1, change)
            await asyncio.sleep(2)

        async def looks() -> None:
            await asyncio.sleep(0.5)
            await io()
            assert shared["n"] < 9
            await asyncio.sleep(2)

        await asyncio.gather(sets(), looks())

    observer = Observer(Tracker([main]), Default())
    ended, why, _ = run_program(main, observer.scheduler, around=observer.watching)
    touches = {
        (touch.event.task, touch.write) for touch in observer.touches if touch.label[1] == "n"
    }  # type: ignore[index]

    assert (ended, why) == ("ok", "")
    assert {(task.rpartition(".")[2], write) for task, write in touches} == {
        ("main/sets", True),
        ("main/looks", False),
    }


# Conflicts


def test_conflicts_are_writes_with_reads_of_another_task() -> None:
    a, b, c = Event("a", 1), Event("b", 1), Event("c", 1)
    touches = [Touch(a, "x", False), Touch(b, "x", True), Touch(b, "x", False), Touch(c, "x", True)]

    assert list(conflicts(touches)) == [Conflict(a, b), Conflict(b, c)]


def test_what_nobody_reads_or_writes_or_one_task_has_alone_conflicts_with_nothing() -> None:
    a, b = Event("a", 1), Event("b", 1)

    assert not conflicts([Touch(a, "x", True), Touch(b, "x", True)])
    assert not conflicts([Touch(a, "x", False), Touch(b, "x", False)])
    assert not conflicts([Touch(a, "x", False), Touch(Event("a", 2), "x", True)])
    assert not conflicts([Touch(a, "x", False), Touch(b, "y", True)])


# Frontier


def touches_of(order: Sequence[Event]) -> list[Touch]:
    return [Touch(event, "x", write) for event in order for write in (False, True)]


def order_of(holds: Sequence[Hold], events: Sequence[Event]) -> tuple[Event, ...]:
    """The one order that these holds allow, all events being of different tasks."""
    after = {hold.held: hold.until for hold in holds}
    first = next(event for event in events if event not in after)
    following = {until: held for held, until in after.items()}
    order = [first]
    while order[-1] in following:
        order.append(following[order[-1]])
    return tuple(order)


def test_no_order_comes_twice_while_there_are_others() -> None:
    events = [Event(name, 1) for name in "abcde"]
    frontier, source = Frontier(), random.Random(1)
    frontier.learn((), touches_of(events))
    seen = Counter([tuple(events)])
    for _ in range(119):
        order = order_of(frontier.order(source) or (), events)
        seen[order] += 1
        frontier.learn((), touches_of(order))

    assert set(seen) == set(permutations(events))
    assert set(seen.values()) == {1}


def test_a_conflict_seen_in_one_order_is_tried_in_the_other_until_it_was_seen() -> None:
    a, b = Event("a", 1), Event("b", 1)
    frontier, source = Frontier(), random.Random(1)
    assert frontier.reversal(source) is None
    assert frontier.order(source) is None
    assert frontier.learn((), touches_of([a, b]))
    assert not frontier.learn((), touches_of([a, b]))
    assert frontier.reversal(source) == (Hold(a, b),)
    frontier.learn((Hold(a, b),), touches_of([b, a]))

    assert frontier.reversal(source) is None


# Portfolio and search


def test_shares_follow_what_pays_and_nobody_goes_without() -> None:
    portfolio, source = Portfolio({"good": 0.5, "bad": 0.5}), random.Random(3)
    for _ in range(400):
        policy = portfolio.draw(source)
        portfolio.used(policy)
        portfolio.judged(policy, new=policy == "good")
    good, bad = portfolio.shares()

    assert good.executions > 5 * bad.executions
    assert good.paid == good.executions
    assert bad.executions > 0


@pytest.mark.parametrize("policy", [*POLICIES])
def test_equal_plans_make_equal_executions(policy: str) -> None:
    parts = [["io", "lock", "get"], ["lock", "put"], ["put", "io", "lock"]]

    def run() -> Any:
        log: Log = []
        ended = run_program(program(parts, log), Plan(policy, 5).scheduler())[:2]
        return ended, log

    assert run() == run()


def five() -> Any:
    """Five tasks that append to one list; one order of the 120 is the bug."""
    order: list[int] = []

    async def add(number: int) -> None:
        await io()
        order.append(len(order) * 10 + number)

    async def main() -> None:
        await asyncio.gather(*map(add, range(5)))
        assert [each % 10 for each in order] != [3, 1, 4, 0, 2]

    return main()


def found(seed: int) -> str:
    outcome = explore_program(five, executions=150, seed=seed)
    return repr((outcome.execution, outcome.policy, outcome.schedule, outcome.shares))


def test_a_search_is_the_same_in_any_process_and_with_any_hash_seed() -> None:
    script = f"import sys; sys.path[:0] = {sys.path!r}\nimport test_orders as t\nprint(t.found(4))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.path.dirname(__file__)},
        ).stdout.strip()
        for seed in ("0", "7")
    }

    assert texts == {found(4)} == {found(4)}


def test_the_search_has_learned_orders_from_what_was_touched() -> None:
    search = ScheduleSearch((five,), 0)
    for index in range(30):
        plan = search.plan(index)
        observer = search.observer(plan)
        assert observer is not None
        loop = run_program(five, observer.scheduler, around=observer.watching)[2]
        search.learn(plan, observer, loop.step_counts())

    assert {share.policy for share in search.shares() if share.paid} >= {"reversal", "walk"}
