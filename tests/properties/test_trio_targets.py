"""Targets on trio, and on asyncio and trio through anyio: one declaration, the same findings."""

from __future__ import annotations

import contextvars
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest
import trio

sys.path.insert(0, str(Path(__file__).parents[2]))  # `pytest` alone would not look there

from benchmarks.anyio_programs import KINDS, on_both
from isomodel import Secret, acting_as, io, observe, operation
from isomodel.engine.trio import private
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.search.exploring.explore import Budget, Explorer
from isomodel.search.program import explore_program
from isomodel.search.running.execute import execute, session
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.targets.declare import on, spec_of
from isomodel.values.errors import BadInput
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fault


@pytest.fixture(autouse=True, scope="module")
def under_control() -> Iterator[None]:
    with session():
        yield


TWO = Scenario((Operation("alice.1", "alice", "act"), Operation("bob.1", "bob", "act")))


def once(
    cls: type, *faults: Fault, scenario: Scenario = TWO, runtime: str = "trio", seed: int = -1
) -> Execution:
    scheduler = Default() if seed < 0 else RandomWalk(seed)
    spec = on(spec_of(cls), runtime)
    return execute(spec, scenario, scheduler, fidelity="stock", faults=faults)


# Faults


class Careful:
    """Waits twice, cleans up, and waits in that, too."""

    runtime = "trio"

    async def start(self) -> None:
        self.log: list[str] = []

    @operation
    async def act(self, user: str) -> str:
        try:
            await io("first")
            await io("second")
        except trio.Cancelled:
            self.log.append(f"{user} cancelled")
            with trio.CancelScope(shield=True):
                await io("clean-up")
            self.log.append(f"{user} cleaned up")
            try:
                await io("no more")
            except trio.Cancelled:
                self.log.append(f"{user} cancelled again")
                raise
        return "done"

    @observe
    async def seen(self, user: str) -> list[str]:
        return [line for line in self.log if line.startswith(user)]


@pytest.mark.parametrize("after", [1, 2])
def test_a_cancelled_operation_is_cancelled_at_every_checkpoint(after: int) -> None:
    execution = once(Careful, Fault("cancel", "alice.1", after))
    assert execution.observations["alice"] == (
        ("alice.1", "info", {"error": "CancelledError", "message": ""}),
        ("alice.seen", "ok", ["alice cancelled", "alice cleaned up", "alice cancelled again"]),
    )
    assert execution.observations["bob"][0] == ("bob.1", "ok", "done")
    assert execution.schedule.faults == (Fault("cancel", "alice.1", after),)


def test_a_callers_time_limit_and_its_scope_are_scopes_too() -> None:
    for kind, error in (("timeout", "TimeoutError"), ("scope", "CancelledError")):
        execution = once(Careful, Fault(kind, "alice.1", 1))  # type: ignore[arg-type]
        assert execution.observations["alice"][0][2]["error"] == error


class Children:
    """Leaves a task behind."""

    runtime = "trio"
    cancels = "any"

    @operation
    async def act(self, user: str) -> str:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await io()
            nursery.cancel_scope.cancel()
        trio.lowlevel.spawn_system_task(trio.sleep_forever)
        return "done"

    async def leave(self, user: str) -> None:
        pass


def test_a_child_is_not_cancelled_alone_because_trio_has_no_way_to() -> None:
    fault = Fault("cancel", "alice.1/sleep_forever", 1)
    execution = once(Children, fault)
    assert execution.observations["alice"] == (("alice.1", "ok", "done"),)
    assert execution.schedule.faults == ()


def test_what_outlives_its_user_is_left_over() -> None:
    execution = once(Children)
    assert [left.what for left in execution.leftovers if left.kind == "task"] == []

    class Owned(Children):
        @operation
        async def act(self, user: str) -> str:
            with acting_as(user):
                trio.lowlevel.spawn_system_task(
                    trio.sleep_forever, context=contextvars.copy_context()
                )
            return "done"

    left = once(Owned).leftovers
    assert [(each.kind, each.owner) for each in left] == [("task", "alice"), ("task", "bob")]


def test_jumps_and_slow_io_make_time_limits_pass() -> None:
    class Limited:
        runtime = "trio"

        @operation
        async def act(self, user: str) -> bool:
            with trio.move_on_after(5) as scope:
                await io("query")
            return scope.cancelled_caught

    for fault in (Fault("jump", "alice.1", 0), Fault("slow", "alice.1", 0)):
        execution = once(Limited, fault)
        assert execution.observations == {
            "alice": (("alice.1", "ok", True),),
            "bob": (("bob.1", "ok", False),),
        }


