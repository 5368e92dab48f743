"""Small pools, queues, caches and the like, each sound, or broken in one way by name."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from isomodel import io

Load = Callable[[str], Awaitable[str]]


class ConnectFailed(Exception):
    pass


class Refused(Exception):
    pass


class Semaphore:
    """Hands units over to those who wait, first come, first served."""

    def __init__(self, size: int, broken: str = "") -> None:
        self.free = size
        self.broken = broken
        self.waiters: deque[asyncio.Future[None]] = deque()
        self.ever_full = False

    async def acquire(self, timeout: float | None = None) -> None:
        if self.broken == "checks, then acts" and self.free:
            await asyncio.sleep(0)
            self.free -= 1
            return
        if self.broken == "refuses ever after" and self.ever_full and timeout is not None:
            raise Refused
        while self.broken == "barging" and not self.free:
            await self._wait(timeout)
        if self.free:
            self.free -= 1
            return
        self.ever_full = True
        await self._wait(timeout)

    async def _wait(self, timeout: float | None) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except (asyncio.CancelledError, TimeoutError) as error:
            if waiter.done() and not waiter.cancelled() and self.broken != "keeps a unit":
                self.release()
            if isinstance(error, TimeoutError):
                raise Refused from None
            raise

    def release(self) -> None:
        if self.broken == "barging":
            self.free += 1
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
            if self.broken == "wakes the dead":
                return
        if self.broken != "barging":
            self.free += 1


class Connection:
    """Answers in the order in which it was asked; an unread answer is the next one's."""

    def __init__(self) -> None:
        self.answers: deque[str] = deque()

    async def ask(self, text: str) -> str:
        self.answers.append(f"answer to {text}")
        await io("reply")
        return self.answers.popleft()


class Pool:
    """Connections made when they are needed, and kept."""

    def __init__(self, size: int, broken: str = "") -> None:
        self.broken = broken
        self.slots = Semaphore(size)
        self.idle: list[Connection] = []

    async def acquire(self) -> Connection:
        await self.slots.acquire()
        if self.idle:
            return self.idle[-1] if self.broken == "shares a unit" else self.idle.pop()
        try:
            await io("connect", fails=ConnectFailed)
        except BaseException:
            if self.broken != "a failed connect keeps its slot":
                self.slots.release()
            raise
        return Connection()

    async def release(self, connection: Connection) -> None:
        if self.broken == "gives back by and by":
            await asyncio.sleep(0)
        if not connection.answers or self.broken == "keeps unread answers":
            self.idle.append(connection)
        self.slots.release()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await self.acquire()
        if self.broken == "swallows errors":
            try:
                with contextlib.suppress(Exception):
                    yield connection
            finally:
                await self.release(connection)
            return
        if self.broken == "forgets after an error":
            yield connection
            await self.release(connection)
            return
        try:
            yield connection
        finally:
            await self.release(connection)


class Queue:
    """First in, first out, with room for so many."""

    def __init__(self, size: int, broken: str = "") -> None:
        self.broken = broken
        self.size = size
        self.items: deque[str] = deque()
        self.room = Semaphore(size)
        self.filled = Semaphore(0)
        self.unfinished = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def put(self, item: str) -> None:
        await self.room.acquire()
        if self.broken == "loses room":
            await asyncio.sleep(0)
        self.unfinished += 1
        self.idle.clear()
        if self.broken == "last in, first out":
            self.items.appendleft(item)
        else:
            self.items.append(item)
        self.filled.release()
        if self.broken == "too much room" and len(self.items) == self.size:
            self.room.release()

    async def get(self) -> str:
        await self.filled.acquire()
        item = self.items[0] if self.broken == "gives twice" else self.items.popleft()
        if self.broken in ("loses what it gives", "gives twice"):
            await asyncio.sleep(0)
        if self.broken == "gives twice" and self.items[0] == item:
            self.items.popleft()
        self.room.release()
        if self.broken == "done when got":
            self.task_done()
        return item

    def task_done(self) -> None:
        self.unfinished -= 1
        if self.unfinished <= 0:
            self.idle.set()

    async def join(self) -> None:
        await self.idle.wait()

    async def close(self) -> None:
        waiters = self.filled.waiters
        while waiters and self.broken != "closes on whoever waits":
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_exception(Refused())


