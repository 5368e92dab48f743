"""The sweep: each kind of fault strikes once at each place at which an operation waits."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from isomodel import Secret, io, observe, operation
from isomodel.schedulers.in_turn import InTurn
from isomodel.schedulers.striking import Striking
from isomodel.search.exploring.explore import Budget, Draw, Explorer
from isomodel.search.exploring.survey import Moment, Survey, victims
from isomodel.search.exploring.sweep import ORDERS
from isomodel.search.running.execute import execute, session
from isomodel.targets.declare import on, spec_of
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fault, Fidelity

FIDELITIES: tuple[Fidelity, ...] = ("stock", "portable")


class Failed(Exception):
    """An I/O that failed."""


class Shelf:
    """Three awaits in a row, one of them in a loop, and a lock that all users share."""

    async def start(self) -> None:
        self.lock = asyncio.Lock()
        self.rows: dict[str, int] = {}

    @operation
    async def add(self, user: str) -> int:
        for _ in range(3):
            await io("look", fails=Failed)
        async with self.lock:
            await io("write", fails=Failed)
        self.rows[user] = self.rows.get(user, 0) + 1
        return self.rows[user]

    @operation
    async def count(self, user: str) -> int:
        await io("count")
        return self.rows.get(user, 0)


class Lane:
    """One at a time; who is woken and cancelled in the same tick hands the turn on."""

    loses = False

    async def start(self) -> None:
        self.busy = False
        self.waiting: collections.deque[asyncio.Future[None]] = collections.deque()

    @operation
    async def work(self, user: str) -> str:
        if self.busy:
            mine = asyncio.get_running_loop().create_future()
            self.waiting.append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                if mine in self.waiting:
                    self.waiting.remove(mine)
                elif not self.loses:
                    self.hand_on()
                raise
        self.busy = True
        try:
            await io("work")
        finally:
            self.hand_on()
        return "done"

    def hand_on(self) -> None:
        self.busy = False
        while self.waiting:
            following = self.waiting.popleft()
            if not following.done():
                self.busy = True
                following.set_result(None)
                return


class LosingLane(Lane):
    loses = True


def scenario(*, users: tuple[str, ...] = ("alice", "bob"), name: str = "add") -> Scenario:
    return Scenario(tuple(Operation(f"{user}.1", user, name, {}) for user in users), 0)


def surveyed(target: Any, told: Scenario, fidelity: Fidelity) -> tuple[Execution, list[Moment]]:
    survey = Survey(InTurn())
    queues = fidelity == "stock"
    execution = execute(
        spec_of(target),
        told,
        survey,
        fidelity=fidelity,
        faults=victims(told, inside=True, queues=queues),
        around=survey.watching,
    )
    return execution, survey.moments


def swept(target: Any, most: int, **options: Any) -> list[tuple[Draw, Execution]]:
    """The executions of a hunt that are the sweep's; whatever they show is no matter here."""
    out = []
    with session():
        explorer = Explorer(spec_of(target), seed=3, **options)
        for index in range(most):
            draw = explorer.draw(index)
            execution = explorer.run(draw)
            explorer.learn(draw, execution)
            if draw.order:
                out.append((draw, execution))
    return out


def found(target: Any, most: int, fidelity: Fidelity, *, late: bool = False) -> set[str]:
    """The properties that executions of the sweep break, among so many of a hunt."""
    out: set[str] = set()
    with session():
        explorer = Explorer(spec_of(target), seed=3, fidelities=(fidelity,))
        for index in range(most):
            draw = explorer.draw(index)
            execution, judged = explorer.examine(draw)
            explorer.learn(draw, execution)
            if draw.order and (draw.late or not late):
                out |= {finding.property for finding in judged.findings}
    return out


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_to_be_surveyed_changes_nothing(fidelity: Fidelity) -> None:
    with session():
        for target, told in ((Shelf, scenario()), (Lane, scenario(name="work"))):
            execution, moments = surveyed(target, told, fidelity)
            plain = execute(spec_of(target), told, InTurn(), fidelity=fidelity)
            assert execution.trace == plain.trace
            assert execution.observations == plain.observations
            assert moments


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_every_await_of_an_operation_is_surveyed_with_its_line(fidelity: Fidelity) -> None:
    with session():
        _, moments = surveyed(Shelf, scenario(), fidelity)
    lines = {moment.where[0] for moment in moments if moment.state == "waits"}
    first = Shelf.add.__code__.co_firstlineno
    awaits = {first + 3, first + 4, first + 5}
    assert {int(line.rpartition(":")[2]) for line in lines} == awaits


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_what_is_surveyed_can_be_struck_there(fidelity: Fidelity) -> None:
    """Not where a step is queued already, after which the operation is over."""
    with session():
        _, moments = surveyed(Shelf, scenario(), fidelity)
        for moment in moments:
            if fidelity == "stock" and moment.can_go_on:
                continue
            fault = Fault("cancel", moment.task, moment.steps)
            execution = execute(
                spec_of(Shelf),
                scenario(),
                Striking(InTurn(), moment.passed),
                fidelity=fidelity,
                faults=(fault,),
            )
            assert execution.fired == (fault,), moment


