"""What waits to run: callbacks, and arrivals from outside with their stable keys."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from isomodel.engine.owner import Actor, Owner


class Handle(Struct, weakref=True, eq=False):
    """A callback that is to be called, as asyncio's Handle.

    ``context`` None calls it as it is. ``callback`` None: it was cancelled. (A struct, like all
    here, because nothing else is made so often, and an ``__init__`` costs as much again.)
    """

    callback: Any
    args: tuple[Any, ...]
    context: Context | None

    def cancel(self) -> None:
        """Never call it; what it refers to is free at once."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it will never be called."""
        return self.callback is None

    def get_context(self) -> Context | None:
        """The context in which it is called."""
        return self.context


class Pending(Handle):
    """An option: something that may arrive from outside.

    ``owner``, ``kind`` and ``number`` make its key. ``actor`` is the task that began it.
    ``future`` is what it completes: once that is done (its waiter was cancelled), it never
    happens. ``priority`` is for the scheduler, below 0 at first.
    """

    actor: Actor
    owner: Owner
    kind: str
    number: int
    future: asyncio.Future[Any] | None = None
    priority: float = -1.0

    @property
    def key(self) -> str:
        """The stable name of this option: whose, of which kind, which of them."""
        return f"{self.owner.label} {self.kind} {self.number}"

    def is_off(self) -> bool:
        """Whether it can never happen any more."""
        return self.callback is None or (self.future is not None and self.future.done())


class Jump(Pending):
    """A jump of the clock. It comes like a cancellation: at once, if the schedule says no more."""

    @property
    def key(self) -> str:
        """Whose timer it is that makes it possible."""
        return f"{self.owner.label} jump {self.number}"


class Post(Pending):
    """What comes from the thread that is ``line``."""

    line: Any = None


class Timer(Pending):
    """What happens at a time, as asyncio's TimerHandle.

    Its kind is "timer" while time has to pass for it, and "due" once its time has come.
    """

    time: float = 0.0

    @property
    def key(self) -> str:
        """The same, due or not."""
        return f"{self.owner.label} timer {self.number}"

    def when(self) -> float:
        """The virtual time at which it is due, in seconds."""
        return self.time


class Latency(Timer):
    """A timer after which an arrival is possible: nothing of the program's own."""

    @property
    def key(self) -> str:
        """Apart from the program's timers, which keep their numbers without it."""
        return f"{self.owner.label} latency {self.number}"


class TaskStep(Handle):
    """An option: the next step of a task, where any task may be next.

    It is queued while its task is still being made, so ``actor`` and ``owner`` come later.
    """

    actor: Any = None
    owner: Any = None
    kind: str = "step"
    priority: float = -1.0

    @property
    def key(self) -> str:
        """The task's name: it has at most one next step."""
        return f"{self.actor.name} step"


class GoOn:
    """The option that nothing arrives now: what is ready runs."""

    __slots__ = ("kind", "owner", "priority")
    key = "go on"
    actor = None

    def __init__(self, owner: Owner) -> None:
        self.kind = "go on"
        self.owner = owner
        self.priority = -1.0
