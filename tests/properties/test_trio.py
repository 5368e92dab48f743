"""trio under control: what its programs see, what is found in them, and what cannot be done."""

from __future__ import annotations

import contextlib
import contextvars
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing

from isomodel.engine.runtime import Blocked, OutOfSteps
from isomodel.engine.trio.fidelities import PortableTrio, StockTrio
from isomodel.engine.world import enter, io
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.search.program import run_program
from isomodel.search.running.execute import execute, session
from isomodel.targets.declare import operation, spec_of
from isomodel.values.scenario import Operation, Scenario

ENGINES = (StockTrio, PortableTrio)


@pytest.fixture(autouse=True, scope="module")
def under_control() -> Iterator[None]:
    with session():
        yield


def ran(main: Any, engine: Any = StockTrio, **options: Any) -> Any:
    """The result of this program under the default rule."""
    return run_under(engine(Default(), record=True, **options), main)


def run_under(engine: Any, main: Any) -> Any:
    """The result of this program on this engine, which is over then."""
    before = enter(engine)
    try:
        return engine.run(main())
    finally:
        enter(before)
        engine.dismiss()


# What programs see


@pytest.mark.parametrize("engine", ENGINES)
def test_time_is_virtual_and_time_limits_pass_in_it(engine: Any) -> None:
    async def main() -> Any:
        with trio.move_on_after(5) as scope:
            await trio.sleep(100)
        with pytest.raises(trio.TooSlowError):
            with trio.fail_after(2):
                await trio.sleep_forever()
        return scope.cancelled_caught, trio.current_time()

    assert ran(main, engine) == (True, 7.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_trios_own_tools_work(engine: Any) -> None:
    async def main() -> list[Any]:
        out: list[Any] = []
        send, receive = trio.open_memory_channel[int](0)

        async def produce() -> None:
            async with send:
                for number in range(3):
                    await send.send(number)

        async def serve(task_status: Any) -> None:
            task_status.started("ready")
            await trio.sleep(1)
            out.append("served")

        async def numbers() -> Any:
            for number in range(2):
                await trio.lowlevel.checkpoint()
                yield number

        async with trio.open_nursery() as nursery:
            nursery.start_soon(produce)
            out.append(await nursery.start(serve))
            out += [number async for number in receive]
            async with contextlib.aclosing(numbers()) as some:
                out += [number async for number in some]
        await trio.testing.wait_all_tasks_blocked()
        return out

    assert ran(main, engine) == ["ready", 0, 1, 2, 0, 1, "served"]


def test_an_error_in_a_nursery_comes_out_as_a_group_and_cancels_the_others() -> None:
    log = []

    async def fails() -> None:
        await trio.sleep(1)
        raise KeyError("lost")

    async def waits() -> None:
        try:
            await trio.sleep_forever()
        finally:
            log.append("cancelled")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits)
            nursery.start_soon(fails)

    with pytest.raises(ExceptionGroup) as caught:
        ran(main)
    assert isinstance(caught.value.exceptions[0], KeyError)
    assert log == ["cancelled"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_thread_runs_when_the_scheduler_lets_it(engine: Any) -> None:
    def outcomes(seed: int) -> str:
        async def main() -> str:
            log: list[str] = []

            async def other() -> None:
                await io("other")
                log.append("io")

            async def work() -> None:
                await trio.to_thread.run_sync(log.append, "thread")
                log.append("back")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(other)
                nursery.start_soon(work)
            return " ".join(log)

        return str(run_under(engine(RandomWalk(seed)), main))

    seen = {outcomes(seed) for seed in range(60)}
    assert seen == {"io thread back", "thread io back", "thread back io"}


def test_a_thread_is_outside_trio_and_may_be_abandoned() -> None:
    async def main() -> list[str]:
        out = []

        def work() -> None:
            out.append("ran")
            with pytest.raises(RuntimeError):
                trio.lowlevel.current_task()

        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.to_thread.run_sync(work)
            except trio.Cancelled:
                out.append("never began")
                raise
        with trio.move_on_after(1):
            await trio.to_thread.run_sync(work, abandon_on_cancel=True)
        return out

    assert ran(main) == ["never began", "ran"]


def test_calling_back_from_a_thread_is_refused_by_name() -> None:
    async def main() -> None:
        await trio.to_thread.run_sync(trio.from_thread.run_sync, int)

    how, why, loop = run_program(main, Default(), runtime="trio")
    assert how == "raised"
    assert "a worker thread waits for trio" in why
    assert [issue.source for issue in loop.uncontrolled] == ["trio.from_thread"]


def test_calls_from_elsewhere_come_soon_and_idempotent_ones_once() -> None:
    async def main() -> list[str]:
        log: list[str] = []
        token = trio.lowlevel.current_trio_token()
        token.run_sync_soon(log.append, "soon")
        token.run_sync_soon(log.append, "once", idempotent=True)
        token.run_sync_soon(log.append, "once", idempotent=True)
        await trio.to_thread.run_sync(token.run_sync_soon, log.append, "from a thread")
        await trio.sleep(1)
        return log

    assert ran(main) == ["soon", "once", "from a thread"]


def test_trio_may_be_run_anew_in_a_worker_thread() -> None:
    async def inner() -> int:
        with trio.CancelScope():
            await trio.lowlevel.checkpoint()
        return 3

    async def main() -> int:
        return await trio.to_thread.run_sync(trio.run, inner)

    assert ran(main) == 3


def test_the_programs_own_instruments_are_told() -> None:
    class Counts(trio.abc.Instrument):
        steps = 0

        def after_task_step(self, task: Any) -> None:
            self.steps += 1

    async def main() -> int:
        counts = Counts()
        trio.lowlevel.add_instrument(counts)
        await trio.lowlevel.checkpoint()
        trio.lowlevel.remove_instrument(counts)
        await trio.lowlevel.checkpoint()
        return counts.steps

    assert ran(main) == 1


def test_real_io_is_refused_by_name() -> None:
    async def main() -> None:
        await trio.lowlevel.wait_readable(0)

    how, why, loop = run_program(main, Default(), runtime="trio")
    assert (how, "is real I/O" in why) == ("raised", True)
    assert [issue.source for issue in loop.uncontrolled] == ["trio.lowlevel.wait_readable"]


def test_outside_executions_trio_is_what_it_was() -> None:
    async def main() -> tuple[int, int]:
        return (
            await trio.to_thread.run_sync(int),
            await trio.to_thread.run_sync(lambda: trio.from_thread.run_sync(lambda: 3)),
        )

    assert trio.run(main) == (0, 3)


def test_an_execution_inside_a_trio_program_leaves_that_alone() -> None:
    async def inner() -> float:
        await trio.sleep(3)
        return trio.current_time()

    async def outer() -> float:
        task = trio.lowlevel.current_task()
        time = ran(inner)
        assert trio.lowlevel.current_task() is task
        await trio.sleep(0)
        return float(time)

    assert trio.run(outer) == 3.0


CURRENT: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="nobody")


