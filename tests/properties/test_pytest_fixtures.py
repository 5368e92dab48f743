"""The fixtures that explore async functions, beside pytest-asyncio."""

from __future__ import annotations

import pytest

TESTS = """
import asyncio
import anyio
import pytest
import trio


class Counter:
    def __init__(self, wait):
        self.value = 0
        self.wait = wait

    async def add(self):
        before = self.value
        await self.wait()
        self.value = before + 1


async def for_asyncio():
    counter = Counter(lambda: asyncio.sleep(0))
    async with asyncio.TaskGroup() as group:
        group.create_task(counter.add())
        group.create_task(counter.add())
    assert counter.value == 2


async def for_trio():
    counter = Counter(trio.lowlevel.checkpoint)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(counter.add)
        nursery.start_soon(counter.add)
    assert counter.value == 2


async def for_anyio():
    counter = Counter(lambda: anyio.sleep(0))
    lock = anyio.Lock()

    async def add():
        async with lock:
            await counter.add()

    async with anyio.create_task_group() as group:
        group.start_soon(add)
        group.start_soon(add)
    assert counter.value == 2


def test_asyncio(explore_asyncio):
    explore_asyncio(for_asyncio, executions=20, cancel=False)


def test_trio(explore_trio):
    explore_trio(for_trio, executions=20, cancel=False)


def test_anyio(explore_anyio):
    explore_anyio(for_anyio, executions=20, cancel=False, fidelities=["portable"])


@pytest.mark.asyncio
async def test_beside_pytest_asyncio():
    await asyncio.sleep(0)
"""


def test_the_fixtures_pass_and_fail_beside_pytest_asyncio(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*test_asyncio: for_asyncio fails on asyncio, stock:*",
            "*test_trio: for_trio fails on trio, stock:*",
            "*conflict over Counter.value*",
        ]
    )
