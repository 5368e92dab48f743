"""Whatever asyncio promises to programs holds on both loops, under any schedule."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio._backends._asyncio
import anyio.from_thread
import anyio.to_thread
import pytest

from isomodel.engine.control.control import Control
from isomodel.engine.loop import Blocked, ControlledLoop, NotSimulated, OutOfSteps
from isomodel.engine.portable import PortableLoop
from isomodel.engine.stock import StockLoop
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.search.program import run_program

LOOPS: tuple[Callable[..., ControlledLoop], ...] = (StockLoop, PortableLoop)

Main = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture(params=LOOPS, ids=("stock", "portable"))
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def new(kind: Any, seed: int | None = None, **options: Any) -> ControlledLoop:
    loop: ControlledLoop = kind(Default() if seed is None else RandomWalk(seed), **options)
    return loop


def everywhere(main: Main, kind: Any, *, seeds: int = 25, errors: bool = False) -> list[Any]:
    """What ``main`` returns under the default and random schedules."""
    results = []
    for seed in (None, *range(seeds)):
        loop = new(kind, seed, record=True)
        try:
            results.append(loop.run(main()))
        finally:
            for task in loop.pending_tasks():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            loop.close()
        assert errors or loop.errors == []
        assert loop.uncontrolled == []
    return results


def this_loop() -> ControlledLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ControlledLoop)
    return loop


def arriving(name: str = "io") -> asyncio.Future[None]:
    return this_loop().io(name, 0.0, None)


# What asyncio offers; each program checks itself


async def task_group() -> None:
    variable = contextvars.ContextVar("variable", default=0)

    async def work(number: int) -> int:
        variable.set(number)
        for _ in range(3):
            await arriving()
        return variable.get()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(number), name=f"w{number}") for number in range(3)]
    assert [task.result() for task in tasks] == [0, 1, 2]
    assert [task.get_name() for task in tasks] == ["w0", "w1", "w2"]
    assert variable.get() == 0


async def task_group_with_failures() -> None:
    ended = []

    async def fail(error: Exception) -> None:
        await arriving()
        raise error

    async def wait() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(1)

    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait())
            await asyncio.sleep(0.1)
            group.create_task(fail(ValueError()))
            group.create_task(wait())

    with pytest.raises(BaseExceptionGroup) as caught:
        await together()
    assert {type(error) for error in caught.value.exceptions} == {ValueError}
    assert ended


async def timeouts() -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await asyncio.sleep(1000)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout_at(loop.time()):
            await asyncio.Event().wait()
    assert await asyncio.wait_for(asyncio.sleep(0, "done"), 200) == "done"
    async with asyncio.timeout(0) as scope:
        scope.reschedule(loop.time() + 900)
    assert loop.time() - begin >= 8


async def nested_timeouts_at_one_time() -> None:
    async def nested() -> None:
        async with asyncio.timeout(1):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await asyncio.sleep(9)
            await asyncio.sleep(9)

    with pytest.raises(TimeoutError):
        await nested()


async def waiting_for_several() -> None:
    async def work(number: int) -> int:
        await arriving()
        return number

    assert await asyncio.gather(*map(work, range(3))) == [0, 1, 2]
    seen = [await each for each in asyncio.as_completed(list(map(work, range(3))))]
    assert sorted(seen) == [0, 1, 2]
    tasks = [asyncio.create_task(work(number)) for number in range(3)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) >= 1
    assert done | pending == set(tasks)
    done, pending = await asyncio.wait(tasks)
    assert not pending
    results = await asyncio.gather(work(1), broken(), return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], ZeroDivisionError)


async def broken() -> None:
    await arriving()
    raise ZeroDivisionError


async def shielding() -> None:
    async def inner() -> str:
        await asyncio.sleep(1)
        return "kept"

    task = asyncio.create_task(inner())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), 0)
    assert await task == "kept"


async def queues() -> None:
    for make in (asyncio.Queue, asyncio.PriorityQueue, asyncio.LifoQueue):
        queue: asyncio.Queue[int] = make(1)
        got: list[int] = []

        async def produce(queue: asyncio.Queue[int] = queue) -> None:
            for number in range(4):
                await queue.put(number)

        async def consume(queue: asyncio.Queue[int] = queue, got: list[int] = got) -> None:
            for _ in range(4):
                got.append(await queue.get())
                queue.task_done()

        await asyncio.gather(produce(), consume(), queue.join())
        assert got == [0, 1, 2, 3]


async def primitives() -> None:
    lock, semaphore = asyncio.Lock(), asyncio.BoundedSemaphore(2)
    condition, barrier, event = asyncio.Condition(), asyncio.Barrier(3), asyncio.Event()
    inside, holding, arrived = [0], [0], []

    async def work(number: int) -> None:
        async with lock:
            inside[0] += 1
            assert inside[0] == 1
            await arriving()
            inside[0] -= 1
        async with semaphore:
            holding[0] += 1
            assert holding[0] <= 2
            await asyncio.sleep(0)
            holding[0] -= 1
        await barrier.wait()
        event.set()
        await event.wait()
        async with condition:
            arrived.append(number)
            condition.notify_all()

    async def watch() -> None:
        async with condition:
            await condition.wait_for(lambda: len(arrived) == 3)

    await asyncio.gather(work(0), work(1), work(2), watch())


async def threads() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")

    def inside() -> str:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        value = variable.get()
        variable.set("theirs")
        return value

    def fail() -> None:
        raise KeyError("no")

    assert await asyncio.to_thread(inside) == "mine"
    assert variable.get() == "mine"
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, variable.get) == "unset"
    with pytest.raises(KeyError):
        await asyncio.to_thread(fail)
    assert asyncio.get_running_loop() is loop
    assert await asyncio.gather(*(asyncio.to_thread(lambda i=i: i) for i in range(3))) == [0, 1, 2]


async def what_a_thread_sends_stays_in_order() -> None:
    loop = asyncio.get_running_loop()
    got: list[int] = []

    def send() -> None:
        for number in range(4):
            loop.call_soon_threadsafe(got.append, number)

    await asyncio.to_thread(send)
    assert got == [0, 1, 2, 3]


async def one_worker_works_in_order() -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        order: list[int] = []
        done: list[int] = []
        futures = [loop.run_in_executor(pool, order.append, number) for number in range(4)]
        for number, future in enumerate(futures):
            future.add_done_callback(lambda _, number=number: done.append(number))  # type: ignore
        await asyncio.gather(*futures)
    assert order == done == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match="after shutdown"):
        loop.run_in_executor(pool, order.append, 5)


async def a_function_cancelled_before_it_starts_never_runs() -> None:
    ran: list[int] = []
    future = asyncio.get_running_loop().run_in_executor(None, ran.append, 1)
    future.cancel()
    for _ in range(3):
        await arriving()
    assert ran == []


async def callbacks_are_first_in_first_out() -> None:
    loop = asyncio.get_running_loop()
    order: list[int] = []
    loop.call_soon(order.append, 0)
    loop.call_soon_threadsafe(order.append, 1)
    loop.call_soon(order.append, 2)
    cancelled = loop.call_soon(order.append, 99)
    cancelled.cancel()
    assert cancelled.cancelled()
    future = loop.create_future()
    future.add_done_callback(lambda _: order.append(3))
    future.add_done_callback(lambda _: order.append(4))
    future.set_result(None)
    while len(order) < 5:
        await asyncio.sleep(0)
    assert order == [0, 1, 2, 3, 4]


async def timers() -> None:
    loop = asyncio.get_running_loop()
    order: list[Any] = []
    loop.call_later(2, order.append, "b")
    loop.call_at(loop.time() + 1, order.append, "a")
    gone = loop.call_later(1.5, order.append, "never")
    assert gone.when() == loop.time() + 1.5
    gone.cancel()
    await asyncio.sleep(3)
    assert order == ["a", "b"]


async def a_timer_at_a_whole_second_leaves_the_clock_a_float() -> None:
    loop = asyncio.get_running_loop()
    reached = loop.create_future()
    loop.call_at(3, lambda: reached.set_result(loop.time()))
    assert repr(await reached) == "3.0"


async def a_timer_for_now_does_not_wait() -> None:
    if isinstance(asyncio.get_running_loop(), PortableLoop):
        return
    loop = asyncio.get_running_loop()
    order: list[str] = []
    loop.call_later(0, order.append, "x")
    loop.call_at(loop.time() - 5, order.append, "y")
    for _ in range(2):
        await asyncio.sleep(0)
    assert order == ["y", "x"]


async def cancellation_counts() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel("first")
    with pytest.raises(asyncio.CancelledError):
        await arriving()
    assert task.cancelling() == 1
    assert task.uncancel() == 0
    await arriving()

    async def never_begins() -> None:
        raise AssertionError

    unborn = asyncio.create_task(never_begins())
    unborn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unborn


async def who_is_there() -> None:
    async def child() -> None:
        assert asyncio.current_task() is tasks[0]
        await arriving()

    tasks = [asyncio.create_task(child())]
    main = asyncio.current_task()
    assert asyncio.all_tasks() == {main, *tasks}
    assert asyncio.get_running_loop().is_running()
    await tasks[0]
    assert asyncio.all_tasks() == {main}


async def no_other_loop_inside() -> None:
    coroutine = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="running event loop"):
        asyncio.run(coroutine)
    with pytest.raises(RuntimeError, match="already running"):
        asyncio.get_running_loop().run_until_complete(coroutine)
    with pytest.raises(RuntimeError, match="another loop is running"):
        StockLoop(Default()).run_until_complete(coroutine)
    coroutine.close()


async def a_context_given_by_the_program() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    context = contextvars.Context()

    async def add() -> None:
        value = variable.get(0)
        await arriving()
        variable.set(value + 1)
        child = asyncio.create_task(arriving_once(), context=context)
        await child

    await asyncio.create_task(add(), context=context)
    await asyncio.create_task(add(), context=context)
    assert context.run(variable.get) == 2
    assert variable.get(None) is None
    assert this_loop().owner().label == "a_context_given_by_the_program"
    assert context.run(this_loop().owner) is this_loop().owner()


async def arriving_once() -> None:
    await arriving()


async def streams_of_our_own() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"line\n")
    assert await reader.readline() == b"line\n"


async def anyio_features() -> None:
    limiter = anyio.CapacityLimiter(1)
    inside = [0]

    async def work() -> None:
        async with limiter:
            inside[0] += 1
            assert inside[0] == 1
            await anyio.sleep(0.1)
            inside[0] -= 1

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(work)
    with anyio.move_on_after(1) as scope:
        await anyio.sleep(9)
    assert scope.cancelled_caught
    with pytest.raises(TimeoutError), anyio.fail_after(1):
        await anyio.Event().wait()
    send, receive = anyio.create_memory_object_stream[int](0)
    async with anyio.create_task_group() as group, send, receive:
        group.start_soon(send.send, 5)
        assert await receive.receive() == 5
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        group.start_soon(anyio.sleep_forever)
        group.cancel_scope.cancel()


async def anyio_threads() -> None:
    limiter = anyio.CapacityLimiter(2)
    seen: list[int] = []

    def work(number: int) -> int:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        anyio.from_thread.check_cancelled()
        seen.append(number)
        return number

    async def ask(number: int) -> None:
        assert await anyio.to_thread.run_sync(work, number, limiter=limiter) == number

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(ask, number)
    assert sorted(seen) == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError):
        await anyio.to_thread.run_sync(lambda: 1 // 0)


PROGRAMS: list[Main] = [
    task_group,
    task_group_with_failures,
    timeouts,
    nested_timeouts_at_one_time,
    waiting_for_several,
    shielding,
    queues,
    primitives,
    threads,
    what_a_thread_sends_stays_in_order,
    one_worker_works_in_order,
    a_function_cancelled_before_it_starts_never_runs,
    callbacks_are_first_in_first_out,
    timers,
    a_timer_at_a_whole_second_leaves_the_clock_a_float,
    a_timer_for_now_does_not_wait,
    cancellation_counts,
    who_is_there,
    no_other_loop_inside,
    a_context_given_by_the_program,
    streams_of_our_own,
    anyio_features,
    anyio_threads,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_programs_find_what_asyncio_promises(program: Main, kind: Any) -> None:
    everywhere(program, kind)


# Task factories


def test_a_factory_of_the_program_makes_its_tasks_and_names_stay_ours(kind: Any) -> None:
    made = []

    class Own(asyncio.Task[Any]):
        pass

    async def work() -> str:
        await arriving()
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    async def main() -> Any:
        loop = this_loop()
        made.clear()

        def factory(loop: Any, coro: Any, **options: Any) -> Own:
            task = Own(coro, loop=loop, **options)
            made.append(task)
            return task

        loop.set_task_factory(factory)
        assert loop.get_task_factory() is factory
        given = loop.create_task(work(), name="given")
        names = await asyncio.gather(work(), work(), given)
        assert [loop.name_of(task) for task in made] == ["main/work", "main/work#2", "main/work#3"]
        return names

    for names in everywhere(main, kind):
        assert names == ["main/work#2", "main/work#3", "given"]


def test_tasks_that_the_program_makes_by_itself_are_named_and_owned(kind: Any) -> None:
    async def work() -> str:
        await arriving()
        return this_loop().owner().label

    async def main() -> Any:
        task = asyncio.Task(work(), loop=asyncio.get_running_loop())
        label = await task
        return label, this_loop().name_of(task)

    assert set(everywhere(main, kind)) == {("main/work", "main/work")}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks_begin_at_once_under_their_own_name(kind: Any) -> None:
    async def work(order: list[Any]) -> None:
        task = asyncio.current_task()
        assert task is not None
        order.append(task.get_name())
        await arriving()
        order.append("end")

    async def main() -> list[Any]:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore
        order: list[Any] = []
        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(work(order))
                order.append(number)
        return order

    for order in everywhere(main, kind):
        assert order == ["main/work", 0, "main/work#2", 1, "end", "end"]


# Errors


def test_an_exception_in_a_callback_reaches_the_programs_handler_alone(
    kind: Any,
) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        heard: list[str] = []

        def handler(loop: Any, context: Any) -> None:
            heard.append(type(context["exception"]).__name__)
            raise ArithmeticError

        loop.set_exception_handler(handler)
        assert loop.get_exception_handler() is handler
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)
        return heard

    loop = new(kind)
    assert loop.run(main()) == ["ZeroDivisionError"]
    assert loop.errors == [
        "Exception in callback test_an_exception_in_a_callback_reaches_the_programs_handler_"
        "alone.<locals>.main.<locals>.<lambda>: ZeroDivisionError: division by zero",
        "Unhandled error in exception handler: ArithmeticError: ",
    ]


def test_a_task_error_that_nobody_retrieves_is_kept_as_text_and_frees_what_it_held(
    kind: Any,
) -> None:
    class Thing:
        pass

    async def fail(things: list[weakref.ref[Thing]]) -> None:
        thing = Thing()
        things.append(weakref.ref(thing))
        raise LookupError("lost")

    async def main() -> list[weakref.ref[Thing]]:
        things: list[weakref.ref[Thing]] = []
        asyncio.get_running_loop().create_task(fail(things))
        await asyncio.sleep(1)
        gc.collect()
        return things

    loop = new(kind)
    (thing,) = loop.run(main())
    assert thing() is None
    assert loop.errors == ["Task exception was never retrieved: LookupError: lost"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["task", "callback", "timer"])
def test_the_end_of_the_process_ends_the_run_and_leaves_nothing(
    kind: Any, error: type[BaseException], where: str
) -> None:
    def leave() -> None:
        raise error

    async def work() -> None:
        leave()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        if where == "task":
            task = loop.create_task(work())
            task.add_done_callback(lambda task: task.exception())
        elif where == "callback":
            loop.call_soon(leave)
        else:
            loop.call_later(1, leave)
        await asyncio.sleep(9)

    for seed in range(5):
        loop = new(kind, seed)
        with nothing_left(), pytest.raises(error):
            loop.run(main())
        end(loop)


def test_an_exit_in_a_thread_reaches_who_awaits_it(kind: Any) -> None:
    async def main() -> str:
        try:
            await asyncio.to_thread(sys.exit, 3)
        except SystemExit as error:
            return f"caught {error.code}"
        return "nothing"

    assert set(everywhere(main, kind)) == {"caught 3"}


def test_a_thread_that_waits_for_the_loop_is_told_so_instead_of_hanging(kind: Any) -> None:
    async def answer() -> int:
        return 5

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def ask() -> int:
            return asyncio.run_coroutine_threadsafe(answer(), loop).result()

        await asyncio.to_thread(ask)

    loop = new(kind)
    with pytest.raises(NotSimulated, match="a worker thread waits for the event loop"):
        loop.run(main())
    end(loop)


def test_real_io_is_refused_by_name_and_reported(kind: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(15, print)  # nobody sends one
        with contextlib.suppress(NotImplementedError):
            loop.add_reader(0, print)
        await loop.subprocess_shell(asyncio.SubprocessProtocol, "true")

    loop = new(kind)
    with pytest.raises(NotSimulated, match=r"loop\.subprocess_shell is real I/O"):
        loop.run(main())
    assert [issue.source for issue in loop.uncontrolled] == [
        "loop.add_reader",
        "loop.subprocess_shell",
    ]


def test_what_another_executor_runs_is_reported(kind: Any) -> None:
    from concurrent.futures import Executor

    async def main() -> int:
        return await asyncio.get_running_loop().run_in_executor(Executor(), int, "7")

    loop = new(kind)
    assert loop.run(main()) == 7
    assert [issue.source for issue in loop.uncontrolled] == ["executor"]


# Asynchronous generators


async def counting(closed: list[str], name: str) -> AsyncIterator[int]:
    try:
        for number in range(9):
            yield number
    finally:
        await asyncio.sleep(0)
        closed.append(name)


def test_abandoned_generators_are_closed_by_tasks_of_the_loop(kind: Any) -> None:
    async def main() -> list[str]:
        closed: list[str] = []
        async for _ in counting(closed, "a"):
            break
        while not closed:
            await asyncio.sleep(0)
        return closed

    assert everywhere(main, kind) == [["a"]] * 26


def test_generators_left_open_are_closed_in_the_order_in_which_they_began(kind: Any) -> None:
    async def main() -> list[str]:
        closed: list[str] = []
        names = [str(number) for number in range(20)]
        open_ones = [counting(closed, name) for name in names]
        for generator in open_ones:
            await anext(generator)
        await asyncio.get_running_loop().shutdown_asyncgens()
        assert sorted(closed) == sorted(names)
        return closed

    loop = new(StockLoop)
    assert loop.run(main()) == [str(number) for number in range(20)]
    everywhere(main, kind, seeds=3)


# The end


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """The interpreter is as it was: no running loop, no hooks, no context variables."""
    hooks, context = sys.get_asyncgen_hooks(), dict(contextvars.copy_context())
    yield
    assert asyncio._get_running_loop() is None
    assert sys.get_asyncgen_hooks() == hooks
    assert dict(contextvars.copy_context()) == context
    with pytest.raises(RuntimeError):
        asyncio.current_task()


def end(loop: ControlledLoop) -> None:
    with loop.running():
        for task in loop.pending_tasks():
            task.cancel()
        with contextlib.suppress(Blocked, OutOfSteps):
            loop.settle()
    loop.close()


async def ends_well() -> None:
    asyncio.get_running_loop().call_later(9, print)
    arriving()


async def raises() -> None:
    asyncio.get_running_loop().create_task(asyncio.sleep(9))
    raise ValueError


async def deadlocks() -> None:
    await asyncio.gather(asyncio.Event().wait(), asyncio.Lock().acquire())


async def yields_for_ever() -> None:
    while True:
        await asyncio.sleep(0)


async def sleeps_for_ever() -> None:
    while True:
        await asyncio.sleep(1)


async def calls_back_for_ever() -> None:
    loop = asyncio.get_running_loop()

    def again() -> None:
        loop.call_soon(again)

    again()
    await loop.create_future()


async def swallows_cancellation() -> None:
    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await arriving()

    task = asyncio.create_task(stubborn())
    await arriving()
    task.cancel()


ENDS = [
    (ends_well, "ok"),
    (raises, "raised"),
    (deadlocks, "hang"),
    (yields_for_ever, "busy"),
    (sleeps_for_ever, "busy"),
    (calls_back_for_ever, "busy"),
    (swallows_cancellation, "ok"),
]


@pytest.mark.parametrize(("main", "ended"), ENDS, ids=[main.__name__ for main, _ in ENDS])
@pytest.mark.parametrize("fidelity", ["stock", "portable"])
def test_however_it_ends_nothing_is_left_behind(main: Main, ended: str, fidelity: Any) -> None:
    loops: list[weakref.ref[Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(3):
            with nothing_left():
                outcome = run_once(main, RandomWalk(seed), fidelity, loops)
            assert outcome == ended
    gc.collect()
    assert [reference for reference in loops if reference() is not None] == []


def run_once(main: Main, walk: Any, fidelity: Any, loops: list[weakref.ref[Any]]) -> str:
    with Control().installed():
        ended, _, loop = run_program(main, walk, fidelity=fidelity, max_steps=2_000)
    loops.append(weakref.ref(loop))
    return ended


def test_a_finished_program_needs_no_garbage_collector(kind: Any) -> None:
    async def child() -> None:
        await arriving()
        await asyncio.sleep(1)

    async def main() -> None:
        await asyncio.gather(child(), child(), asyncio.to_thread(int))

    gc.collect()
    gc.disable()
    try:
        for seed in range(3):
            loop = new(kind, seed, record=True)
            loop.run(main())
            loop.close()
            reference = weakref.ref(loop)
            del loop
            assert reference() is None
    finally:
        gc.enable()


def test_a_deadlock_names_where_each_task_waits(kind: Any) -> None:
    barrier = asyncio.Barrier(2)

    async def hold(lock: asyncio.Lock, other: asyncio.Lock) -> None:
        async with lock:
            await barrier.wait()
            async with other:
                pass

    async def drain() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    async def main() -> None:
        one, two = asyncio.Lock(), asyncio.Lock()

        async def read() -> None:
            async for _ in drain():
                pass

        await asyncio.gather(hold(one, two), hold(two, one), read())

    loop = new(kind)
    with pytest.raises(Blocked) as caught:
        loop.run(main())
    text = str(caught.value)
    assert text.count("Lock.acquire:") == 2
    assert "main/hold#2 waits at" in text
    assert ".<locals>.drain:" in text
    assert "Event.wait:" in text
    end(loop)


def test_a_runaway_execution_stops_at_its_limit(kind: Any) -> None:
    for main in (yields_for_ever, sleeps_for_ever, calls_back_for_ever):
        loop = new(kind, max_steps=500)
        with pytest.raises(OutOfSteps):
            loop.run(main())
        assert loop.steps <= 510
        end(loop)


# Runners that bring their own main function


def test_asyncio_runner_and_anyio_run_on_a_controlled_loop(kind: Any) -> None:
    async def main() -> float:
        await asyncio.sleep(10)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=lambda: new(kind)) as runner:
        assert runner.run(main()) == 10
        assert runner.run(main()) == 20
    options = {"loop_factory": lambda: new(kind)}
    assert anyio.run(main, backend="asyncio", backend_options=options) == 10
    loop = new(kind)
    loop.call_later(1, loop.stop)
    loop.run_forever()
    assert loop.time() == 1
    loop.close()
    coroutine = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_until_complete(coroutine)
    coroutine.close()


def test_stopping_the_loop_one_runs_on_is_reported(kind: Any) -> None:
    async def main() -> None:
        asyncio.get_running_loop().stop()

    loop = new(kind)
    loop.run(main())
    assert [issue.source for issue in loop.uncontrolled] == ["loop.stop"]


# Real threads


def test_a_real_thread_is_reported_and_waited_for(kind: Any) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()

        def work() -> None:
            loop.call_soon_threadsafe(future.set_result, "sent")

        threading.Thread(target=work, name="mine").start()
        return await future

    async def alone() -> None:
        await asyncio.get_running_loop().create_future()

    control = Control()
    with control.installed():
        for expected in ("sent", None):
            loop = new(kind)
            control.begin(0, loop.time, lambda: "")
            try:
                if expected:
                    assert loop.run(main()) == expected
                else:
                    with pytest.raises(Blocked):
                        loop.run(alone())
            finally:
                issues = (*control.end(), *loop.uncontrolled)
                end(loop)
            assert ("thread" in {issue.source for issue in issues}) == bool(expected)


# Fairness


def test_who_looks_again_and_again_is_not_kept_waiting_for_ever(kind: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future, other = arriving(), asyncio.create_task(arriving_once())
        while not future.done() or not other.done():
            await asyncio.sleep(0)
        while loop.time() < 3:
            loop.call_later(1, int)
            await asyncio.sleep(0)
        later = loop.create_future()

        def look() -> None:
            if seen.done():
                later.set_result(None)
            else:
                loop.call_soon(look)

        seen = arriving()
        look()
        await later

    everywhere(main, kind)