def test_failing_io_fails() -> None:
    class Fails:
        runtime = "trio"

        @operation
        async def act(self, user: str) -> str:
            await io("query", fails=OSError)
            return "done"

    execution = once(Fails, Fault("fail", "alice.1", 0))
    assert execution.observations["alice"][0][1:] == (
        "fail",
        {"error": "OSError", "message": "injected failure of query"},
    )


# Findings


class Current:
    """Keeps whose request it is where all requests see it; written for anyio."""

    runtime = ("asyncio", "trio")

    async def start(self) -> None:
        self.current = ""

    @operation
    async def act(self, user: str, text: Secret) -> str:
        self.current = text
        await io("query")
        return self.current


class Locked(Current):
    async def start(self) -> None:
        self.current = ""
        self.lock = anyio.Lock()

    @operation
    async def act(self, user: str, text: Secret) -> str:
        async with self.lock:
            return await super().act(user, text)


class Stuck(Current):
    @operation
    async def act(self, user: str, text: Secret) -> str:
        if self.current:
            await anyio.Event().wait()
        return await super().act(user, text)


class Forgetful(Current):
    """A limiter of our own, whose place is lost when its user is cancelled while it waits."""

    async def start(self) -> None:
        self.current = ""
        self.free = 1

    @operation
    async def act(self, user: str, text: Secret) -> str:
        while not self.free:
            await anyio.sleep(1)
            if anyio.current_time() > 60:
                raise TimeoutError("no place")
        self.free -= 1
        await io("query")
        self.free += 1
        return text


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
@pytest.mark.parametrize("fidelity", ["stock", "portable"])
@pytest.mark.parametrize(
    ("cls", "found"),
    [(Current, "no leaked secret"), (Locked, ""), (Stuck, "liveness"), (Forgetful, "noninterf")],
)
def test_a_target_written_for_anyio_is_hunted_on_both(
    cls: type, found: str, runtime: str, fidelity: Any
) -> None:
    explorer = Explorer(on(spec_of(cls), runtime), seed=1, fidelities=(fidelity,))
    outcome = explorer.hunt(Budget(60 if not found else 200))
    if not found:
        assert outcome.verdict.status == "ok", outcome.verdict.reason
        return
    assert outcome.finding is not None, outcome.verdict.reason
    assert outcome.finding.property.startswith(found)
    assert outcome.execution is not None
    case = Shrinker(explorer.spec, ()).shrink(outcome.execution, outcome.finding)
    assert case.runtime == runtime
    assert case.size.operations <= 2


# The same on both


def test_the_same_schedule_gives_the_same_history_on_asyncio_and_on_trio() -> None:
    """Tasks, locks, streams, events, time: under ``portable``, step for step the same."""
    for seed in range(150):
        one, other = on_both(seed, "portable")
        assert (seed, other.diverged) == (seed, 0)
        assert one.history == other.history, seed
        assert one.observations == other.observations, seed


def test_worker_threads_take_a_step_less_on_trio() -> None:
    """anyio yields before it asks asyncio for a worker; where that matters, it is counted."""
    parted = 0
    for seed in range(40):
        one, other = on_both(seed, "portable", ("io", "thread"))
        if one.history != other.history:
            parted += 1
            assert other.steps != one.steps or other.diverged
    assert parted


# Determinism

