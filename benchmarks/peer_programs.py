"""The programs (a) to (h) on which tools of this kind are compared.

Each is shared state, some workers over it, and what holds in the end. ``io`` is one await that
stands for the completion of I/O; every tool brings its own. Workers start late by some awaits
where that is needed for stock asyncio, first-in first-out, to pass: finding the bug takes
another order. This file imports nothing of isomodel: it also runs in the peers' environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

Io = Callable[[], Awaitable[object]]
Worker = Callable[[Any, Io], Coroutine[Any, Any, None]]
Main = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Program:
    """``state`` makes it anew for each execution; ``holds`` is what a bug breaks."""

    title: str
    state: Callable[[], Any]
    workers: tuple[Worker, ...]
    holds: Callable[[Any], bool]


def main_of(name: str, io: Io) -> Main:
    """The program of this name as a coroutine function that raises AssertionError if broken."""
    program = PROGRAMS[name]

    async def main() -> None:
        state = program.state()
        await asyncio.gather(*(worker(state, io) for worker in program.workers))
        if not program.holds(state):
            raise AssertionError(f"{program.title}: broken")

    main.__name__ = main.__qualname__ = name
    return main


async def _pass(io: Io, times: int) -> None:
    for _ in range(times):
        await io()


# (a) Two users read a value, wait, and write it back plus one.


async def _increment(state: Any, io: Io) -> None:
    seen = state.value
    await io()
    state.value = seen + 1


# (b) A login takes the first free slot, and only later removes it from the free ones.


def _login(user: str, late: int) -> Worker:
    async def login(state: Any, io: Io) -> None:
        await _pass(io, late)
        slot = state.free[0]
        await io()
        state.free = [other for other in state.free if other is not slot]
        state.session[user] = slot

    return login


def _slots() -> Any:
    return SimpleNamespace(free=[object(), object()], session={})


# (c) A buffer comes back to the pool by expiry, while its first user still has to read it.


class _Pool:
    def __init__(self) -> None:
        self.free = [SimpleNamespace(data=None)]
        self.lent: dict[str, Any] = {}
        self.delivered: dict[str, list[str]] = {"a": [], "b": []}

    def lend(self, user: str) -> Any:
        buffer = self.free.pop() if self.free else SimpleNamespace(data=None)
        self.lent[user] = buffer
        return buffer

    def give_back(self, user: str) -> None:
        buffer = self.lent.pop(user, None)
        if buffer is not None:
            self.free.append(buffer)


def _emit(user: str, late: int, writing: int) -> Worker:
    async def emit(state: _Pool, io: Io) -> None:
        await _pass(io, late)
        buffer = state.lend(user)
        buffer.data = f"event of {user}"
        await _pass(io, writing)
        state.delivered[user].append(buffer.data)
        state.give_back(user)

    return emit


async def _expire(state: _Pool, io: Io) -> None:
    await _pass(io, 5)
    state.give_back("a")


def _own_events(state: _Pool) -> bool:
    return state.delivered == {"a": ["event of a"], "b": ["event of b"]}


# (d1) Five tasks of four steps; the last steps must not come in one order of the 120.


def _arrive(number: int) -> Worker:
    async def arrive(state: Any, io: Io) -> None:
        await _pass(io, 3)
        state.order.append(number)

    return arrive


# (e) A connection goes back to the pool as it is, be its reply read or not.


class _Connections:
    def __init__(self) -> None:
        self.free: list[list[str]] = [[]]
        self.first: asyncio.Task[Any] | None = None
        self.reply_to_b: str | None = None

    async def ask(self, user: str, io: Io) -> str:
        replies = self.free.pop() if self.free else []
        try:
            await io()
            replies.append(f"reply to {user}")
            await io()  # cancelled here, the reply stays behind for the next user
            return replies.pop(0)
        finally:
            self.free.append(replies)


async def _user_a(state: _Connections, io: Io) -> None:
    state.first = task = asyncio.current_task()
    assert task is not None
    try:
        await state.ask("a", io)
    except asyncio.CancelledError:
        task.uncancel()
    state.first = None


async def _user_b(state: _Connections, io: Io) -> None:
    await _pass(io, 6)
    state.reply_to_b = await state.ask("b", io)


async def _canceller(state: _Connections, io: Io) -> None:
    await _pass(io, 4)
    if state.first is not None:
        state.first.cancel()


def _own_reply(state: _Connections) -> bool:
    return state.reply_to_b == "reply to b"


# (f) Two locks, taken in opposite orders.


def _locks() -> Any:
    return SimpleNamespace(left=asyncio.Lock(), right=asyncio.Lock(), done=0)


def _both(first: str, second: str, late: int) -> Worker:
    async def both(state: Any, io: Io) -> None:
        await _pass(io, late)
        async with getattr(state, first):
            await io()
            async with getattr(state, second):
                state.done += 1

    return both


# (g) Correct: three tasks of three awaits, on one counter or on one each.


async def _count_together(state: Any, io: Io) -> None:
    for _ in range(3):
        state.total += 1
        await io()


def _count_apart(number: int) -> Worker:
    async def count(state: Any, io: Io) -> None:
        mine = state.own[number]
        for _ in range(3):
            mine.total += 1
            await io()

    return count


def _counters() -> Any:
    return SimpleNamespace(own=[SimpleNamespace(total=0) for _ in range(3)])


PROGRAMS: dict[str, Program] = {
    "a": Program(
        "lost update",
        lambda: SimpleNamespace(value=0),
        (_increment, _increment),
        lambda state: state.value == 2,
    ),
    "b": Program(
        "two users in one slot",
        _slots,
        (_login("a", 0), _login("b", 3)),
        lambda state: state.session["a"] is not state.session["b"],
    ),
    "c": Program(
        "event through a pooled buffer",
        _Pool,
        (_emit("a", 0, 2), _expire, _emit("b", 5, 1)),
        _own_events,
    ),
    "d1": Program(
        "one order of 120",
        lambda: SimpleNamespace(order=[]),
        tuple(_arrive(number) for number in range(5)),
        lambda state: state.order != [3, 0, 4, 2, 1],
    ),
    "e1": Program("injected cancellation", _Connections, (_user_a, _user_b), _own_reply),
    "e2": Program(
        "cancellation by a task", _Connections, (_user_a, _user_b, _canceller), _own_reply
    ),
    "f": Program(
        "two locks",
        _locks,
        (_both("left", "right", 0), _both("right", "left", 3)),
        lambda state: state.done == 2,
    ),
    "g conflicting": Program(
        "one counter",
        lambda: SimpleNamespace(total=0),
        (_count_together,) * 3,
        lambda state: state.total == 9,
    ),
    "g independent": Program(
        "a counter each",
        _counters,
        tuple(_count_apart(number) for number in range(3)),
        lambda state: all(counter.total == 3 for counter in state.own),
    ),
}


# (h) Correct, because asyncio documents that call_soon is first-in first-out.


async def h_call_soon() -> None:
    """What is called later sees what was called before."""
    loop = asyncio.get_running_loop()
    ledger, seen = [0], []
    loop.call_soon(ledger.__setitem__, 0, 1)
    loop.call_soon(lambda: seen.append(ledger[0]))
    while not seen:
        await asyncio.sleep(0)
    if seen != [1]:
        raise AssertionError(f"saw {seen}")


async def h_create_task() -> None:
    """Tasks start in the order in which they were made."""
    order: list[str] = []

    async def mark(what: str) -> None:
        order.append(what)

    await asyncio.gather(asyncio.create_task(mark("open")), asyncio.create_task(mark("use")))
    if order != ["open", "use"]:
        raise AssertionError(f"ran {order}")


async def h_done_callback() -> None:
    """The callbacks of a future are called in the order in which they were added."""
    called: list[int] = []
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda _: called.append(1))
    future.add_done_callback(lambda _: called.append(2))
    future.set_result(None)
    while len(called) < 2:
        await asyncio.sleep(0)
    if called != [1, 2]:
        raise AssertionError(f"called {called}")


FIFO: dict[str, Main] = {
    "h call_soon": h_call_soon,
    "h create_task": h_create_task,
    "h add_done_callback": h_done_callback,
}
