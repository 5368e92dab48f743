"""Kits fire on small parts that break one promise, and are silent on those that keep all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kits import PROGRAM, load, targets
from isomodel import BadInput, io, kits
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.exploring.tally import Outcome
from isomodel.search.running.execute import session
from isomodel.targets.declare import spec_of
from isomodel.testing import machine
from tests.properties.small_parts import (
    Barrier,
    Bucket,
    Cache,
    ConnectFailed,
    Event,
    Group,
    Local,
    Pool,
    Queue,
    Refused,
    Retry,
    Semaphore,
    Window,
)

ENOUGH = 1_600
"""Executions within which each small defect shows; most show within a hundred."""

SOME = 60
"""Executions in which every operation of a kit has succeeded."""

Kit = Callable[[str], Any]


def hunted(target: type, executions: int = SOME) -> Outcome:
    with session():
        return Explorer(spec_of(target), seed=1).hunt(Budget(executions))


def semaphore(broken: str) -> Any:
    return kits.lock(lambda: Semaphore(2, broken), size=2, timeout="timeout", refuses=Refused)


def lock(broken: str) -> Any:
    return kits.lock(lambda: Semaphore(1, broken))


def pool(broken: str) -> Any:
    return kits.pool(lambda: Pool(2, broken), size=2, refuses=ConnectFailed)


def entered_pool(broken: str) -> Any:
    def ask(unit: Any, text: str) -> Any:
        return unit.ask(text)

    return kits.pool(
        lambda: Pool(2, broken), size=2, hold="connection", use=ask, refuses=ConnectFailed
    )


def queue(broken: str) -> Any:
    return kits.queue(lambda: Queue(2, broken), size=2, done="task_done", join="join")


def closing(broken: str) -> Any:
    return kits.queue(lambda: Queue(2, broken), size=2, close="close")


def cache(broken: str) -> Any:
    return kits.cache(
        lambda load: Cache(load, broken=broken),
        get="get",
        forget="forget",
        ttl=10.0,
        single_flight=True,
    )


def context(broken: str) -> Any:
    return kits.context(lambda: Local(broken), clear="clear")


def event(broken: str) -> Any:
    return kits.event(lambda: Event(broken), clear="clear")


def barrier(broken: str) -> Any:
    return kits.barrier(lambda: Barrier(2, broken), parties=2)


def window(broken: str) -> Any:
    return kits.rate(lambda: Window(2, 8.0, broken), rate=2, per=8.0, kind="window")


def retry(broken: str) -> Any:
    return kits.wrapper(lambda call: Retry(call, broken), attempts=2)


def group(broken: str) -> Any:
    return kits.group(lambda: lambda: Group(broken))


ALL_FREE = "every unit is free in the end"

BROKEN: list[tuple[Kit, str, str, str]] = [
    (semaphore, "checks, then acts", "limits", ""),
    (lock, "keeps a unit", "promise", ALL_FREE),
    (semaphore, "wakes the dead", "promise", ALL_FREE),
    (semaphore, "refuses ever after", "promise", "nobody is refused a unit that is free"),
    (lock, "barging", "promise", "who comes again and again does not keep others waiting"),
    (pool, "shares a unit", "limits", ""),
    (pool, "a failed connect keeps its slot", "promise", ALL_FREE),
    (pool, "gives back by and by", "promise", ALL_FREE),
    (entered_pool, "forgets after an error", "promise", ALL_FREE),
    (entered_pool, "swallows errors", "promise", "whoever raises an error"),
    (entered_pool, "keeps unread answers", "promise", "a unit answers what it is asked"),
    (queue, "loses room", "promise", "all room is free in the end"),
    (queue, "too much room", "limits", ""),
    (queue, "last in, first out", "promise", "items leave in"),
    (queue, "gives twice", "conservation", ""),
    (queue, "loses what it gives", "conservation or liveness", ""),
    (queue, "done when got", "promise", "whoever joins waits until all is done"),
    (closing, "closes on whoever waits", "promise", "whoever waits is let go when it is closed"),
    (cache, "one place for all", "promise", "whoever asks gets the value of the own key"),
    (cache, "keeps for ever", "promise", "no value outlives its time"),
    (cache, "keeps failures", "promise", ""),
    (cache, "loads at once", "limits", ""),
    (cache, "remembers the forgotten", "promise", "what was forgotten is loaded anew"),
    (cache, "one flight, one fate", "promise", "a cancellation strikes only whom it is meant for"),
    (cache, "keeps the cancelled", "promise", ""),
    (context, "global", "no leaked secret", ""),
    (context, "one dictionary", "no leaked secret", ""),
    (context, "children write upward", "promise", "what I set is what I see"),
    (context, "is not cleared", "promise", "what was cleared is unset"),
    (event, "wakes one", "promise", "everybody who waits goes on when it is set"),
    (event, "not for the third", "promise", "whoever waits goes on only once it is set"),
    (event, "stays set", "promise", "whoever waits goes on only once it is set"),
    (barrier, "does not wait for the last", "promise", "nobody goes on before all have come"),
    (barrier, "counts leavers", "promise", "nobody goes on before all have come"),
    (window, "fixed windows", "promise", "no more permits than promised"),
    (window, "charges who gives up", "promise", "after a quiet time all permits are there"),
    (retry, "answers who asked last", "no leaked secret", ""),
    (retry, "once too often", "limits", ""),
    (group, "leaves them alone", "limits", ""),
]


@pytest.mark.parametrize(
    ("kit", "broken", "name", "promise"), BROKEN, ids=lambda each: getattr(each, "__name__", None)
)
def test_a_part_that_is_broken_in_one_way_is_found_out(
    kit: Kit, broken: str, name: str, promise: str
) -> None:
    found = hunted(kit(broken), ENOUGH)
    assert found.finding is not None
    assert found.finding.property in name.split(" or "), found.finding.message
    assert found.finding.message.startswith(promise)


KITS = sorted({case[0] for case in BROKEN}, key=lambda kit: kit.__name__)


@pytest.mark.parametrize("kit", KITS)
def test_a_part_that_keeps_all_promises_is_left_alone(kit: Kit) -> None:
    outcome = hunted(kit(""))
    assert outcome.verdict.status == "ok", outcome.verdict.reason


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kit", KITS)
def test_and_it_is_left_alone_for_long(kit: Kit) -> None:
    outcome = hunted(kit(""), 4_000)
    assert outcome.verdict.status == "ok", outcome.verdict.reason


# Near misses: what looks like a broken promise and is none


def test_a_lock_that_makes_no_promise_of_fairness_may_let_others_in_again() -> None:
    unfair = kits.lock(lambda: Semaphore(1, "barging"), fair=False)
    assert hunted(unfair).verdict.status == "ok"


def test_a_bucket_may_let_more_through_than_a_window() -> None:
    assert hunted(kits.rate(lambda: Bucket(2, 8.0), rate=2, per=8.0)).verdict.status == "ok"
    strict = kits.rate(lambda: Bucket(2, 8.0), rate=2, per=8.0, kind="window")
    assert hunted(strict).verdict.status == "violated"


def test_a_cache_that_promises_no_single_flight_may_load_a_key_twice_at_once() -> None:
    twice = kits.cache(lambda load: Cache(load, broken="loads at once"), get="get")
    assert hunted(twice).verdict.status == "ok"


def test_a_queue_whose_order_is_nobody_s_business_may_turn_it_around() -> None:
    stack = kits.queue(lambda: Queue(2, "last in, first out"), size=2, order="none")
    assert hunted(stack).verdict.status == "ok"


def test_values_that_are_kept_as_long_as_promised_are_fresh() -> None:
    kept = kits.cache(lambda load: Cache(load, ttl=10.0), get="get", ttl=10.0)
    assert hunted(kept).verdict.status == "ok"


# How a kit is told what to test


def test_a_generator_is_entered_and_left_around_each_execution() -> None:
    said: list[str] = []

    @kits.lock(size=2)
    async def slots() -> AsyncIterator[Semaphore]:
        said.append("made")
        await io("open")
        yield Semaphore(2)
        said.append("dismissed")

    assert slots.__name__ == "slots"
    assert hunted(slots).verdict.status == "ok"
    assert said[:2] == ["made", "dismissed"]
    assert said.count("made") == said.count("dismissed")


def test_a_plain_generator_and_a_coroutine_will_do_as_well() -> None:
    @kits.lock
    def generated() -> Iterator[asyncio.Lock]:
        yield asyncio.Lock()

    @kits.lock
    async def awaited() -> asyncio.Lock:
        await io("open")
        return asyncio.Lock()

    assert hunted(generated).verdict.status == "ok"
    assert hunted(awaited).verdict.status == "ok"


def test_what_never_closes_is_told() -> None:
    @kits.lock
    async def stuck() -> AsyncIterator[asyncio.Lock]:
        yield asyncio.Lock()
        await asyncio.Event().wait()

    finding = hunted(stuck).finding
    assert finding is not None
    assert "it can be closed in the end: it was not dismissed within 600 s" in finding.message


def test_a_target_made_by_a_call_is_found_by_the_name_it_is_bound_to() -> None:
    assert spec_of(FOUND_BY_NAME).name == f"{__name__}:FOUND_BY_NAME"


def test_every_page_of_a_finding_has_a_program_and_what_it_prints() -> None:
    pages = sorted((Path(__file__).parents[2] / "docs" / "findings").glob("*.md"))
    assert pages
    for page in pages:
        program = PROGRAM.search(page.read_text(encoding="utf-8"))
        assert program is not None, page
        compile(program[1], str(page), "exec")
        assert "asyncio.run(" in program[1]
        assert program[2].strip(), page


def test_the_kits_of_the_standard_library_are_all_targets() -> None:
    module = load("stock")
    assert {"Lock", "Queue", "Event", "Barrier", "TaskGroup"} <= set(targets(module))
    for name in targets(module):
        assert spec_of(getattr(module, name)).name == f"stock:{name}"


FOUND_BY_NAME = kits.lock(lambda: asyncio.Lock())

TestBySearch = machine(FOUND_BY_NAME, schedules=5).TestCase
"""A kit in pytest."""


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: kits.pool(Pool, size=0), "size is 0"),
        (lambda: kits.pool(Pool, size=1, hold="a", acquire="b"), "two ways to have a unit"),
        (lambda: kits.pool(Pool, size=1, timeout="timeout"), "timeout needs refuses"),
        (lambda: kits.lock(3), "int is not callable"),
        (lambda: kits.lock(asyncio.Lock, patient=3), "no option 'patient'"),
        (lambda: kits.queue(Queue, size=-1), "size is -1"),
        (lambda: kits.queue(Queue, join="join"), "join needs done"),
        (lambda: kits.cache(Cache, ttl=0), "ttl is 0"),
        (lambda: kits.barrier(Barrier, parties=0), "parties is 0"),
        (lambda: kits.rate(Window, rate=0, per=1.0), "0 permits in 1.0 seconds"),
        (lambda: hunted(kits.lock(asyncio.Lock, acquire="get")), "Lock has no method 'get'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    wrong: Callable[[], Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        wrong()
    assert "\n" not in str(refused.value)
