"""Programs as people have them: one function that makes all of its state and asserts at the end."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator


class Counter:
    def __init__(self) -> None:
        self.value = 0

    def increment(self) -> None:
        self.value += 1


def threaded() -> None:
    """Two threads, one update lost."""
    counter = Counter()
    threads = [threading.Thread(target=counter.increment) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value == 2


async def _increment(counter: Counter) -> None:
    seen = counter.value
    await asyncio.sleep(0)
    counter.value = seen + 1


async def on_a_loop() -> None:
    """Two tasks, one update lost."""
    counter = Counter()
    await asyncio.gather(_increment(counter), _increment(counter))
    assert counter.value == 2


def with_its_own_loop() -> None:
    """A script's main function, which starts the loop itself."""
    asyncio.run(on_a_loop())


async def _lucky(limit: float) -> None:
    await asyncio.sleep(0)
    assert random.random() >= limit


async def seldom_unlucky() -> None:
    """Fails for one number in fifty, under any schedule."""
    await _lucky(0.02)


def seldom_unlucky_in_a_thread() -> None:
    thread = threading.Thread(target=lambda: time.sleep(0))
    thread.start()
    thread.join()
    assert random.random() >= 0.02


def seldom_the_same_id() -> None:
    assert not uuid.uuid4().hex.startswith("0")


def writes_after(seconds: float) -> Callable[[Counter], None]:
    def write(counter: Counter) -> None:
        time.sleep(seconds)
        counter.value = 100

    return write


def attempts_to_take_locks() -> list[object]:
    """What locks say to arguments, sensible ones or not."""
    told: list[object] = []
    for kind in (threading.Lock, threading.RLock):
        lock = kind()
        for arguments in ((False, 1.0), (True, -2), (False, -1), (True, "x"), (True, 1e20)):
            try:
                told.append(lock.acquire(*arguments))  # type: ignore[arg-type]
                lock.release()
            except Exception as error:
                told.append((type(error), str(error)))
    return told


class Safe(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def increment(self) -> None:
        with self.lock:
            super().increment()


def threaded_under_a_lock() -> None:
    """Two threads, and no update lost."""
    counter = Safe()
    threads = [threading.Thread(target=counter.increment) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value == 2


async def on_a_loop_in_turn() -> None:
    """The same of tasks, of which any may be cancelled."""
    counter, lock = Counter(), asyncio.Lock()

    async def increment() -> None:
        async with lock:
            await _increment(counter)

    async with asyncio.TaskGroup() as group:
        group.create_task(increment())
        group.create_task(increment())
    assert counter.value == 2


def leaves_a_thread() -> None:
    """A daemon that never ends is no failure of who started it."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()


async def waits_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def leaves_well() -> None:
    raise SystemExit


def leaves_badly() -> None:
    raise SystemExit("no such file")


def yields() -> Iterator[int]:
    yield 1
    raise AssertionError


async def yields_on_a_loop() -> AsyncIterator[int]:
    yield 1
    raise AssertionError


async def on_trio() -> None:
    import trio

    await trio.sleep(1)


on_trio.runtime = "trio"  # type: ignore[attr-defined]
