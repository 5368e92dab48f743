"""Kernels around a few variables and locks (SCTBench, CS: concurrent-software-benchmarks)."""

from __future__ import annotations

from benchmarks.kernels.threads import Threads


async def account(threads: Threads) -> None:
    """A check that is wrong whenever it comes after both a deposit and a withdrawal."""
    mutex = threads.mutex("m")
    balance = threads.variable("balance", 1)
    deposited = threads.variable("deposited", False)
    withdrawn = threads.variable("withdrawn", False)

    async def deposit() -> None:
        async with mutex:
            await balance.add(2)
            await deposited.write(True)

    async def withdraw() -> None:
        async with mutex:
            await balance.add(-4)
            await withdrawn.write(True)

    async def check() -> None:
        async with mutex:
            if await deposited.read() and await withdrawn.read():
                assert await balance.read() == (1 - 2) - 4

    started = [await threads.spawn(body) for body in (check, deposit, withdraw)]
    await threads.join(*started)


async def lazy01(threads: Threads) -> None:
    """The first thread must not come last."""
    mutex = threads.mutex("m")
    data = threads.variable("data", 0)

    async def add(amount: int) -> None:
        async with mutex:
            await data.add(amount)

    async def check() -> None:
        async with mutex:
            assert await data.read() < 3

    started = [await threads.spawn(check)]
    started += [await threads.spawn(add, amount) for amount in (2, 1)]
    await threads.join(*started)


async def deadlock01(threads: Threads) -> None:
    """Two locks, taken in opposite orders."""
    left, right = threads.mutex("a"), threads.mutex("b")
    counter = threads.variable("counter", 1)

    async def up() -> None:
        async with left, right:
            await counter.add(1)

    async def down() -> None:
        async with right, left:
            await counter.add(-1)

    await threads.join(await threads.spawn(up), await threads.spawn(down))


async def token_ring(threads: Threads) -> None:
    """Three atomic copies round a ring, in an order in which they do not agree, and a check."""
    atomic = threads.mutex("atomic")
    values = [threads.variable(f"x{number}", value) for number, value in enumerate((1, 2, 1))]
    flags = [threads.variable(f"flag{number}", False) for number in range(3)]

    async def copy(to: int, plus: int) -> None:
        async with atomic:
            await values[to].write((await values[to - 1].read() + plus) % 4)
            await flags[to].write(True)

    async def check() -> None:
        async with atomic:
            for flag in flags:
                if not await flag.read():
                    return
            seen = [await value.read() for value in values]
            assert seen[0] == seen[1] == seen[2]

    started = [await threads.spawn(copy, *each) for each in ((0, 1), (1, 0), (2, 0))]
    await threads.join(*started, await threads.spawn(check))


async def bluetooth_driver(threads: Threads) -> None:
    """A driver is stopped between the check that it runs and the count of who uses it."""
    pending = threads.variable("pending", 1)
    atomic = threads.mutex("atomic")
    stopping = threads.variable("stopping", False)
    event = threads.variable("event", False)
    stopped = threads.variable("stopped", False)

    async def decrement() -> None:
        async with atomic:
            await pending.add(-1)
            left = await pending.read()
        if left == 0:
            await event.write(True)

    async def stop() -> None:
        await stopping.write(True)
        await decrement()
        if await event.read():
            await stopped.write(True)

    stopper = await threads.spawn(stop)
    if not await stopping.read():
        async with atomic:
            await pending.add(1)
        assert not await stopped.read()
    await decrement()
    await threads.join(stopper)


async def wronglock(threads: Threads, right: int = 1, wrong: int = 7) -> None:
    """Most threads guard the same data by another lock."""
    of_data, of_this = threads.mutex("data lock"), threads.mutex("this lock")
    data = threads.variable("data", 0)

    async def careful() -> None:
        async with of_data:
            seen = await data.read()
            await data.add(1)
            assert await data.read() == seen + 1

    async def careless() -> None:
        async with of_this:
            await data.add(1)

    started = [await threads.spawn(careful) for _ in range(right)]
    started += [await threads.spawn(careless) for _ in range(wrong)]
    await threads.join(*started)


async def twostage(threads: Threads, writers: int, readers: int) -> None:
    """Two related values, each under its own lock, are seen between their updates."""
    first_lock, second_lock = threads.mutex("lock 1"), threads.mutex("lock 2")
    first, second = threads.variable("data 1", 0), threads.variable("data 2", 0)

    async def write() -> None:
        async with first_lock:
            await first.write(1)
        async with second_lock:
            await second.write(await first.read() + 1)

    async def read() -> None:
        async with first_lock:
            if await first.read() == 0:
                return
            seen = await first.read()
        async with second_lock:
            related = await second.read()
        assert related == seen + 1

    started = [await threads.spawn(write) for _ in range(writers)]
    started += [await threads.spawn(read) for _ in range(readers)]
    await threads.join(*started)


async def reorder(threads: Threads, setters: int, checkers: int) -> None:
    """Two related values without a lock are seen between the first two updates."""
    a, b = threads.variable("a", 0), threads.variable("b", 0)

    async def change() -> None:
        await a.write(1)
        await b.write(-1)

    async def check() -> None:
        untouched = await a.read() == 0 and await b.read() == 0
        assert untouched or (await a.read() == 1 and await b.read() == -1)

    started = [await threads.spawn(change) for _ in range(setters)]
    started += [await threads.spawn(check) for _ in range(checkers)]
    await threads.join(*started)
