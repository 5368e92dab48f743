"""Random programs written for anyio, run under one schedule on asyncio and on trio."""

from __future__ import annotations

import random
from typing import Any

import anyio
import anyio.to_thread

from isomodel import io, operation
from isomodel.schedulers.random import RandomWalk
from isomodel.search.running.execute import execute, replay
from isomodel.targets.declare import on, spec_of
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fidelity


class Random:
    """Does what ``programs`` say, with anyio's tools."""

    runtime = ("asyncio", "trio")
    programs: tuple[Any, ...] = ()

    async def start(self) -> None:
        self.log: list[Any] = []
        self.lock = anyio.Lock()
        self.semaphore = anyio.Semaphore(2)
        self.limiter = anyio.CapacityLimiter(1)
        self.event = anyio.Event()
        self.send, self.receive = anyio.create_memory_object_stream[str](2)

    @operation
    async def act(self, user: str, number: int) -> list[Any]:
        out: list[Any] = []
        await self.run(user, self.programs[number], out)
        return out

    async def run(self, name: str, program: Any, out: list[Any]) -> None:
        for kind, *parts in program:
            self.log.append((name, kind))
            if kind in ("lock", "semaphore", "limiter"):
                async with getattr(self, kind):
                    await self.run(name, parts[0], out)
            elif kind == "group":
                async with anyio.create_task_group() as group:
                    for number, part in enumerate(parts):
                        group.start_soon(self.run, f"{name}{number}", part, out)
            else:
                await getattr(self, f"do_{kind}")(name, out)
            out.append(len(self.log))

    async def do_io(self, name: str, out: list[Any]) -> None:
        await io("query")

    async def do_yield(self, name: str, out: list[Any]) -> None:
        await anyio.sleep(0)

    async def do_sleep(self, name: str, out: list[Any]) -> None:
        await anyio.sleep(2)

    async def do_set(self, name: str, out: list[Any]) -> None:
        self.event.set()
        self.event = anyio.Event()

    async def do_wait(self, name: str, out: list[Any]) -> None:
        with anyio.move_on_after(3):
            await self.event.wait()

    async def do_put(self, name: str, out: list[Any]) -> None:
        try:
            self.send.send_nowait(name)
        except anyio.WouldBlock:
            out.append("full")

    async def do_get(self, name: str, out: list[Any]) -> None:
        with anyio.move_on_after(3):
            out.append(await self.receive.receive())

    async def do_thread(self, name: str, out: list[Any]) -> None:
        out.append(await anyio.to_thread.run_sync(len, self.log))


KINDS = ("io", "yield", "sleep", "set", "wait", "put", "get")


def drawn(source: random.Random, depth: int = 0, kinds: tuple[str, ...] = KINDS) -> Any:
    program: list[Any] = []
    for _ in range(source.randint(1, 4)):
        kind = source.choice((*kinds, "lock", "semaphore", "limiter", "group"))
        if kind in kinds or depth == 2:
            program.append((source.choice(kinds),))
        elif kind == "group":
            program.append((kind, *(drawn(source, depth + 1, kinds) for _ in range(2))))
        else:
            program.append((kind, drawn(source, depth + 1, kinds)))
    return program


def on_both(
    seed: int, fidelity: Fidelity, kinds: tuple[str, ...] = KINDS
) -> tuple[Execution, Execution]:
    """A random program under a random schedule on asyncio, and that schedule on trio."""
    source = random.Random(seed)
    Random.programs = tuple(drawn(source, 0, kinds) for _ in range(3))
    scenario = Scenario(
        tuple(
            Operation(f"{user}.1", user, "act", {"number": number})
            for number, user in enumerate(("alice", "bob", "carol"))
        ),
        seed,
    )
    spec = spec_of(Random)
    first = execute(spec, scenario, RandomWalk(seed), fidelity=fidelity)
    return first, replay(on(spec, "trio"), scenario, first.schedule)
