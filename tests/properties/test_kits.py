"""Kits fire on small parts that break one promise, and are silent on those that keep all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isomodel import kits
from isomodel.search.execute import session
from isomodel.search.explore import Budget, Explorer, Outcome
from isomodel.targets.declare import spec_of
from tests.properties.small_parts import (
    Barrier,
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

ENOUGH = 400
"""Executions within which each small defect shows."""

Kit = Callable[[str], Any]


def hunted(target: type, executions: int = ENOUGH) -> Outcome:
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
    (semaphore, "keeps a unit", "promise", ALL_FREE),
    (semaphore, "wakes the dead", "promise", ALL_FREE),
    (semaphore, "refuses ever after", "promise", "nobody is refused a unit that is free"),
    (lock, "barging", "promise", "who comes again and again does not keep others waiting"),
    (pool, "shares a unit", "limits", ""),
    (pool, "a failed connect keeps its slot", "promise", ALL_FREE),
    (pool, "gives back by and by", "promise", ALL_FREE),
    (entered_pool, "forgets after an error", "promise", ALL_FREE),
    (entered_pool, "keeps unread answers", "promise", "a unit answers what it is asked"),
    (queue, "loses room", "promise", "all room is free in the end"),
    (queue, "too much room", "limits", ""),
    (queue, "last in, first out", "promise", "items leave in"),
    (queue, "gives twice", "conservation", ""),
    (queue, "loses what it gives", "conservation", ""),
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
    found = hunted(kit(broken), 4 * ENOUGH)
    assert found.finding is not None
    assert found.finding.property == name, found.finding.message
    assert found.finding.message.startswith(promise)


@pytest.mark.parametrize("kit", sorted({case[0] for case in BROKEN}, key=lambda kit: kit.__name__))
def test_a_part_that_keeps_all_promises_is_left_alone(kit: Kit) -> None:
    outcome = hunted(kit(""))
    assert outcome.verdict.status == "ok", outcome.verdict.reason
