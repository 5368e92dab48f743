"""Who runs: owners (an operation of a user) and their tasks, under names that stay the same.

asyncio numbers its tasks for the whole process, so its names differ between executions. Here a
task is named by the operation it works for and the coroutine it runs.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from contextvars import Context, ContextVar
from typing import Any

from msgspec import Struct


class Part:
    """Users judged together, and how many steps their tasks have taken, each at what time.

    ``events`` counts everything of theirs that ran, steps and plain callbacks. ``kept`` holds
    the times of an earlier run, in which a projected one lets the clock follow.
    """

    __slots__ = ("events", "kept", "name", "steps", "times")

    def __init__(self, name: str, kept: Sequence[float] | None = None) -> None:
        self.name = name
        self.steps = 0
        self.events = 0
        self.times: list[float] = []
        self.kept = kept

    def step(self, now: float) -> float:
        """Count a step of one of its tasks; returns what the clock shows in it."""
        if self.kept is not None and self.steps < len(self.kept):
            now = max(now, self.kept[self.steps])
        self.steps += 1
        self.events += 1
        self.times.append(now)
        return now


class Owner(Struct, eq=False):
    """An operation of a user, or background work: what arrivals and tasks belong to.

    ``counts`` numbers its arrivals by kind and its tasks by name; both are stable, whatever
    other owners do. ``root`` marks work that belongs to no operation: each task it starts
    becomes an owner of its own.
    """

    label: str
    user: str
    part: Part
    root: bool = False
    counts: dict[str, int] = {}
    io_count: int = 0

    @property
    def context(self) -> Context:
        """A new context, in which this owner runs and nothing else is set."""
        context = Context()
        context.run(OWNER.set, self)
        return context

    def count(self, kind: str) -> int:
        """The number of this one among those of its kind, from 0."""
        counts = self.counts
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        return number

    def numbered(self, name: str) -> str:
        """``name``, with a number from its second use on."""
        counts = self.counts
        kind = "task " + name
        counts[kind] = number = counts.get(kind, 0) + 1
        return name if number == 1 else f"{name}#{number}"


OWNER: ContextVar[Owner] = ContextVar("isomodel_owner")


def _no_task() -> None:
    """Stands in for the reference of an actor whose task is not made yet."""


class Actor:
    """One task under its stable name, with the number of steps it has taken.

    ``number`` is its hash: what iterates over a set of tasks (``asyncio.wait``, a task group
    that aborts) meets them in the same order every time, not in that of their addresses.
    """

    __slots__ = ("name", "number", "owner", "reference", "steps")
    reference: Callable[[], Any]

    def __init__(self, name: str, owner: Owner, number: int = 0) -> None:
        self.name = name
        self.owner = owner
        self.number = number
        self.steps = 0
        self.reference = _no_task


class ControlledTask(asyncio.Task[Any]):
    """A stock (C) task that knows its actor; to be set before ``__init__``."""

    __slots__ = ("actor",)
    actor: Actor

    def __hash__(self) -> int:
        return self.actor.number


ControlledTask.__name__ = ControlledTask.__qualname__ = "Task"  # as its texts call it


class NumberedFuture(asyncio.Future[Any]):
    """A stock (C) future with a hash that stays the same; to be set before it is used."""

    __slots__ = ("number",)
    number: int

    def __hash__(self) -> int:
        return self.number


NumberedFuture.__name__ = NumberedFuture.__qualname__ = "Future"


@functools.lru_cache(maxsize=4096)
def _short(qualified: str) -> str:
    return qualified.rpartition(".")[2]


def name_for(coroutine: Any) -> str:
    """What a task that runs this coroutine is called."""
    return _short(getattr(coroutine, "__qualname__", None) or type(coroutine).__name__)


def _task_callback_types() -> tuple[type, type, str]:
    """The types of the callbacks by which a C task takes its first and its later steps.

    They are not public; a task that is never run shows both.
    """
    seen: list[Any] = []

    class Probe(asyncio.AbstractEventLoop):
        def call_soon(  # type: ignore[override]
            self, callback: Any, *args: Any, context: Any = None
        ) -> Any:
            seen.append(callback)

        def get_debug(self) -> bool:
            return False

        def call_exception_handler(self, context: Any) -> None:
            pass

    loop = Probe()  # type: ignore[abstract]
    future: asyncio.Future[None] = asyncio.Future(loop=loop)

    async def wait() -> None:
        await future

    coroutine = wait()
    task = asyncio.Task(coroutine, loop=loop, name="probe")
    seen[0]()
    future.set_result(None)
    first, wakeup = seen[0], seen[1]
    wakeup(future)
    del task
    return type(first), type(wakeup), wakeup.__name__


STEP_TYPE, WAKEUP_TYPE, WAKEUP_NAME = _task_callback_types()


def task_of(callback: Any) -> asyncio.Task[Any] | None:
    """The task that takes a step when this callback is called, or None for a plain callback.

    A callback bound to a task is not yet its step: ``task.cancel`` is a plain one.
    """
    kind = type(callback)
    if kind is STEP_TYPE or (kind is WAKEUP_TYPE and callback.__name__ == WAKEUP_NAME):
        task = callback.__self__
        return task if isinstance(task, asyncio.Task) else None
    return None
