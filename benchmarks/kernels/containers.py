"""Kernels around a data structure (SCTBench: CS, conc-bugs, inspect, CHESS)."""

from __future__ import annotations

from benchmarks.kernels.threads import Threads


async def stack(threads: Threads, size: int = 10) -> None:
    """Once anything was pushed, the other thread pops as often as it likes."""
    mutex = threads.mutex("m")
    top = threads.variable("top", 0)
    pushed = threads.variable("pushed", False)

    async def push() -> None:
        for _ in range(size):
            async with mutex:
                assert await top.read() < size
                await top.add(1)
                await pushed.write(True)

    async def pop() -> None:
        for _ in range(size):
            async with mutex:
                if await pushed.read():
                    assert await top.read() > 0
                    await top.add(-1)

    await threads.join(await threads.spawn(push), await threads.spawn(pop))


async def circular_buffer(threads: Threads, rounds: int = 7) -> None:
    """A receiver that takes its own round for the number of what was sent."""
    mutex = threads.mutex("m")
    send, receive = threads.variable("send", True), threads.variable("receive", False)
    first, following = threads.variable("first", 0), threads.variable("next", 0)
    places = [threads.variable(f"buffer {place}", 0) for place in range(10)]

    async def sender() -> None:
        for number in range(rounds):
            async with mutex:
                if await send.read():
                    place = await following.read()
                    await places[place].write(number)
                    await following.write((place + 1) % 10)
                    await send.write(False)
                    await receive.write(True)

    async def receiver() -> None:
        for number in range(rounds):
            async with mutex:
                if await receive.read():
                    place = await first.read()
                    await first.write(place + 1)
                    assert await places[place].read() == number
                    await receive.write(False)
                    await send.write(True)

    await threads.join(await threads.spawn(sender), await threads.spawn(receiver))


async def stringbuffer(threads: Threads) -> None:
    """Appending a buffer asks for its length, then for so many of its characters."""
    mutex, own = threads.mutex("source"), threads.mutex("target")
    count = threads.variable("count", 3)
    text = threads.variable("text", "abc")

    async def change() -> None:
        async with mutex:
            if await count.read() > 0:
                await text.write("")
                await count.add(-3)
        async with mutex:
            await text.write("abc")
            await count.add(3)

    changer = await threads.spawn(change)
    async with own:
        async with mutex:
            length = await count.read()
        async with mutex:
            assert length <= await count.read()
            await text.read()
    await threads.join(changer)


async def bounded_buffer(threads: Threads, users: int = 2, items: int = 4, size: int = 3) -> None:
    """A consumer lets go of the lock between finding an item and taking it."""
    mutex = threads.mutex("mutex")
    not_full = threads.condition("not full", mutex)
    not_empty = threads.condition("not empty", mutex)
    head, rear = threads.variable("head", 0), threads.variable("rear", 0)
    producing, consuming = threads.variable("p_wait", 0), threads.variable("c_wait", 0)

    async def is_full() -> bool:
        following = (await rear.read() + 1) % size
        return bool(following == await head.read())

    async def is_empty() -> bool:
        return bool(await head.read() == await rear.read())

    async def put() -> None:
        async with mutex:
            if await is_full():
                await producing.add(1)
                while await is_full():
                    await not_full.wait()
                await producing.add(-1)
            await rear.write((await rear.read() + 1) % size)
            if await consuming.read() > 0:
                await not_empty.signal()

    async def get() -> None:
        async with mutex:
            if await is_empty():
                await consuming.add(1)
                while await is_empty():
                    await not_empty.wait()
                await consuming.add(-1)
        async with mutex:
            assert not await is_empty()
            await head.write((await head.read() + 1) % size)
            if await producing.read() > 0:
                await not_full.signal()

    async def producer() -> None:
        for _ in range(items):
            await put()

    async def consumer() -> None:
        for _ in range(items):
            await get()

    started = [await threads.spawn(producer) for _ in range(users)]
    started += [await threads.spawn(consumer) for _ in range(users)]
    await threads.join(*started)


class _Queue:
    """A queue whose owner pushes and pops at the tail while others steal at the head.

    As in the original, the pop that found itself in a race takes an element although the check
    under the lock may have to give it back: one element can be handed out twice.
    """

    def __init__(self, threads: Threads, size: int) -> None:
        self._threads = threads
        self._mutex = threads.mutex("queue lock")
        self._head = threads.variable("head", 0)
        self._tail = threads.variable("tail", 0)
        self._size = size
        self._places = [threads.variable(f"place {place}", None) for place in range(size)]

    async def _take(self, place: int) -> int:
        taken: int = await self._places[place % self._size].read()
        return taken

    async def steal(self) -> int | None:
        async with self._mutex:
            head = await self._head.read()
            await self._head.write(head + 1)
            if head < await self._tail.read():
                return await self._take(head)
            await self._head.write(head)
        return None

    async def pop(self) -> int | None:
        tail = await self._tail.read() - 1
        await self._tail.write(tail)
        if await self._head.read() <= tail:
            return await self._take(tail)
        await self._tail.write(tail + 1)
        return await self._pop_alone()

    async def _pop_alone(self) -> int | None:
        async with self._mutex:
            tail = await self._tail.read() - 1
            await self._tail.write(tail)
            found = None
            if await self._head.read() <= tail:
                found = await self._take(tail)
            else:
                await self._tail.write(tail + 1)
            if await self._head.read() > tail:
                await self._head.write(0)
                await self._tail.write(0)
                found = None
        return found

    async def push(self, item: int) -> None:
        tail = await self._tail.read()
        if tail < await self._head.read() + self._size:
            await self._places[tail % self._size].write(item)
            await self._tail.write(tail + 1)
        else:
            await self._push_alone(item)

    async def _push_alone(self, item: int) -> None:
        async with self._mutex:
            head = await self._head.read()
            count = await self._tail.read() - head
            head %= self._size
            await self._head.write(head)
            await self._tail.write(head + count)
            if count >= self._size - 1:
                await self._grow(head, count)
            tail = await self._tail.read()
            await self._places[tail % self._size].write(item)
            await self._tail.write(tail + 1)

    async def _grow(self, head: int, count: int) -> None:
        kept = [await self._take(head + place) for place in range(count)]
        self._size *= 2
        self._places = [
            self._threads.variable(f"place {place}", kept[place] if place < count else None)
            for place in range(self._size)
        ]
        await self._head.write(0)
        await self._tail.write(count)


async def work_steal_queue(threads: Threads, items: int = 4, attempts: int = 2) -> None:
    """Every item must be handed out exactly once."""
    queue = _Queue(threads, 2)
    counts = [threads.variable(f"item {item}", 0) for item in range(items)]

    async def stealer() -> None:
        for _ in range(attempts):
            item = await queue.steal()
            if item is not None:
                await counts[item].add(1)

    async def pop() -> None:
        item = await queue.pop()
        if item is not None:
            await counts[item].add(1)

    thief = await threads.spawn(stealer)
    for item in range(0, items, 2):
        await queue.push(item)
        await queue.push(item + 1)
        await pop()
    for _ in range(items // 2):
        await pop()
    await threads.join(thief)
    assert all(count.value == 1 for count in counts)
