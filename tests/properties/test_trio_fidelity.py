"""Every order that trio under ``stock`` produces is one that trio's own run loop produces.

A random program runs on a ``StockTrio`` under random choices; what entered before which batch, and
which way each batch ran, is written down. Then ``trio.run``, unmodified, runs the same program over
a clock and an instrument that deliver just that. What the program does must be the same, step by
step.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from isomodel.engine.handle import Latency, Timer
from isomodel.engine.runtime import Blocked
from isomodel.engine.trio.fidelities import PortableTrio, StockTrio
from isomodel.engine.trio.private import _run
from isomodel.engine.world import io
from isomodel.schedulers.random import RandomWalk
from isomodel.search.program import run_on
from isomodel.search.running.execute import session


@pytest.fixture(autouse=True, scope="module")
def under_control() -> Iterator[None]:
    with session():
        yield


class Wild:
    """Uniform choices, often several arrivals at once, on every question."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, options: Any, last: Any) -> int:
        if options[0].kind == "go on" and self._random.random() < 0.5:
            return 0
        return self._random.randrange(len(options))


# Programs


def programs() -> st.SearchStrategy[Any]:
    """Trees of what tasks do; a task group's children are programs."""
    simple = st.sampled_from(("io", "yield", "sleep", "limit", "put", "get", "late"))
    steps = st.recursive(
        st.lists(simple, min_size=1, max_size=4),
        lambda inner: st.lists(
            simple | st.tuples(st.just("lock"), inner) | st.tuples(st.just("group"), inner, inner),
            min_size=1,
            max_size=4,
        ),
        max_leaves=6,
    )
    return st.tuples(steps, steps, steps)


class Machine:
    """Runs such a program, and writes down what happens in it; ``wait`` is its I/O."""

    def __init__(self, program: Any, wait: Callable[[str], Awaitable[Any]]) -> None:
        self._program = program
        self._wait = wait
        self._times = itertools.count(1)
        self.log: list[Any] = []

    async def main(self) -> None:
        self._lock = trio.Lock()
        self._limiter = trio.CapacityLimiter(1)
        self._send, self._receive = trio.open_memory_channel[str](1)
        async with trio.open_nursery() as nursery:
            for name, steps in zip("abc", self._program, strict=True):
                nursery.start_soon(self._do, name, steps)

    def _time(self) -> float:
        """No two deadlines are at one time: trio orders those by address."""
        return 1 + 0.01 * next(self._times)

    async def _do(self, name: str, steps: Any) -> None:
        for number, step in enumerate(steps):
            self.log.append((name, number, round(trio.current_time(), 6)))
            if isinstance(step, tuple):
                await self._inside(f"{name}{number}", *step)
            else:
                await getattr(self, f"_{step}")(f"{name}.{number}")
        self.log.append((name, "ends"))

    async def _inside(self, name: str, kind: str, *programs: Any) -> None:
        if kind == "lock":
            if self._lock.statistics().owner is trio.lowlevel.current_task():
                return
            async with self._lock:
                await self._do(name, programs[0])
            return
        async with trio.open_nursery() as nursery:
            for child, steps in zip("xy", programs, strict=True):
                nursery.start_soon(self._do, name + child, steps)

    async def _io(self, name: str) -> None:
        with trio.move_on_after(self._time()) as scope:
            await self._wait(name)
        self.log.append((name, scope.cancelled_caught))

    async def _yield(self, name: str) -> None:
        await trio.lowlevel.checkpoint()

    async def _sleep(self, name: str) -> None:
        await trio.sleep(self._time())

    async def _late(self, name: str) -> None:
        """A deadline that is set to a time in the past."""
        with trio.CancelScope() as scope:
            scope.deadline = trio.current_time() - self._time()
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
        self.log.append((name, scope.cancelled_caught))

    async def _limit(self, name: str) -> None:
        async with self._limiter:
            await self._wait(name)

    async def _put(self, name: str) -> None:
        with trio.move_on_after(self._time()):
            await self._send.send(name)

    async def _get(self, name: str) -> None:
        with trio.move_on_after(self._time()):
            self.log.append((name, await self._receive.receive()))


# One that writes down, and one that obeys


class Writing(StockTrio):
    """Writes down the batches: what came in before each, at what time it ran, and which way."""

    def __init__(self, scheduler: Any, **options: Any) -> None:
        super().__init__(scheduler, **options)
        self.batches: list[Any] = []
        self._came: list[str] = []

    def _take(self, option: Any) -> None:
        if not isinstance(option, Timer) or type(option) is Latency:
            self._came.append(option.kind)
        super()._take(option)

    def _run_batch(self) -> None:
        first = self._steps[0]
        came, self._came = self._came, []
        self.batches.append([came, self.now, True])
        record = self.batches[-1]
        step, begun = super()._step, []

        def look(next_step: Any) -> None:
            if not begun:
                record[2] = next_step is first
            begun.append(next_step)
            step(next_step)

        self._step = look  # type: ignore[method-assign]
        super()._run_batch()


