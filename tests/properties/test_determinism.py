"""An execution is a function of program and schedule: repeats, recordings and other processes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomodel.engine.loop import Blocked, ControlledLoop, OutOfSteps
from isomodel.engine.portable import PortableLoop
from isomodel.engine.stock import StockLoop
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.recording import Recording
from isomodel.schedulers.replay import Replay
from isomodel.values.schedule import Fault, Schedule
from isomodel.values.trace import Step

_spec = importlib.util.spec_from_file_location(
    "fidelity", Path(__file__).parent / "test_fidelity.py"
)
assert _spec is not None
assert _spec.loader is not None
fidelity = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fidelity)

PROGRAMS = fidelity.programs()
LOOPS: tuple[Callable[..., ControlledLoop], ...] = (StockLoop, PortableLoop)
SEEDS = st.integers(0, 2**32)
FAULTS = st.lists(
    st.builds(
        Fault,
        st.just("cancel"),
        st.sampled_from(("main/_run", "main/_run#2", "main/_run#3", "main/_run/_run")),
        st.integers(0, 3),
    ),
    max_size=2,
    unique=True,
)


def outside(self: Any, name: str, callback: Callable[[], object]) -> None:
    self.arrive("io", callback)


class Ran:
    """What one run did: its trace, its log, how it ended, and what the program itself saw."""

    def __init__(self, kind: Any, scheduler: Any, program: Any, faults: Any = ()) -> None:
        loop = type("Loop", (kind,), {"outside": outside})(
            scheduler, record=True, max_steps=3_000, faults=faults
        )
        machine = fidelity.Machine(program)
        self.ended = "ok"
        try:
            loop.run(machine.main())
        except (Blocked, OutOfSteps, asyncio.CancelledError) as error:
            self.ended = f"{type(error).__name__} {error}"
        self.trace: list[Step] = list(loop.trace)
        self.log = list(loop.log)
        self.steps = machine.steps
        self.met = tuple(loop.met)
        loop.scheduler = Default()
        fidelity.dismiss(loop, loop.run, machine)

    @property
    def all(self) -> Any:
        return self.trace, self.log, self.ended, self.steps


@pytest.mark.parametrize("kind", LOOPS)
@settings(max_examples=60, deadline=None)
@given(PROGRAMS, SEEDS, FAULTS)
def test_the_same_seed_gives_the_same_execution(
    kind: Any, program: Any, seed: int, faults: Any
) -> None:
    once, again = (Ran(kind, RandomWalk(seed), program, faults) for _ in range(2))
    assert once.all == again.all


@pytest.mark.parametrize("kind", LOOPS)
@settings(max_examples=60, deadline=None)
@given(PROGRAMS, SEEDS, FAULTS)
def test_recording_changes_nothing(kind: Any, program: Any, seed: int, faults: Any) -> None:
    bare = Ran(kind, RandomWalk(seed), program, faults)
    recorded = Ran(kind, Recording(RandomWalk(seed)), program, faults)
    assert bare.all == recorded.all


class Hidden:
    """A scheduler of which the loop cannot know that it is patient, or how else to ask it."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    def choose(self, options: Any, last: Any) -> int:
        """What the scheduler chooses."""
        chosen: int = self._scheduler.choose(options, last)
        return chosen


@pytest.mark.parametrize("kind", LOOPS)
@settings(max_examples=60, deadline=None)
@given(PROGRAMS, SEEDS, FAULTS)
def test_the_short_ways_for_a_patient_scheduler_change_nothing(
    kind: Any, program: Any, seed: int, faults: Any
) -> None:
    short = Ran(kind, RandomWalk(seed), program, faults)
    long = Ran(kind, Hidden(RandomWalk(seed)), program, faults)
    assert short.all == long.all


@pytest.mark.parametrize("kind", LOOPS)
def test_a_pick_that_is_not_what_choose_would_answer_shows(kind: Any) -> None:
    """The near miss of the test above: the loops do take the short way."""

    class Lying(Default):
        patient = True

        def pick(self, options: Any) -> int:
            return 0

    program = [[("io",), ("io",)], [("io",), ("io",)]]
    assert Ran(kind, Lying(), program).all != Ran(kind, Hidden(Lying()), program).all


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("walk", [RandomWalk, fidelity.Wild])
@settings(max_examples=60, deadline=None)
@given(PROGRAMS, SEEDS, FAULTS)
def test_a_recording_is_replayed_exactly(
    kind: Any, walk: Any, program: Any, seed: int, faults: Any
) -> None:
    recording = Recording(walk(seed))
    first = Ran(kind, recording, program, faults)
    schedule = Schedule("stock", tuple(recording.choices), first.met)
    replay = Replay(schedule.choices)
    second = Ran(kind, replay, program, schedule.faults)
    assert second.all == first.all
    assert replay.diverged == 0
    recorded_again = Recording(Replay(schedule.choices))
    Ran(kind, recorded_again, program, schedule.faults)
    assert recorded_again.choices == recording.choices
    assert recorded_again.switches == recording.switches


