"""What is found under stock shows on the ordinary event loop, held to the same order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from shrinking import shrunk

from isomodel import Secret, io, observe, operation
from isomodel.bridges.explain import explain
from isomodel.bridges.regression import source
from isomodel.engine.ordinary import Moment, OrdinaryLoop, RecordedLoop
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.replay import Replay
from isomodel.search import cases
from isomodel.search.campaign.campaign import confirm_case, run_jobs
from isomodel.search.campaign.jobs import Job
from isomodel.search.exploring.explore import Explorer
from isomodel.search.judging.confirm import confirm, confirm_program
from isomodel.search.program import explore_program
from isomodel.search.running.execute import MAX_STEPS, controlled, evidence, session
from isomodel.search.running.run import Run
from isomodel.targets.declare import TargetSpec, spec_of
from isomodel.targets.resolve import BUILTIN, resolve
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import Schedule

KEPT = sorted((Path(__file__).parents[1] / "regression" / "cases").glob("*.json"))
FACTORY = BUILTIN[0]


def on_ordinary(
    spec: TargetSpec, scenario: Scenario, schedule: Schedule
) -> tuple[Execution, Execution, str]:
    """The execution as simulated, and on asyncio's loop, and where the latter parted."""
    recorded = RecordedLoop(
        Replay(schedule.choices), faults=schedule.faults, max_steps=MAX_STEPS, record=True
    )
    simulated = Run(spec, scenario, recorded)
    issues = controlled(simulated)
    loop = OrdinaryLoop(Default(), recorded.moments, faults=schedule.faults, max_steps=MAX_STEPS)
    run = Run(spec, scenario, loop)
    return (
        evidence(simulated, schedule, issues, 0, 0),
        evidence(run, schedule, controlled(run), 0, 0),
        loop.parted,
    )


class Current:
    """Broken where a second request starts while the first one waits."""

    def __init__(self) -> None:
        self.user = ""

    @operation
    async def greet(self, user: str) -> str:
        self.user = user
        await io("one")
        return f"hello {self.user}"


class Handover:
    """Broken where a request is cancelled in the very tick in which its reply arrives."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[str] = asyncio.Queue()
        self.lost: list[str] = []

    @operation
    async def ask(self, user: str, text: Secret) -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def reply() -> None:
            await io("reply")
            if not future.done():
                future.set_result(text)

        task = asyncio.create_task(reply())
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.lost.append(text)
            raise
        finally:
            task.cancel()

    async def leave(self, user: str) -> None:
        pass

    def leftovers(self) -> list[str]:
        return ["a reply that nobody read" for _ in self.lost]


class Hasty:
    """Correct as long as tasks run in the order in which they were started, as stock does."""

    @operation
    async def both(self, user: str) -> list[str]:
        seen: list[str] = []

        async def step(name: str) -> None:
            seen.append(name)

        await asyncio.gather(step("open"), step("use"))
        while seen != ["open", "use"]:
            await asyncio.Event().wait()
        return seen

    @observe
    async def nothing(self, user: str) -> str:
        return "nothing"


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_every_kept_counterexample_shows_on_the_ordinary_loop(path: Path) -> None:
    case = cases.load(path)
    with session():
        told = confirm(case, resolve(case.target))
    assert told.confirmed
    assert "held back until their turn" in told.why
    assert ";" not in told.why  # nothing departed from the record


@pytest.mark.parametrize("path", KEPT[:4], ids=lambda path: path.stem)
def test_without_its_defect_the_same_order_breaks_nothing_there(path: Path) -> None:
    case = msgspec.structs.replace(cases.load(path), armed=())
    with session():
        told = confirm(case, resolve(case.target))
    assert not told.confirmed


class Net:
    """Streams over the in-memory network."""

    scopes = True

    async def start(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line.upper())
                await writer.drain()
            writer.close()

        self.server = await asyncio.start_server(serve, "localhost", 7)

    @operation
    async def echo(self, user: str, text: Secret) -> str:
        reader, writer = await asyncio.open_connection("localhost", 7)
        try:
            writer.write(text.encode() + b"\n")
            async with asyncio.timeout(3):
                return (await reader.readline()).decode()
        finally:
            writer.close()

    @operation
    async def pause(self, user: str) -> float:
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()


class Threads:
    """Worker threads, and tasks of a group."""

    cancels = "any"

    def __init__(self) -> None:
        self.count = 0

    @operation
    async def work(self, user: str) -> int:
        def bump() -> int:
            self.count += 1
            return self.count

        return await asyncio.to_thread(bump)

    @operation
    async def both(self, user: str) -> int:
        async with asyncio.TaskGroup() as group:
            one = group.create_task(asyncio.to_thread(lambda: 1))
            group.create_task(asyncio.to_thread(lambda: 2))
        return one.result()


class Streams:
    """A task group, a stream and a time limit of anyio's."""

    scopes = True

    @operation
    async def use(self, user: str) -> list[int]:
        send, receive = anyio.create_memory_object_stream[int](1)

        async def produce() -> None:
            async with send:
                for number in range(3):
                    await send.send(number)
                    await io("produce")

        async with anyio.create_task_group() as group, receive:
            group.start_soon(produce)
            seen = [number async for number in receive]
        with anyio.move_on_after(2):
            await anyio.sleep(3)
        return seen

    @operation
    async def thread(self, user: str) -> int:
        return await anyio.to_thread.run_sync(lambda: 3)