def test_tasks_have_names_that_stay_the_same_and_the_context_of_their_nursery() -> None:
    seen = []

    async def child() -> None:
        await io()
        seen.append(CURRENT.get())

    async def main() -> None:
        CURRENT.set("me")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(child)
            nursery.start_soon(lambda: child())

    engine = StockTrio(Default(), record=True)
    run_under(engine, main)
    assert [step.task for step in engine.trace or ()][:4] == [
        "main",
        "main/child",
        "main/child#2",
        "main/child#3",
    ]
    assert seen == ["me"] * 3


# What ends an execution


def test_a_deadlock_says_where_each_task_waits() -> None:
    async def main() -> None:
        lock = trio.Lock()
        await lock.acquire()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lock.acquire)

    with pytest.raises(Blocked, match=r"main waits at .*main:\d+ > .*acquire waits at .*acquire"):
        ran(main)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_busy_program_runs_out_of_steps(engine: Any) -> None:
    async def main() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    with pytest.raises(OutOfSteps):
        ran(main, engine, max_steps=500)


@pytest.mark.parametrize("engine", ENGINES)
def test_nobody_who_looks_again_and_again_keeps_an_arrival_away(engine: Any) -> None:
    async def main() -> None:
        done = []

        async def other() -> None:
            await io()
            done.append(True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            while not done:
                await trio.lowlevel.checkpoint()

    ran(main, engine)


def test_what_swallows_its_cancellation_is_named_and_left_behind() -> None:
    async def main() -> None:
        while True:
            with contextlib.suppress(trio.Cancelled):
                await trio.sleep_forever()

    engine = StockTrio(Default())
    with pytest.raises(Blocked):
        engine.run(main())
    assert engine.dismiss() == ["main"]
    assert ran(trio.lowlevel.checkpoint) is None


def test_a_system_task_that_fails_ends_trio_and_that_is_a_crash() -> None:
    class Target:
        runtime = "trio"

        @operation
        async def spawn(self, user: str) -> int:
            async def fails() -> None:
                raise KeyError("lost")

            trio.lowlevel.spawn_system_task(fails)
            await io()
            return 1

    execution = execute(spec_of(Target), ONE_EACH, Default(), fidelity="stock")
    assert execution.ended == "crash"
    assert "KeyError: 'lost'" in execution.error


def test_an_exit_in_a_nursery_is_a_crash() -> None:
    class Target:
        runtime = "trio"

        @operation
        async def spawn(self, user: str) -> int:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sys.exit, 3)
            return 1

    execution = execute(spec_of(Target), ONE_EACH, Default(), fidelity="stock")
    assert execution.ended == "crash"
    assert "SystemExit(3)" in execution.error


ONE_EACH = Scenario((Operation("alice.1", "alice", "spawn"), Operation("bob.1", "bob", "spawn")))
