"""Every order that the stock loop of ours produces is one that asyncio's own loop produces.

The strongest check is a cross-check: a random program runs on a ``StockLoop`` under random
choices; which arrivals and timers entered which iteration is written down. Then asyncio's own
``BaseEventLoop`` runs the same program over a selector and a clock that deliver just that. What
the program does must be the same, step by step.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomodel.engine.control.control import Control
from isomodel.engine.handle import Latency, Timer
from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.portable import PortableLoop
from isomodel.engine.stock import StockLoop
from isomodel.schedulers.random import RandomWalk
from isomodel.search.program import run_program
from isomodel.values.schedule import Fault

Main = Callable[[], Coroutine[Any, Any, Any]]


# The cross-check: a loop that writes down, and one that obeys


class Wild:
    """Uniform choices, often several arrivals at once, on every question."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, options: Sequence[Any], last: Any) -> int:
        if options[0].kind == "go on" and self._random.random() < 0.5:
            return 0
        return self._random.randrange(len(options))


class Counting(collections.deque[Any]):
    """A queue of ready handles that knows how many have run, cancelled ones apart."""

    ran = 0

    def popleft(self) -> Any:
        handle = super().popleft()
        self.ran += not handle.cancelled()
        return handle


class Writing(StockLoop):
    """Writes down what enters: after how many handles, which arrivals, and the last timer."""

    def __init__(self, scheduler: Any) -> None:
        super().__init__(scheduler, max_steps=2_000)
        self._ready = self._counting = Counting()
        self.script: dict[int, tuple[list[str], list[int]]] = {}
        self._made: dict[Timer, int] = {}

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Timer:
        timer = super().call_at(when, callback, *args, context=context)
        self._made[timer] = len(self._made)
        return timer

    def outside(self, name: str, callback: Callable[[], object]) -> None:
        self.arrive(name, callback)

    def _take(self, option: Any) -> None:
        arrivals, timers = self.script.setdefault(self._counting.ran, ([], []))
        if isinstance(option, Timer):
            assert type(option) is not Latency
            timers.append(self._made[option])
        else:
            assert not timers, "an arrival after a timer"
            arrivals.append(option.kind)
        super()._take(option)


class Stuck(Exception):
    """The real loop would wait for ever."""