class Cache:
    """One load for each key at a time, whose value is good for ``ttl`` seconds."""

    def __init__(self, load: Load, ttl: float = 10.0, broken: str = "") -> None:
        self.load = load
        self.ttl = ttl
        self.broken = broken
        self.loads: dict[str, asyncio.Task[str]] = {}
        self.values: dict[str, tuple[float, str]] = {}
        self.errors: dict[str, Exception] = {}
        self.forgotten: set[asyncio.Task[str] | None] = set()

    async def get(self, key: str) -> str:
        now = asyncio.get_running_loop().time()
        place = "any" if self.broken == "one place for all" else key
        if place in self.errors:
            raise self.errors[place]
        if place in self.values:
            good_until, value = self.values[place]
            if now < good_until or self.broken == "keeps for ever":
                return value
        if place not in self.loads or self.broken == "loads at once":
            self.loads[place] = asyncio.create_task(self._load(place, key))
        if self.broken in ("one flight, one fate", "keeps the cancelled"):
            return await self.loads[place]
        return await asyncio.shield(self.loads[place])

    async def _load(self, place: str, key: str) -> str:
        task = asyncio.current_task()
        try:
            value = await self.load(key)
        except Exception as error:
            if self.broken == "keeps failures":
                self.errors[place] = error
            raise
        finally:
            if self.loads.get(place) is task and self.broken != "keeps the cancelled":
                del self.loads[place]
        if task not in self.forgotten or self.broken == "remembers the forgotten":
            self.values[place] = asyncio.get_running_loop().time() + self.ttl, value
        return value

    def forget(self, key: str) -> None:
        self.values.pop(key, None)
        self.forgotten.add(self.loads.pop(key, None))


class Local:
    """A value for each context."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.variable: contextvars.ContextVar[Any] = contextvars.ContextVar("local")
        self.value: str | None = None
        if broken == "one dictionary":
            self.variable.set({"value": ""})

    def set(self, value: str) -> None:
        if self.broken == "global":
            self.value = value
        elif self.broken in ("one dictionary", "children write upward") and self.variable.get(None):
            self.variable.get()["value"] = value
        else:
            self.variable.set({"value": value})

    def get(self) -> str | None:
        if self.broken == "global":
            return self.value
        found: dict[str, str] = self.variable.get({})
        return found.get("value") or None

    def clear(self) -> None:
        self.variable.set({"value": "cleared"} if self.broken == "is not cleared" else {})


class Event:
    """Lets all go on who wait."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.on = False
        self.waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        if self.on or (self.broken == "not for the third" and len(self.waiters) == 2):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        await waiter

    def set(self) -> None:
        self.on = True
        while self.waiters:
            waiter = self.waiters.pop(0)
            if not waiter.done():
                waiter.set_result(None)
                if self.broken == "wakes one":
                    return

    def clear(self) -> None:
        self.on = self.broken == "stays set"


class Barrier:
    """Lets as many go on at once."""

    def __init__(self, parties: int, broken: str = "") -> None:
        self.parties = parties
        self.broken = broken
        self.come: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.come.append(place)
        here = [
            each for each in self.come if not each.cancelled() or self.broken == "counts leavers"
        ]
        if len(here) >= self.parties - (self.broken == "does not wait for the last"):
            self.come = []
            for each in here:
                if not each.done():
                    each.set_result(None)
        await place


class Window:
    """So many permits in any ``per`` seconds."""

    def __init__(self, rate: int, per: float, broken: str = "") -> None:
        self.rate, self.per, self.broken = rate, per, broken
        self.given: list[float] = []

    async def acquire(self) -> None:
        charge = asyncio.get_running_loop().time() + 1000.0
        if self.broken == "charges who gives up":
            self.given.append(charge)
        while not self._has_room():
            await asyncio.sleep(self.per / 4)
        if self.broken == "charges who gives up":
            self.given.remove(charge)
        self.given.append(asyncio.get_running_loop().time())

    def _has_room(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self.broken == "fixed windows":
            inside = [time for time in self.given if time >= now // self.per * self.per]
        else:
            inside = [time for time in self.given if time > now - self.per]
        return len(inside) - (self.broken == "charges who gives up") < self.rate


class Bucket:
    """A burst of ``rate`` permits, and as many again in any ``per`` seconds."""

    def __init__(self, rate: int, per: float) -> None:
        self.rate, self.per = rate, per
        self.permits, self.at = float(rate), 0.0

    async def acquire(self) -> None:
        while True:
            now = asyncio.get_running_loop().time()
            self.permits += (now - self.at) * self.rate / self.per
            self.permits, self.at = min(self.permits, self.rate), now
            if self.permits >= 1.0:
                self.permits -= 1.0
                return
            await asyncio.sleep(self.per / self.rate)


class Retry:
    """Calls once more where a call failed."""

    def __init__(self, call: Load, broken: str = "") -> None:
        self.call, self.broken = call, broken
        self.text = ""

    async def __call__(self, text: str) -> str:
        self.text = text
        last = 2 if self.broken == "once too often" else 1
        for attempt in range(last + 1):
            try:
                answer = await self.call(text)
            except Exception:
                if attempt == last:
                    raise
            else:
                if self.broken == "answers who asked last":
                    return f"answer to {self.text}"
                return answer
        raise AssertionError


class Group:
    """Waits for its children, and cancels them where one fails."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Group:
        return self

    def create_task(self, child: Any) -> None:
        self.tasks.append(asyncio.create_task(child))

    async def __aexit__(self, *error: Any) -> None:
        try:
            await asyncio.gather(*self.tasks)
        finally:
            if self.broken != "leaves them alone":
                for task in self.tasks:
                    task.cancel()
                await asyncio.gather(*self.tasks, return_exceptions=True)