@pytest.mark.parametrize("target", [Net, Threads, Streams])
def test_so_it_does_with_networks_threads_and_anyio(target: type) -> None:
    spec = spec_of(target)
    with session():
        explorer = Explorer(spec, seed=3, fidelities=("stock",))
        for index in range(100, 160):
            found = explorer.run(explorer.draw(index), record=True)
            simulated, ordinary, parted = on_ordinary(spec, found.scenario, found.schedule)
            assert (parted, ordinary.trace) == ("", simulated.trace), index
            assert ordinary.arrivals == simulated.arrivals, index
            assert ordinary.observations == simulated.observations, index


@pytest.mark.parametrize("seed", range(3))
def test_the_ordinary_loop_takes_the_very_steps_that_were_simulated(seed: int) -> None:
    spec = resolve(FACTORY)
    with session():
        explorer = Explorer(spec, seed=seed, fidelities=("stock",))
        for index in range(40):
            found = explorer.run(explorer.draw(index), record=True)
            simulated, ordinary, parted = on_ordinary(spec, found.scenario, found.schedule)
            assert simulated.trace == found.trace
            assert (parted, ordinary.trace) == ("", simulated.trace), index
            assert ordinary.arrivals == simulated.arrivals
            assert ordinary.observations == simulated.observations


def test_a_cancellation_in_the_tick_of_a_reply_is_forced_there_too() -> None:
    case = shrunk(Handover, fidelities=("stock",))
    assert case.size.faults == 1
    with session():
        told = confirm(case, spec_of(Handover))
    assert told.confirmed, told.why


def test_what_only_portable_can_do_does_not_show_there() -> None:
    case = shrunk(Hasty, fidelities=("portable",))
    assert case.schedule.fidelity == "portable"
    with session():
        told = confirm(case, spec_of(Hasty))
    assert not told.confirmed
    assert "which task runs next" in told.why


def test_what_portable_found_and_stock_did_not_says_how_hard_that_was_tried() -> None:
    case = shrunk(Hasty, fidelities=("portable",))
    assert case.searched["stock"] > 100
    assert f"not found under stock in {case.searched['stock']} executions" in explain(case)


def test_what_portable_found_and_stock_too_is_reported_as_stock_and_tells_of_both() -> None:
    case = shrunk(Current, fidelities=("portable",))
    assert (case.schedule.fidelity, case.origin.fidelity) == ("stock", "portable")
    assert case.searched == {}
    assert "found under stock (first seen under portable): only" in explain(case)


def test_a_record_that_cannot_be_followed_is_named_and_left() -> None:
    spec = spec_of(Current)
    with session():
        draw = Explorer(spec, fidelities=("stock",)).draw(0)
        loop = OrdinaryLoop(Default(), [Moment(1, "zoe.1 start 0", 0.0)])
        run = Run(spec, draw.scenario, loop)
        controlled(run)
    assert run.ended == "done"
    assert loop.parted == "at 0 s, 'zoe.1 start 0' was not there to arrive"


def test_timers_set_to_one_time_come_apart_there_as_they_may_on_a_real_clock() -> None:
    class Sleepers:
        def __init__(self) -> None:
            self.woken: list[str] = []

        @operation
        async def sleep(self, user: str) -> list[str]:
            await asyncio.sleep(1)
            self.woken.append(user)
            await asyncio.sleep(0)
            return list(self.woken)

    spec = spec_of(Sleepers)
    with session():
        explorer = Explorer(spec, fidelities=("stock",), operations=1)
        for index in range(60):
            found = explorer.run(explorer.draw(index), record=True)
            simulated, ordinary, parted = on_ordinary(spec, found.scenario, found.schedule)
            assert (parted, ordinary.observations) == ("", simulated.observations), index


async def lost_update() -> None:
    total = [0]

    async def add() -> None:
        seen = total[0]
        await io("store")
        total[0] = seen + 1

    await asyncio.gather(add(), add())
    if total[0] != 2:
        raise RuntimeError(f"lost: {total[0]}")


async def start_order() -> None:
    seen: list[int] = []

    async def note(number: int) -> None:
        seen.append(number)

    await asyncio.gather(note(1), note(2))
    if seen != [1, 2]:
        raise RuntimeError("out of order")


def test_a_program_that_fails_under_stock_fails_on_the_ordinary_loop() -> None:
    outcome = explore_program(lost_update, executions=50)
    assert outcome.schedule is not None
    told = confirm_program(lost_update, outcome.schedule)
    assert told.confirmed, told.why


def test_a_program_that_fails_only_under_portable_does_not() -> None:
    outcome = explore_program(start_order, executions=50, fidelity="portable", cancel=False)
    assert outcome.schedule is not None
    told = confirm_program(start_order, outcome.schedule)
    assert not told.confirmed
    assert "which task runs next" in told.why


def test_a_hunt_says_whether_what_it_found_shows_on_the_ordinary_loop(tmp_path: Path) -> None:
    job = Job(FACTORY, armed=("414-10",), executions=200, fidelities=("stock",))
    (result,) = run_jobs([job], workers=1, cases=tmp_path)
    assert result.case is not None
    assert result.case.confirmed == {"stock": True, "asyncio": True}
    assert cases.load(Path(result.file)) == result.case
    assert "confirmed on the ordinary event loop" in explain(result.case)
    assert "showed on the ordinary event loop" in " ".join(source(result.case).split())
    assert confirm_case(result.case, cases=tmp_path).confirmed
