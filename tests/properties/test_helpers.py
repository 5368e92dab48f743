"""asyncio's own helper tasks and sets of futures: order that is asyncio's business, or nobody's."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

import isomodel
from isomodel.engine.stock import StockLoop
from isomodel.schedulers.fifo import Default
from isomodel.search.program import explore_program
from isomodel.values.schedule import Fidelity

FIDELITIES: tuple[Fidelity, ...] = ("stock", "portable")


async def cancelled_at_the_time_limit() -> None:
    """Somebody who waits for a condition is cancelled at the moment of its time limit."""
    condition = asyncio.Condition()

    async def waiter() -> None:
        async with condition:
            await asyncio.wait_for(condition.wait(), 1)

    waiting = asyncio.create_task(waiter())
    await asyncio.sleep(1)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError, TimeoutError):
        await waiting
    assert not condition.locked(), "the helper of wait_for came behind its maker"


async def own_helper_expected_to_be_first() -> None:
    """The program's own helper, of which it thinks that it has learnt of its cancellation."""
    told = []

    async def helper() -> None:
        try:
            await isomodel.io("work")
        finally:
            told.append("cancelled")

    helping = asyncio.create_task(helper())
    await isomodel.io("its start")
    await asyncio.sleep(0)
    helping.cancel()
    await asyncio.sleep(0)
    assert told or helping.done()


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_the_helper_of_wait_for_learns_of_its_cancellation_before_its_maker_of_a_second(
    fidelity: Fidelity,
) -> None:
    outcome = explore_program(
        cancelled_at_the_time_limit, executions=600, seed=0, fidelity=fidelity, cancel=False
    )
    assert outcome.verdict.status == "ok", outcome.verdict.reason


def test_a_helper_of_the_program_may_come_behind_its_maker_under_portable() -> None:
    outcome = explore_program(
        own_helper_expected_to_be_first, executions=600, seed=0, fidelity="portable", cancel=False
    )
    assert outcome.verdict.status == "violated"
    assert "assert" in outcome.verdict.reason.lower()


def test_a_set_of_futures_is_met_in_the_order_in_which_it_was_filled() -> None:
    orders = set()
    ballast: list[Any] = []  # moves the addresses of what is made next

    async def main() -> list[int]:
        loop: Any = asyncio.get_running_loop()
        futures: list[Any] = []
        for _ in range(5):
            futures += [loop.create_future(), loop.create_future()]
            ballast.append(bytearray(len(ballast) * 8))
        return [futures.index(future) for future in set(futures)]

    for _ in range(50):
        orders.add(tuple(StockLoop(Default()).run(main())))
    assert orders == {tuple(range(10))}