def test_places_are_struck_once_by_each_kind_of_fault_in_each_order() -> None:
    drawn = swept(Shelf, 400, fidelities=("stock",))
    struck = [(draw, execution) for draw, execution in drawn if draw.faults]
    inputs = [msgspec.json.encode(msgspec.structs.replace(draw, index=0)) for draw, _ in struck]
    assert len(inputs) == len(set(inputs))
    assert {draw.faults[0].kind for draw, _ in struck} >= {"cancel", "timeout", "fail"}
    assert {draw.order for draw, _ in drawn} >= set(ORDERS)
    missed = [draw.faults for draw, execution in struck if not execution.fired]
    assert not [fault for (fault,) in missed if fault.kind in ("cancel", "timeout")]
    alone = [draw for draw, _ in struck if draw.order == ORDERS[0]]
    cancelled = {
        draw.faults[0].at
        for draw in alone
        if draw.faults[0].kind == "cancel" and draw.scenario.operations[1].name == "add"
    }
    assert cancelled == {0, 1, 4}, "three looks in a loop are one line"


def test_each_operation_is_struck_where_another_user_comes_next() -> None:
    for draw, _ in swept(Shelf, 200, fidelities=("stock",)):
        if draw.faults and draw.order == ORDERS[0]:
            operations = draw.scenario.operations
            place = [each.label for each in operations].index(draw.faults[0].task)
            assert operations[place + 1].user != operations[place].user
            assert operations[place + 1].name == operations[place].name


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_a_hand_over_that_meets_a_cancellation_is_struck(fidelity: Fidelity) -> None:
    """At random it takes the right scenario, order, victim and moment at once."""
    assert "liveness" in found(LosingLane, 60, fidelity)
    assert not found(Lane, 60, fidelity)


class Line:
    """One connection for all, on which replies come in the order of requests."""

    drops = False

    async def start(self) -> None:
        self.rows: dict[str, str] = {}
        self.server = await asyncio.start_server(self.serve, "rows", 1)
        self.reader, self.writer = await asyncio.open_connection("rows", 1)

    async def stop(self) -> None:
        self.writer.close()
        self.server.close()

    async def serve(self, reader: Any, writer: Any) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    @operation
    async def echo(self, user: str, text: Secret) -> str:
        self.writer.write(text.encode() + b"\n")
        answer = (await self.reader.readline()).decode().strip()
        while self.drops and answer != text:
            answer = (await self.reader.readline()).decode().strip()
        return answer


class Dropping(Line):
    drops = True


def test_a_reply_that_nobody_waits_for_comes_late() -> None:
    assert "no leaked secret" in found(Line, 60, "stock", late=True)
    assert not found(Dropping, 60, "stock", late=True)


def test_what_strikes_late_lets_others_overtake() -> None:
    told = Scenario(
        (
            Operation("alice.1", "alice", "echo", {"text": "a"}),
            Operation("bob.1", "bob", "echo", {"text": "b"}),
        ),
        0,
    )
    with session():
        for late in (False, True):
            draw = Draw(
                0, told, "stock", (Fault("cancel", "alice.1", 1),), 0, "sweep",
                order=ORDERS[0], late=late,
            )  # fmt: skip
            execution = execute(
                spec_of(Line), told, draw.scheduler(), fidelity="stock", faults=draw.faults
            )
            first = [step.what.partition(" ")[0] + step.task for step in execution.trace]
            place = {what: number for number, what in enumerate(first)}
            assert (place["requestalice.1"] < place["startbob.1"]) is not late


def equal_hunts(make: Callable[[], Explorer]) -> list[list[bytes]]:
    out = []
    for _ in range(2):
        with session():
            drawn: list[Draw] = []
            make().hunt(Budget(150), before=drawn.append)
        out.append([msgspec.json.encode(draw) for draw in drawn])
    return out


def test_equal_hunts_sweep_alike_and_another_seed_in_another_order() -> None:
    def make(seed: int) -> Callable[[], Explorer]:
        return lambda: Explorer(spec_of(Shelf), seed=seed)

    one, other = equal_hunts(make(1))
    assert one == other
    assert [msgspec.json.encode(msgspec.json.decode(each, type=Draw)) for each in one] == one
    assert equal_hunts(make(2))[0] != one


def test_the_next_execution_can_be_asked_for_again() -> None:
    with session():
        explorer = Explorer(spec_of(Shelf), seed=3)
        for index in range(40):
            draw = explorer.draw(index)
            assert explorer.draw(index) == draw
            explorer.learn(draw, explorer.run(draw))


def test_without_faults_there_is_no_sweep() -> None:
    assert not swept(Shelf, 60, faults=0)


class Looks:
    """For trio and asyncio: waits in a way that both know."""

    runtime = ("asyncio", "trio")

    @operation
    async def look(self, user: str) -> str:
        await io("one")
        await io("two")
        return "seen"

    @observe
    async def alive(self, user: str) -> bool:
        return True


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_trio_is_swept_as_well(fidelity: Fidelity) -> None:
    pytest.importorskip("trio")
    with session():
        explorer = Explorer(on(spec_of(Looks), "trio"), seed=3, fidelities=(fidelity,))
        struck = []
        for index in range(80):
            draw = explorer.draw(index)
            execution = explorer.run(draw)
            explorer.learn(draw, execution)
            if draw.order and draw.faults and draw.faults[0].kind == "cancel":
                struck.append(execution.fired == draw.faults)
    assert len(struck) >= 4
    assert all(struck)