@pytest.mark.parametrize("kind", LOOPS)
@settings(max_examples=40, deadline=None)
@given(PROGRAMS)
def test_an_empty_schedule_is_the_default_run_and_has_no_switches(kind: Any, program: Any) -> None:
    recording = Recording(Default())
    default = Ran(kind, recording, program)
    assert recording.choices == []
    assert recording.switches == 0
    assert Ran(kind, Replay(()), program).all == default.all


@pytest.mark.parametrize("kind", LOOPS)
@settings(max_examples=60, deadline=None)
@given(PROGRAMS, SEEDS, st.data())
def test_a_schedule_still_runs_when_parts_of_the_program_are_gone(
    kind: Any, program: Any, seed: int, data: Any
) -> None:
    recording = Recording(fidelity.Wild(seed))
    Ran(kind, recording, program)
    kept = [
        [action for action in actions if data.draw(st.booleans())]
        for actions in program
        if data.draw(st.booleans())
    ] or [[("io",)]]
    replay = Replay(recording.choices)
    Ran(kind, replay, kept)
    assert 0 <= replay.diverged <= len(recording.choices)


def test_operations_run_one_after_another_by_default() -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def work(name: str) -> None:
            for number in range(3):
                order.append(f"{name}{number}")
                await fidelity.io()

        await asyncio.gather(work("a"), work("b"))
        return order

    for kind in LOOPS:
        order = kind(Default()).run(main())
        assert order in (
            ["a0", "b0", "a1", "b1", "a2", "b2"],
            ["a0", "a1", "a2", "b0", "b1", "b2"],
            ["a0", "b0", "b1", "b2", "a1", "a2"],
        )


# Other processes


async def full_of_sets() -> tuple[Any, ...]:
    """Everything here goes through sets of tasks, weak references or abandoned generators."""
    log: list[str] = []

    async def work(name: str) -> str:
        try:
            for _ in range(int(name) % 3 + 1):
                await fidelity.io()
            if name == "7":
                raise ValueError(name)
            await asyncio.sleep(int(name))
        except asyncio.CancelledError:
            log.append(f"cancelled {name}")
            raise
        return name

    async def numbers(name: str) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            log.append(f"closed {name}")

    tasks = {asyncio.create_task(work(str(number))) for number in range(7)}
    for _ in range(3):
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        log.extend(task.result() for task in done)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for number in range(9):
                group.create_task(work(str(number)))
    for task in asyncio.all_tasks():
        log.append(task.get_name())
    for name in "abc":
        async for _ in numbers(name):
            break
    futures = {asyncio.get_running_loop().run_in_executor(None, str, n) for n in range(9)}
    for earliest in asyncio.as_completed(futures):
        log.append(await earliest)
    done, _ = await asyncio.wait(futures)
    log.extend(future.result() for future in done)
    await asyncio.sleep(1)
    return tuple(log)


def fingerprint() -> str:
    out = []
    for kind in LOOPS:
        for seed in range(12):
            loop = kind(RandomWalk(seed), record=True)
            log = loop.run(full_of_sets())
            out.append(repr((log, loop.trace, loop.log, loop.steps, loop.errors)))
            loop.close()
    return "\n".join(out)


@pytest.mark.parametrize("hash_seed", ["1", "77"])
def test_another_process_with_other_hashes_does_the_same(hash_seed: str, tmp_path: Path) -> None:
    ballast = "x = [object() for _ in range(54321)]; "  # other addresses, too
    script = (
        f"{ballast}import importlib.util as u; s = u.spec_from_file_location('d', {__file__!r}); "
        "m = u.module_from_spec(s); s.loader.exec_module(m); print(m.fingerprint())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == fingerprint()


def test_names_are_unique_and_say_for_whom_a_task_works() -> None:
    async def child() -> None:
        await fidelity.io()

    async def main() -> list[str]:
        async def parent() -> None:
            await asyncio.gather(child(), child())

        await asyncio.gather(parent(), child(), asyncio.create_task(child(), name="their own"))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ControlledLoop)
        return [name for name, _ in loop.step_counts()]

    expected = [
        "main/child",
        "main/parent",
        "main/child#2",
        "main/parent/child",
        "main/parent/child#2",
    ]
    for kind in LOOPS:
        assert kind(Default()).run(main()) == expected
