"""Thread-like programs on asyncio: every access to what is shared is a declared scheduling point.

A kernel runs under fidelity ``portable``, where any task may take the next step. What a step is
going to touch is written down just before it becomes possible, as tools for threads know it from
the pending operation.

Granularity: a lock, an unlock, a read, a write, a wait, a signal and the start of a thread are one
event each; ``x += 1`` is two. Spawning a thread costs its parent ``SPAWN_COST`` events that touch
nothing: with it, random, PCT and POS land near the published figures; without, all find the
bugs far too easily.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from isomodel.schedulers.events import Accesses

SPAWN_COST = 8
NOTHING: Accesses = frozenset()

Body = Callable[..., Coroutine[Any, Any, None]]


class Threads:
    """One execution of a kernel; ``touches`` is what its schedulers may know."""

    def __init__(self) -> None:
        self._declared: dict[tuple[str, int], Accesses] = {}

    def touches(self, stream: str, number: int, kind: str) -> Accesses:
        """What step ``number`` of this task touches, if it has come up yet."""
        return self._declared.get((stream, number), NOTHING)

    def declare(self, label: str, *, write: bool) -> None:
        """The next step of the running task touches this."""
        task: Any = asyncio.current_task()
        self._declared[task.actor.name, task.actor.steps] = frozenset({(label, write)})

    async def point(self, label: str = "", *, write: bool = False) -> None:
        """A scheduling point; what follows touches ``label``."""
        if label:
            self.declare(label, write=write)
        await asyncio.sleep(0)

    async def spawn(self, body: Body, *arguments: Any) -> asyncio.Task[None]:
        """Start a thread."""
        for _ in range(SPAWN_COST):
            await self.point()
        return asyncio.create_task(body(*arguments))

    async def join(self, *threads: asyncio.Task[None]) -> None:
        """Wait until all have ended, or until one has failed, and raise what it raised."""
        done, _ = await asyncio.wait(threads, return_when=asyncio.FIRST_EXCEPTION)
        for thread in threads:
            if thread in done:
                thread.result()

    def variable(self, label: str, value: Any) -> Variable:
        return Variable(self, label, value)

    def mutex(self, label: str) -> Mutex:
        return Mutex(self, label)

    def condition(self, label: str, mutex: Mutex) -> Condition:
        return Condition(self, label, mutex)


class Variable:
    """A shared variable; ``value`` looks at it without an event, for main before and after."""

    def __init__(self, threads: Threads, label: str, value: Any) -> None:
        self._threads = threads
        self._label = label
        self.value = value

    async def read(self) -> Any:
        await self._threads.point(self._label)
        return self.value

    async def write(self, value: Any) -> None:
        await self._threads.point(self._label, write=True)
        self.value = value

    async def add(self, amount: int) -> None:
        """As ``x += amount``: a read, then a write."""
        await self.write(await self.read() + amount)


class Mutex:
    """A lock that any thread may get once it is free, whoever waited first."""

    def __init__(self, threads: Threads, label: str) -> None:
        self._threads = threads
        self._label = label
        self._held = False
        self._waiting: list[asyncio.Future[None]] = []

    async def lock(self) -> None:
        await self._threads.point(self._label, write=True)
        while self._held:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            self._threads.declare(self._label, write=True)
            await waiter
        self._held = True

    async def unlock(self) -> None:
        await self._threads.point(self._label, write=True)
        self.release()

    def release(self) -> None:
        """Without an event, as part of another one."""
        self._held = False
        if self._waiting:
            self._waiting.pop(0).set_result(None)

    async def __aenter__(self) -> None:
        await self.lock()

    async def __aexit__(self, kind: object, *error: object) -> None:
        if kind is None:
            await self.unlock()


class Condition:
    """A condition variable: a signal wakes one waiting thread, and is lost if there is none."""

    def __init__(self, threads: Threads, label: str, mutex: Mutex) -> None:
        self._threads = threads
        self._label = label
        self._mutex = mutex
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        await self._threads.point(self._label, write=True)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._mutex.release()
        await waiter
        await self._mutex.lock()

    async def signal(self) -> None:
        await self._threads.point(self._label, write=True)
        if self._waiting:
            self._waiting.pop(0).set_result(None)
