"""Real, unmodified client and server libraries over the network in memory, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import random
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.network_targets import NEEDED, TARGETS
from isomodel import io, observe, operation
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.random import RandomWalk
from isomodel.search.exploring.generate import Generator
from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import execute, session
from isomodel.targets.declare import TargetSpec, spec_of
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fault, FaultKind

FAULTS: tuple[FaultKind, ...] = ("refuse", "reset", "split", "slow", "cancel")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Servers log what clients that give up do to them."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def spec_for(name: str) -> TargetSpec:
    for module in NEEDED[name]:
        pytest.importorskip(module)
    return spec_of(TARGETS[name])


def scenarios(spec: TargetSpec, count: int) -> list[Scenario]:
    generator = Generator(spec, users=2, operations=2)
    return [generator.scenario(random.Random(index)) for index in range(count)]


def drawn(spec: TargetSpec, scenario: Scenario, index: int) -> Execution:
    """One execution, every second one with a fault."""
    draw = random.Random(index)
    victim = draw.choice(scenario.operations).label
    fault = Fault(draw.choice(FAULTS), victim, draw.randrange(8))
    faults = (fault,) if index % 2 else ()
    return execute(spec, scenario, RandomWalk(index), fidelity="stock", faults=faults)


@pytest.mark.parametrize("name", TARGETS)
def test_a_library_gives_each_user_its_own_and_nothing_leaves_the_simulation(name: str) -> None:
    spec = spec_for(name)
    with session():
        for scenario in scenarios(spec, 3):
            execution = execute(spec, scenario, Default(), fidelity="stock")
            assert execution.ended == "done"
            assert execution.error == ""
            assert execution.uncontrolled == ()
            outcomes = {event.kind for event in execution.history if event.kind != "invoke"}
            assert outcomes == {"ok"}


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_the_network_does_no_user_reaches_another(name: str) -> None:
    spec = spec_for(name)
    with session():
        judge = Judge(spec, oracles="noninterference", witnesses=60)
        for index, scenario in enumerate(scenarios(spec, 12)):
            execution = drawn(spec, scenario, index)
            assert execution.ended == "done"
            assert execution.uncontrolled == ()
            told = judge(execution, lambda i=index, s=scenario: drawn(spec, s, i))
            assert told.findings == (), (execution.schedule.faults, told.findings)


def test_every_execution_is_repeated_exactly_in_another_process() -> None:
    names = [name for name in TARGETS if all(map(importlib.util.find_spec, NEEDED[name]))]
    if not names:
        pytest.skip("none of the libraries is installed")
    told = [
        subprocess.run(
            [sys.executable, "-c", f"from {__name__} import tell; tell({names!r})"],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len(told[0].splitlines()) == 6 * len(names)


def tell(names: list[str]) -> None:
    """Print what some executions left."""
    logging.disable(logging.CRITICAL)
    for name in names:
        spec = spec_of(TARGETS[name])
        with session():
            for index, scenario in enumerate(scenarios(spec, 6)):
                execution = drawn(spec, scenario, index)
                print(execution.trace, execution.observations, execution.schedule)


class Desk:
    """A server that makes ids, waits for a back end, and is reached in two ways."""

    max_users = 2
    own_connections = True

    async def start(self) -> None:
        self.server = await asyncio.start_server(self.serve, "desk", 7)
        self.lock = asyncio.Lock()
        self.lines: dict[str, Any] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.readline():
                try:
                    await io("back end", fails=ConnectionError)
                    await asyncio.sleep(random.random())
                    answer = uuid.uuid4().hex
                    if self.own_connections:  # who shares one, waits for others
                        answer += f" at {asyncio.get_running_loop().time()}"
                except ConnectionError:
                    answer = "out of order"
                writer.write(f"{answer}\n".encode())
        writer.close()

    @operation
    async def ask(self, user: str) -> str:
        whose = user if self.own_connections else "all"
        async with self.lock if whose == "all" else contextlib.nullcontext():
            if whose not in self.lines:
                self.lines[whose] = await asyncio.open_connection("desk", 7)
            reader, writer = self.lines[whose]
            writer.write(b"please\n")
            return str((await reader.readline()).decode())

    @observe
    async def nothing(self, user: str) -> str:
        return ""


class SharedDesk(Desk):
    """The same, with one connection for all, one request at a time."""

    own_connections = False


@pytest.mark.parametrize("target", [Desk, SharedDesk])
def test_what_a_server_makes_for_a_user_is_that_users_own(target: type) -> None:
    spec = spec_of(target)
    labels = [f"{user}.{number}" for user in ("alice", "bob") for number in (1, 2)]
    scenario = Scenario(tuple(Operation(label, label.partition(".")[0], "ask") for label in labels))
    failed = 0
    with session():
        judge = Judge(spec, oracles="noninterference", witnesses=20)
        for index in range(40):
            fault = Fault("fail", labels[index % 4], 0)

            def run(index: int = index, fault: Fault = fault) -> Execution:
                faults = (fault,) if index % 3 == 0 else ()
                walk = RandomWalk(index)
                return execute(spec, scenario, walk, fidelity="stock", faults=faults)

            execution = run()
            answers = [value for seen in execution.observations.values() for *_, value in seen]
            failed += "out of order\n" in answers
            assert judge(execution, run).findings == (), (index, execution.schedule.faults)
    assert failed > 3
