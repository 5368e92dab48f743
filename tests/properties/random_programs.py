"""Small random programs, and every order of each by brute force: what proofs are held against."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

from isomodel.engine.owner import Actor
from isomodel.engine.portable import PortableLoop
from isomodel.engine.protocol import Option
from isomodel.engine.world import io
from isomodel.search.proof.program import Ended, run_main
from isomodel.values.schedule import Fault


class Cell:
    """Shared state of every kind: attribute, dict, list, deque, set."""

    def __init__(self) -> None:
        self.value = 0
        self.seen: list[Any] = []
        self.table: dict[str, int] = {}
        self.line: deque[int] = deque()
        self.group: set[int] = set()


TOUCHES = ("add", "read", "put", "get", "walk", "push", "pop", "join", "size", "bare", "count")
WAITS = ("io", "io", "yield", "sleep", "short")
BLOCKS = ("lock", "lock", "event", "queue", "semaphore", "timeout", "cancel", "spawn", "condition")
TIMED = ("timeout", "timeout", "event", "condition", "lock", "cancel", "spawn", "shield", "queue")
SHIELDS = ("shield", "shield", "lock", "event", "timeout", "cancel")


def draw(seed: int, *, blocking: bool = True, blocks: Sequence[str] = BLOCKS) -> list[list[Any]]:
    """Two or three tasks of a few actions each."""
    source = random.Random(seed)
    tasks = []
    for _ in range(source.choice((2, 2, 3))):
        actions: list[Any] = []
        for _ in range(source.choice((1, 2, 2, 3))):
            kind = source.random()
            if kind < 0.5 or not blocking:
                actions.append(("touch", source.choice(TOUCHES), source.choice("ab")))
            if kind > 0.35:
                actions.append(("wait", source.choice(WAITS)))
            if kind > 0.6 and blocking:
                inner = ("touch", source.choice(TOUCHES), source.choice("ab"))
                actions.append((source.choice(blocks), inner, source.random() < 0.5))
        tasks.append(actions)
    return tasks


def program(spec: list[list[Any]], grouped: bool) -> Any:
    """The coroutine function that runs these tasks, and returns all that they saw."""

    async def main() -> Any:
        cells = {"a": Cell(), "b": Cell()}
        lock, event, queue = asyncio.Lock(), asyncio.Event(), asyncio.Queue[int](1)
        semaphore, condition = asyncio.Semaphore(1), asyncio.Condition()
        bare: list[Any] = []
        count = 0
        running: dict[int, Any] = {}
        logs: list[list[Any]] = [[] for _ in spec]

        def touch(me: int, log: list[Any], what: str, name: str) -> None:
            nonlocal count
            cell = cells[name]
            if what == "add":
                cell.value += me + 1
            elif what == "read":
                log.append(cell.value)
            elif what == "put":
                cell.table[f"k{me}"] = me
            elif what == "get":
                log.append(cell.table.get("k0"))
            elif what == "walk":
                log.append(list(cell.table))
            elif what == "push":
                cell.line.append(me)
                cell.seen.append(me)
            elif what == "pop":
                log.append(cell.line.popleft() if cell.line else None)
            elif what == "join":
                cell.group.add(me)
            elif what == "size":
                log.append(len(cell.group))
            elif what == "bare":
                bare.append(me)
            else:
                count += me + 1
                log.append(count)

        async def wait(how: str) -> None:
            if how == "io":
                await io("io")
            elif how == "yield":
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(1.0 if how == "sleep" else 0.5)

        async def after(long: bool, me: int, log: list[Any], action: Any) -> None:
            await wait("sleep" if long else "io")
            await act(me, log, action)

        async def act(me: int, log: list[Any], action: Any) -> None:
            kind = action[0]
            if kind == "touch":
                touch(me, log, *action[1:])
            elif kind == "wait":
                await wait(action[1])
            elif kind == "lock":
                async with lock:
                    await act(me, log, action[1])
                    if action[2]:
                        await io("inside")
                        await act(me, log, action[1])
            elif kind == "event":
                await act(me, log, action[1])
                if action[2]:
                    event.set()
                else:
                    try:
                        async with asyncio.timeout(2):
                            await event.wait()
                    except TimeoutError:
                        log.append("late")
            elif kind == "queue":
                if action[2]:
                    try:
                        queue.put_nowait(me)
                    except asyncio.QueueFull:
                        log.append("full")
                else:
                    log.append(None if queue.empty() else queue.get_nowait())
                await act(me, log, action[1])
            elif kind == "semaphore":
                async with semaphore:
                    await wait("io" if action[2] else "yield")
                    await act(me, log, action[1])
            elif kind == "timeout":
                try:
                    async with asyncio.timeout(0.5):
                        await act(me, log, action[1])
                        await wait("io" if action[2] else "sleep")
                except TimeoutError:
                    log.append("timeout")
            elif kind == "cancel":
                other = running.get((me + 1) % len(spec))
                if other is not None and action[2]:
                    log.append(other.cancel())
                log.append(None if other is None else other.done())
            elif kind == "shield":
                try:
                    async with asyncio.timeout(0.5):
                        await asyncio.shield(after(action[2], me, log, action[1]))
                except TimeoutError:
                    log.append("left behind")
            elif kind == "spawn":
                child = asyncio.ensure_future(act(me, log, action[1]))
                if action[2]:
                    await child
            else:
                async with condition:
                    if action[2]:
                        condition.notify_all()
                    else:
                        try:
                            async with asyncio.timeout(1):
                                await condition.wait()
                        except TimeoutError:
                            log.append("unnoticed")

        async def work(me: int) -> None:
            log = logs[me]
            try:
                for action in spec[me]:
                    await act(me, log, action)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        if grouped:
            try:
                async with asyncio.TaskGroup() as group:
                    for me in range(len(spec)):
                        running[me] = group.create_task(work(me))
            except BaseExceptionGroup as error:
                logs[0].append(type(error).__name__)
        else:
            for me in range(len(spec)):
                running[me] = asyncio.ensure_future(work(me))
            ends = await asyncio.gather(*running.values(), return_exceptions=True)
            logs[0].append([type(end).__name__ for end in ends])
        state = [
            (cell.value, cell.seen, dict(cell.table), list(cell.line), sorted(cell.group))
            for cell in cells.values()
        ]
        return [logs, state, list(bare), count]

    return main


class Path:
    """A scheduler that takes the next unexplored path through all choices."""

    def __init__(self) -> None:
        self.path: list[list[int]] = []
        self.depth = 0

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        if self.depth == len(self.path):
            self.path.append([0, len(options)])
        self.depth += 1
        return self.path[self.depth - 1][0]

    def advance(self) -> bool:
        """Go to the next path; False after the last."""
        del self.path[self.depth :]
        self.depth = 0
        while self.path and self.path[-1][0] + 1 == self.path[-1][1]:
            self.path.pop()
        if self.path:
            self.path[-1][0] += 1
        return bool(self.path)


def every_ending(
    main: Any,
    most: int,
    faults: tuple[Fault, ...] = (),
    loop: Any = PortableLoop,
    tasks: set[str] | None = None,
) -> dict[str, int] | None:
    """All different endings with how often each came, or None if there are too many orders.

    The names of all tasks that there were join ``tasks``.
    """
    path = Path()
    endings: dict[str, int] = {}
    for _ in range(most):
        running = loop(path, faults=faults, max_steps=2_000)
        if not faults or running:
            ended = run_main(main, running, 0)
            if tasks is not None:
                tasks.update(running._actors)
            if len(running.fired) == len(faults):
                key = shown(ended)
                endings[key] = endings.get(key, 0) + 1
        if not path.advance():
            return endings
    return None


def shown(ended: Ended) -> str:
    """An ending as text."""
    return f"{ended.how} {ended.why} {ended.value}"