class Obeying(trio.abc.Instrument, trio.abc.Clock, random.Random):
    """What trio's own loop asks: what has come, what time it is, and which way to run a batch."""

    def __new__(cls, batches: Any) -> Obeying:
        return super().__new__(cls)

    def __init__(self, batches: Any) -> None:
        super().__init__(0)
        self._batches: Iterator[Any] = iter(batches)
        self._scheduled: set[str] = set()
        self._now = 0.0
        self._asked = 0
        self._forwards = True
        self.waiting: dict[str, trio.lowlevel.Task] = {}

    async def io(self, name: str) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        self.waiting[name] = trio.lowlevel.current_task()

        def abort(_: Any) -> trio.lowlevel.Abort:
            del self.waiting[name]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def task_scheduled(self, task: Any) -> None:
        own = task.name.startswith("<") or task.name == "isomodel"
        self._scheduled.add("trio's own" if own else "the program's")

    def after_io_wait(self, timeout: float) -> None:
        scheduled, self._scheduled = self._scheduled, set()
        if scheduled == {"trio's own"}:
            return
        came, self._now, self._forwards = next(self._batches, ([], self._now, True))
        for name in came:
            trio.lowlevel.reschedule(self.waiting.pop(name))
        self._scheduled.clear()

    def random(self) -> float:
        return 0.0 if self._forwards else 0.9

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        self._asked += 1
        assert self._asked < 20_000, "it waits for what has come already"
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0.0


@settings(max_examples=60, deadline=None)
@given(programs(), st.integers(0, 2**32), st.booleans())
def test_trios_own_loop_takes_the_same_steps(program: Any, seed: int, wild: bool) -> None:
    engine = Writing(Wild(seed) if wild else RandomWalk(seed), max_steps=3_000)
    ours = Machine(program, io)
    ended, _ = run_on(ours.main, engine, 0)
    if ended != "ok":
        return  # it waits for itself, which no loop mends
    obeying = Obeying(engine.batches)
    theirs = Machine(program, obeying.io)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_run, "_r", obeying)
        patch.setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", False)  # Hypothesis sets it
        trio.run(theirs.main, clock=obeying, instruments=[obeying])
    assert theirs.log == ours.log


# What is reached


def orders(engine: Any, wait: Callable[[], Awaitable[Any]], walks: int, most: int) -> int:
    """Of 3 tasks that wait and note their number, twice each."""
    seen: set[tuple[int, ...]] = set()

    async def main() -> None:
        order: list[int] = []

        async def work(number: int) -> None:
            for _ in range(2):
                await wait()
                order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(work, number)
        seen.add(tuple(order))

    for seed in range(walks):
        run_on(main, engine(Wild(seed) if seed % 2 else RandomWalk(seed)), 0)
        if len(seen) == most:
            break
    return len(seen)


def test_portable_reaches_every_order_of_checkpoints_and_of_io() -> None:
    assert orders(PortableTrio, trio.lowlevel.checkpoint, 6_000, 90) == 90
    assert orders(PortableTrio, io, 6_000, 90) == 90


def test_stock_reaches_every_order_of_io() -> None:
    assert orders(StockTrio, io, 8_000, 90) == 90


def test_stock_reaches_the_orders_of_checkpoints_that_trio_does() -> None:
    """Two ways for each of three batches, and each is seen in what trio itself does."""
    seen: set[tuple[int, ...]] = set()

    async def main() -> None:
        order: list[int] = []

        async def work(number: int) -> None:
            for _ in range(2):
                await trio.lowlevel.checkpoint()
                order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(work, number)
        seen.add(tuple(order))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", False)
        patch.setattr(_run, "_r", random.Random(0))
        for _ in range(100):
            trio.run(main)
    theirs = set(seen)
    seen.clear()
    for seed in range(100):
        run_on(main, StockTrio(Wild(seed)), 0)
    assert seen == theirs


def test_a_task_that_waits_for_nothing_real_is_blocked() -> None:
    async def main() -> None:
        await trio.Event().wait()

    engine = StockTrio(RandomWalk(0))
    with pytest.raises(Blocked, match=r"main waits at .*main:\d+ > Event.wait:\d+"):
        engine.run(main())
    engine.dismiss()