class Numbered(asyncio.Task[Any]):
    """A task that sets are ordered by, as ours: asyncio's own order is that of addresses."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class Obeying(asyncio.BaseEventLoop):
    """asyncio's own loop, whose selector and clock follow a script.

    Each timer is due a microsecond later than the one set before it, as on a real clock that
    goes on between them; the program reads the clock in milliseconds.
    """

    def __init__(self, script: dict[int, tuple[list[str], list[int]]]) -> None:
        super().__init__()
        self._selector = self
        self._clock_resolution = 1e-7
        self._ready = Counting()
        self.script = dict(script)
        self.waiting: dict[str, Callable[[], object]] = {}
        self.when: list[float] = []
        self.clock = 0.0
        self._exact = False
        self._tasks = 0

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        task = Numbered.__new__(Numbered)
        task.number = self._tasks
        self._tasks += 1
        task.__init__(coro, loop=self, context=context)  # type: ignore[misc]
        return task

    def time(self) -> float:
        exact, self._exact = self._exact, False
        return self.clock if exact else round(self.clock, 3)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        when += len(self.when) * (1e-6 if when > self.time() else 1e-9)
        self.when.append(when)
        return super().call_at(when, callback, *args, context=context)

    def outside(self, name: str, callback: Callable[[], object]) -> None:
        self.waiting[name] = callback

    def select(self, timeout: float | None) -> list[str]:
        arrivals, timers = self.script.pop(self._ready.ran, ([], []))
        if not arrivals and not timers and (timeout is None or timeout > self._clock_resolution):
            raise Stuck
        for timer in timers:
            assert self.when[timer] >= self.clock, "the clock would have to go back"
            self.clock = max(self.clock, self.when[timer])
        self._exact = True
        return arrivals

    def _process_events(self, arrivals: list[str]) -> None:
        for name in arrivals:
            self._add_callback(asyncio.Handle(self.waiting.pop(name), (), self, None))

    def _write_to_self(self) -> None:
        pass


# Random programs


class Machine:
    """Runs a program made of nested tuples, and writes down every step of it."""

    def __init__(self, program: list[Any]) -> None:
        self._program = program
        self.steps: list[Any] = []
        self._names = itertools.count()

    async def main(self) -> None:
        self._loop: Any = asyncio.get_running_loop()
        self._locks = [asyncio.Lock(), asyncio.Lock()]
        self._semaphore = asyncio.Semaphore(2)
        self._queue: asyncio.Queue[int] = asyncio.Queue(1)
        self._event = asyncio.Event()
        self._condition = asyncio.Condition()
        self._tasks = [
            asyncio.create_task(self._run(str(index), actions))
            for index, actions in enumerate(self._program)
        ]
        await asyncio.wait(self._tasks)

    def _say(self, *what: Any) -> None:
        self.steps.append((*what, round(self._loop.time(), 3)))

    async def _io(self) -> None:
        future = self._loop.create_future()

        def arrive() -> None:
            if not future.done():
                future.set_result(None)

        self._loop.outside(f"io{next(self._names)}", arrive)
        await future

    async def _run(self, who: str, actions: list[Any]) -> str:
        try:
            for index, action in enumerate(actions):
                self._say(who, index, action[0])
                await getattr(self, "_do_" + action[0])(f"{who}.{index}", *action[1:])
            self._say(who, "end")
        except BaseException as error:
            self._say(who, type(error).__name__)
            raise
        return who

    async def _do_io(self, who: str) -> None:
        await self._io()

    async def _do_sleep(self, who: str, delay: float) -> None:
        await asyncio.sleep(delay)

    async def _do_lock(self, who: str, which: int, actions: list[Any]) -> None:
        async with self._locks[which]:
            await self._run(who, actions)

    async def _do_semaphore(self, who: str, actions: list[Any]) -> None:
        async with self._semaphore:
            await self._run(who, actions)

    async def _do_timeout(self, who: str, delay: float, actions: list[Any]) -> None:
        try:
            async with asyncio.timeout(delay):
                await self._run(who, actions)
        except TimeoutError:
            self._say(who, "timed out")

    async def _do_wait_for(self, who: str, delay: float, actions: list[Any]) -> None:
        try:
            await asyncio.wait_for(self._run(who, actions), delay)
        except TimeoutError:
            self._say(who, "timed out")

    async def _do_put(self, who: str) -> None:
        await self._queue.put(1)

    async def _do_get(self, who: str) -> None:
        await self._queue.get()

    async def _do_set(self, who: str) -> None:
        self._event.set()

    async def _do_clear(self, who: str) -> None:
        self._event.clear()

    async def _do_await(self, who: str) -> None:
        await self._event.wait()

    async def _do_notify(self, who: str) -> None:
        async with self._condition:
            self._condition.notify()

    async def _do_hear(self, who: str) -> None:
        async with self._condition:
            await self._condition.wait()

    async def _do_cancel(self, who: str, which: int) -> None:
        self._tasks[which % len(self._tasks)].cancel()

    async def _do_disconnect(self, who: str, which: int) -> None:
        task = self._tasks[which % len(self._tasks)]
        self._loop.outside(f"cut{next(self._names)}", task.cancel)

    async def _do_suppress(self, who: str, actions: list[Any]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._run(who, actions)

    async def _do_gather(self, who: str, one: list[Any], other: list[Any]) -> None:
        await asyncio.gather(self._run(who + "a", one), self._run(who + "b", other))

    async def _do_group(self, who: str, one: list[Any], other: list[Any]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run(who + "a", one))
            group.create_task(self._run(who + "b", other))

    async def _do_shield(self, who: str, actions: list[Any]) -> None:
        await asyncio.shield(self._run(who, actions))

    async def _do_soon(self, who: str) -> None:
        self._loop.call_soon(self._say, who, "soon")
        self._loop.call_soon_threadsafe(self._say, who, "safe")

    async def _do_later(self, who: str, delay: float) -> None:
        timer = self._loop.call_later(delay, self._say, who, "later")
        self._loop.call_later(1, timer.cancel)

    async def _do_generator(self, who: str) -> None:
        async def numbers() -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            finally:
                self._say(who, "closing")
                await self._io()
                self._say(who, "closed")

        async for _ in numbers():
            break

    async def _do_first(self, who: str, one: list[Any], other: list[Any]) -> None:
        tasks = [
            asyncio.create_task(self._run(who + "a", one)),
            asyncio.create_task(self._run(who + "b", other)),
        ]
        await asyncio.wait(tasks, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


SIMPLE = ("io", "io", "put", "get", "set", "clear", "await", "notify", "hear", "soon", "generator")
DELAYS = st.sampled_from((0, -1, 1, 1, 2))
WHICH = st.integers(0, 2)


def programs() -> st.SearchStrategy[list[list[Any]]]:
    simple = st.one_of(
        st.sampled_from([(name,) for name in SIMPLE]),
        st.tuples(st.just("sleep"), DELAYS),
        st.tuples(st.just("later"), DELAYS),
        st.tuples(st.sampled_from(("cancel", "disconnect")), WHICH),
    )

    def nested(action: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        actions = st.lists(action, max_size=3)
        return st.one_of(
            simple,
            st.tuples(st.just("lock"), st.integers(0, 1), actions),
            st.tuples(st.sampled_from(("timeout", "wait_for")), DELAYS, actions),
            st.tuples(st.sampled_from(("semaphore", "suppress", "shield")), actions),
            st.tuples(st.sampled_from(("gather", "group", "first")), actions, actions),
        )

    action = st.recursive(simple, nested, max_leaves=6)
    return st.lists(st.lists(action, min_size=1, max_size=4), min_size=1, max_size=4)


def run_until_stuck(loop: Any, run: Callable[[Any], object], main: Any) -> None:
    """Run ``main``; then end whatever is left of it, out of sight."""
    with contextlib.suppress(Blocked, OutOfSteps, Stuck):
        run(main)


def dismiss(loop: Any, run: Callable[[Any], object], machine: Machine) -> None:
    machine.steps = []
    for _ in range(9):
        for task in asyncio.all_tasks(loop):
            task.cancel()
        with contextlib.suppress(Blocked, OutOfSteps, Stuck):
            run(asyncio.sleep(0))
    loop.close()


@settings(max_examples=300, deadline=None)
@given(programs(), st.integers(0, 2**32))
def test_asyncios_own_loop_can_do_what_the_stock_loop_does(program: Any, seed: int) -> None:
    ours, theirs = Machine(program), Machine(program)
    writing = Writing(Wild(seed))
    run_until_stuck(writing, writing.run, ours.main())
    obeying = Obeying(writing.script)
    obeying.set_exception_handler(lambda loop, context: None)
    run_until_stuck(obeying, obeying.run_until_complete, theirs.main())
    did, could, left = ours.steps, theirs.steps, obeying.script
    dismiss(writing, writing.run, ours)
    obeying.script = {}
    dismiss(obeying, obeying.run_until_complete, theirs)
    assert could[: len(did)] == did
    assert not left


# No false alarms: programs that are correct on the stock loop


def io(name: str = "io") -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ControlledLoop)
    return loop.io(name, 0.0, None)


async def callbacks_in_order() -> None:
    loop = asyncio.get_running_loop()
    heard: list[str] = []
    for event in ("made", "data", "eof", "lost"):
        loop.call_soon(heard.append, event)
    await io()
    while len(heard) < 4:
        await asyncio.sleep(0)
    assert heard == ["made", "data", "eof", "lost"]


async def tasks_start_in_order() -> None:
    order: list[int] = []

    async def work(number: int) -> None:
        order.append(number)
        await io()

    await asyncio.gather(*(work(number) for number in range(3)))
    assert order == [0, 1, 2]


async def done_callbacks_before_waiters() -> None:
    seen: list[str] = []
    task = asyncio.create_task(asyncio.sleep(0))
    task.add_done_callback(lambda _: seen.append("callback"))
    await task
    assert seen == ["callback"]


async def handing_over_a_lock_in_order() -> None:
    lock, order = asyncio.Lock(), []

    async def work(number: int) -> None:
        async with lock:
            await io()
            order.append(number)

    await asyncio.gather(*(work(number) for number in range(4)))
    assert order == [0, 1, 2, 3]


async def a_timer_for_now_comes_next() -> None:
    fired: list[int] = []
    asyncio.get_running_loop().call_later(0, fired.append, 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert fired == [1]


async def earlier_timers_come_first() -> None:
    order: list[float] = []

    async def work(delay: float) -> None:
        await asyncio.sleep(delay)
        order.append(delay)

    await asyncio.gather(*map(work, (0.3, 0.1, 0.2, 0.1)))
    assert order == [0.1, 0.1, 0.2, 0.3]


async def a_thread_sends_in_order() -> None:
    loop, got = asyncio.get_running_loop(), []

    def work() -> str:
        for number in range(3):
            loop.call_soon_threadsafe(got.append, number)
        return "result"

    assert await asyncio.to_thread(work) == "result"
    assert got == [0, 1, 2]


async def one_thread_serves_in_order() -> None:
    loop, log = asyncio.get_running_loop(), []

    async def ask(pool: ThreadPoolExecutor, number: int) -> None:
        await loop.run_in_executor(pool, log.append, number)
        log.append(f"answer {number}")

    with ThreadPoolExecutor(1) as pool:
        await asyncio.gather(*(ask(pool, number) for number in range(3)), io())
    assert [entry for entry in log if isinstance(entry, int)] == [0, 1, 2]
    answers = [entry for entry in log if isinstance(entry, str)]
    assert answers == ["answer 0", "answer 1", "answer 2"]


async def timeouts_leave_no_lock_behind() -> None:
    lock = asyncio.Lock()

    async def work(delay: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay), lock:
                await asyncio.sleep(2)

    await asyncio.gather(work(1), work(2), work(3))
    assert not lock.locked()


async def a_queue_loses_nothing() -> None:
    queue: asyncio.Queue[tuple[int, int]] = asyncio.Queue(1)
    got: list[tuple[int, int]] = []

    async def put(who: int) -> None:
        for number in range(2):
            await io()
            await queue.put((who, number))

    async def get() -> None:
        for _ in range(2):
            got.append(await queue.get())

    await asyncio.gather(put(0), put(1), get(), get())
    assert len(set(got)) == 4


async def a_group_cleans_up() -> None:
    running = set()

    async def work(number: int) -> None:
        running.add(number)
        try:
            await io()
            if number == 1:
                raise ValueError
            await asyncio.sleep(10)
        finally:
            running.discard(number)

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(work(number))
    except* ValueError:
        pass
    assert not running


async def a_barrier_opens_for_all() -> None:
    barrier, passed = asyncio.Barrier(3), []

    async def work(number: int) -> None:
        await io()
        await barrier.wait()
        passed.append(number)

    await asyncio.gather(*map(work, range(3)))
    assert len(passed) == 3


CORRECT: list[Main] = [
    callbacks_in_order,
    tasks_start_in_order,
    done_callbacks_before_waiters,
    handing_over_a_lock_in_order,
    a_timer_for_now_comes_next,
    earlier_timers_come_first,
    a_thread_sends_in_order,
    one_thread_serves_in_order,
    timeouts_leave_no_lock_behind,
    a_queue_loses_nothing,
    a_group_cleans_up,
    a_barrier_opens_for_all,
]

RELIES_ON_TASK_ORDER = {
    "tasks_start_in_order": "tasks start in any order",
    "handing_over_a_lock_in_order": "tasks start in any order",
    "a_timer_for_now_comes_next": "no loop but asyncio's promises it",
    "earlier_timers_come_first": "a task woken first may run last",
    "one_thread_serves_in_order": "tasks start in any order",
}
"""Correct on asyncio and not elsewhere, with the reason."""


def alarms(main: Main, kind: Callable[..., ControlledLoop], schedules: int = 1_000) -> list[str]:
    found = []
    for seed in range(schedules):
        loop = kind(Wild(seed) if seed % 2 else RandomWalk(seed))
        try:
            loop.run(main())
            found += loop.errors
        except (AssertionError, Blocked) as error:
            found.append(repr(error))
        finally:
            leftover(loop)
    return found


def leftover(loop: ControlledLoop) -> None:
    with loop.running():
        for task in loop.pending_tasks():
            task.cancel()
        with contextlib.suppress(Blocked, OutOfSteps):
            loop.settle()
    loop.close()


@pytest.mark.parametrize("main", CORRECT, ids=lambda main: main.__name__)
def test_stock_gives_no_false_alarm(main: Main) -> None:
    assert alarms(main, StockLoop) == []


@pytest.mark.parametrize("main", CORRECT, ids=lambda main: main.__name__)
def test_portable_alarms_only_where_the_order_of_tasks_matters(main: Main) -> None:
    found = alarms(main, PortableLoop, 300)
    assert bool(found) == (main.__name__ in RELIES_ON_TASK_ORDER)


# Everything possible is reached


def orders(kind: Callable[..., ControlledLoop], wait: Callable[[], Any], walks: int) -> int:
    seen = set()

    async def main() -> None:
        order: list[int] = []

        async def work(number: int) -> None:
            for _ in range(2):
                await wait()
                order.append(number)

        await asyncio.gather(*map(work, range(3)))
        seen.add(tuple(order))

    for seed in range(walks):
        kind(RandomWalk(seed)).run(main())
        if len(seen) == 90:
            break
    return len(seen)


def test_stock_reaches_every_order_of_io_and_only_one_of_yields() -> None:
    assert orders(StockLoop, io, 6_000) == 90
    assert orders(StockLoop, lambda: asyncio.sleep(0), 300) == 1


def test_portable_reaches_every_order_of_io_and_of_yields() -> None:
    assert orders(PortableLoop, io, 6_000) == 90
    assert orders(PortableLoop, lambda: asyncio.sleep(0), 6_000) == 90


def results(main: Main, kind: Callable[..., ControlledLoop] = StockLoop) -> set[Any]:
    seen = set()
    for seed in range(600):
        for scheduler in (Wild(seed), RandomWalk(seed)):
            loop = kind(scheduler)
            seen.add(loop.run(main()))
            leftover(loop)
    return seen


def test_two_timers_of_one_time_come_together_or_apart_and_an_arrival_between() -> None:
    async def main() -> tuple[str, ...]:
        loop, log = asyncio.get_running_loop(), []

        def first() -> None:
            log.append("first")
            loop.call_soon(log.append, "after first")

        loop.call_later(1, first)
        loop.call_later(1, log.append, "second")
        io().add_done_callback(lambda _: log.append("io"))
        while len(log) < 4:
            await asyncio.sleep(0.5)
        return tuple(log)

    seen = results(main)
    assert ("first", "second", "after first", "io") in seen
    assert ("first", "after first", "second", "io") in seen
    assert ("first", "after first", "io", "second") in seen
    assert all(log.index("first") < log.index("second") for log in seen)


def test_an_arrival_and_a_timer_share_an_iteration_the_arrival_first() -> None:
    async def main() -> tuple[str, ...]:
        loop, log = asyncio.get_running_loop(), []

        def note(what: str) -> None:
            log.append(what)
            loop.call_soon(log.append, f"after {what}")

        loop.call_later(1, note, "timer")
        loop.outside("io", lambda: note("io"))  # type: ignore[attr-defined]
        while len(log) < 4:
            await asyncio.sleep(0.5)
        return tuple(log)

    class Loop(StockLoop):
        def outside(self, name: str, callback: Callable[[], object]) -> None:
            self.arrive(name, callback)

    assert results(main, Loop) == {
        ("io", "after io", "timer", "after timer"),
        ("io", "timer", "after io", "after timer"),
        ("timer", "after timer", "io", "after io"),
    }


def test_what_a_thread_sends_may_come_after_any_callback() -> None:
    async def main() -> tuple[str, ...]:
        loop, log = asyncio.get_running_loop(), []

        def note(what: str) -> None:
            loop.call_soon(log.append, what)

        def thread() -> None:
            loop.call_soon_threadsafe(log.append, "thread")

        await asyncio.shield(loop.run_in_executor(None, int))
        loop.run_in_executor(None, thread)
        for _ in range(3):
            await io()
            loop.call_soon(note, "x")
            loop.call_soon(note, "y")
            await asyncio.sleep(0)
        while "thread" not in log:
            await io()
        return tuple(log)

    seen = {log[:3] for log in results(main)}
    assert ("x", "thread", "y") in seen
    assert ("x", "y", "thread") in seen


def test_io_begun_in_an_iteration_does_not_arrive_in_it() -> None:
    async def main() -> tuple[str, ...]:
        log: list[str] = []

        async def begin() -> None:
            io().add_done_callback(lambda _: log.append("io"))

        async def other() -> None:
            log.append("other")

        await asyncio.gather(begin(), other())
        await io()
        return tuple(log)

    assert {log[0] for log in results(main)} == {"other"}


@pytest.mark.parametrize("fidelity", ["stock", "portable"])
def test_a_cancellation_may_strike_at_every_await_and_in_portable_before_the_first_step(
    fidelity: Any,
) -> None:
    struck = set()

    async def main() -> None:
        progress: list[int] = []

        async def work() -> None:
            try:
                for number in range(3):
                    progress.append(number)
                    await io()
            except asyncio.CancelledError:
                struck.add(len(progress))
                raise

        task = asyncio.create_task(work())
        await asyncio.wait([task])
        if not progress:
            struck.add(0)

    for at in range(5):
        for seed in range(60):
            fault = Fault("cancel", "main/work", at)
            with Control().installed():
                run_program(main, Wild(seed), fidelity=fidelity, faults=[fault])
    assert struck == ({1, 2, 3} if fidelity == "stock" else {0, 1, 2, 3})