_AGAIN = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("targets", {file!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.digest())
"""


def digest() -> str:
    """What 60 executions on trio leave, cancellations of whole nurseries among them."""
    sum_ = hashlib.sha256()
    with session():
        for seed in range(30):
            for fidelity in ("stock", "portable"):
                one, other = on_both(seed, fidelity, (*KINDS, "thread"))
                sum_.update(msgspec.json.encode((one.trace, other.trace, other.observations)))
            ended = once(Group, Fault("cancel", "alice.1", 1 + seed % 3), seed=seed)
            sum_.update(msgspec.json.encode((ended.trace, ended.observations)))
    return sum_.hexdigest()


class Group:
    """Many children, cancelled at once: trio keeps them in sets."""

    runtime = "trio"

    async def start(self) -> None:
        self.log: list[str] = []

    @operation
    async def act(self, user: str) -> list[str]:
        event = trio.Event()

        async def child(name: str) -> None:
            try:
                with trio.CancelScope():
                    await event.wait()
                self.log.append(f"{name} woken")
            except trio.Cancelled:
                self.log.append(f"{name} cancelled")
                raise

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(child, f"{user}{number}")
            await io()
            event.set()
            await io()
        return self.log

    @observe
    async def seen(self, user: str) -> list[str]:
        return self.log


def test_executions_are_the_same_in_another_process_with_another_hash_seed() -> None:
    code = _AGAIN.format(file=__file__)
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert other.stdout.strip() == digest()


_FIRST = """
import anyio, anyio.to_thread
from isomodel.schedulers.fifo import Default
from isomodel.search.running.execute import session
from isomodel.search.program import run_program

async def main():
    await anyio.to_thread.run_sync(int)

with session():
    how, why, loop = run_program(main, Default(), runtime={runtime!r})
    print(how, loop.uncontrolled)
"""


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
def test_worker_threads_are_under_control_in_the_first_execution_of_a_process(runtime: str) -> None:
    code = _FIRST.format(runtime=runtime)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "ok []"


# Bad input


class TrioUnderAsyncio:
    @operation
    async def act(self, user: str) -> str:
        await trio.sleep(1)
        return "done"


class AsyncioUnderTrio:
    runtime = "trio"

    @operation
    async def act(self, user: str) -> str:
        import asyncio

        await asyncio.sleep(1)
        return "done"


class FutureUnderTrio:
    runtime = "trio"

    @operation
    async def act(self, user: str) -> str:
        import asyncio

        async with asyncio.timeout(1):
            return "done"


class LockUnderTrio:
    runtime = "trio"

    async def start(self) -> None:
        import asyncio

        self.lock = asyncio.Lock()

    @operation
    async def act(self, user: str) -> str:
        async with self.lock:
            await io()
        return "done"


@pytest.mark.parametrize(
    ("cls", "runtime", "library"),
    [
        (TrioUnderAsyncio, "asyncio", "trio"),
        (AsyncioUnderTrio, "trio", "asyncio"),
        (FutureUnderTrio, "trio", "asyncio"),
        (LockUnderTrio, "trio", "asyncio"),
    ],
)
def test_mixing_the_two_is_said_in_one_line(cls: type, runtime: str, library: str) -> None:
    with pytest.raises(BadInput) as caught:
        Explorer(on(spec_of(cls), runtime)).hunt(Budget(20))
    said = str(caught.value)
    assert f'code of {library} under runtime "{runtime}"' in said
    assert f"{Path(__file__).name}:" in said
    assert f'write `runtime = "{library}"`' in said
    assert "\n" not in said


def test_an_unknown_runtime_is_bad_input() -> None:
    for declared, said in (
        ("curio", "runtime 'curio' is not known"),
        (("trio", "trio"), "name each once"),
        (3, "runtime is 3"),
        ((), "runtime is ()"),
    ):
        cls = type("Target", (Current,), {"runtime": declared})
        with pytest.raises(BadInput) as caught:
            spec_of(cls)
        assert said in str(caught.value)
    with pytest.raises(BadInput, match="only for trio"):
        on(spec_of(Careful), "asyncio")


def test_what_trio_has_moved_is_said_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert private.missing() == []
    monkeypatch.delattr(private._run, "unrolled_run")
    monkeypatch.delattr(private._run.Runner, "reschedule")
    with pytest.raises(BadInput) as caught:
        private.check()
    said = str(caught.value)
    assert f"trio {trio.__version__} cannot be controlled: it has moved" in said
    assert "_run.Runner.reschedule, _run.unrolled_run" in said
    assert private.SUPPORTED in said


def test_private_names_of_trio_are_in_one_file() -> None:
    root = Path(private.__file__).parents[2]
    for file in root.rglob("*.py"):
        if file == Path(private.__file__):
            continue
        text = file.read_text(encoding="utf-8")
        for word in (
            "trio._core",
            "trio._threads",
            "unrolled_run",
            "GLOBAL_RUN_CONTEXT",
            "_cancel_status",
        ):
            assert word not in text, f"{word} in {file}"


# Programs


def test_a_program_for_trio_is_explored_without_a_target() -> None:
    async def main() -> None:
        count = 0

        async def add() -> None:
            nonlocal count
            before = count
            await trio.lowlevel.checkpoint()
            count = before + 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(add)
            nursery.start_soon(add)
        assert count == 2

    outcome = explore_program(main, runtime="trio", fidelity="stock", executions=50)
    assert outcome.verdict.status == "violated"
    assert outcome.counterexample is not None


def test_a_sound_program_for_trio_is_silent() -> None:
    async def main() -> None:
        count = 0
        lock = trio.Lock()

        async def add() -> None:
            nonlocal count
            async with lock:
                before = count
                await trio.lowlevel.checkpoint()
                count = before + 1

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(add)
        assert count == 3

    outcome = explore_program(main, runtime="trio", fidelity="portable", executions=60)
    assert outcome.verdict.status == "ok", outcome.verdict.reason
