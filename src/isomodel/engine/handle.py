"""What waits to run: callbacks, and arrivals from outside with their stable keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isomodel.engine.executor import Line
    from isomodel.engine.owner import Actor, Owner


class Handle:
    """A callback that is to be called, as asyncio's Handle.

    ``context`` None calls it as it is. ``callback`` None: it was cancelled.
    """

    __slots__ = ("__weakref__", "args", "callback", "context")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback: Any = callback
        self.args = args
        self.context = context

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

    __slots__ = ("actor", "future", "kind", "number", "owner", "priority")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
        actor: Actor,
        owner: Owner,
        kind: str,
        number: int,
        future: asyncio.Future[Any] | None = None,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.actor = actor
        self.owner = owner
        self.kind = kind
        self.number = number
        self.future = future
        self.priority = -1.0

    @property
    def key(self) -> str:
        """The stable name of this option: whose, of which kind, which of them."""
        return f"{self.owner.label} {self.kind} {self.number}"

    def is_off(self) -> bool:
        """Whether it can never happen any more."""
        return self.callback is None or (self.future is not None and self.future.done())


class Jump(Pending):
    """A jump of the clock. It comes like a cancellation: at once, if the schedule says no more."""

    __slots__ = ()

    @property
    def key(self) -> str:
        """Whose timer it is that makes it possible."""
        return f"{self.owner.label} jump {self.number}"


class Post(Pending):
    """What comes from the thread that is ``line``."""

    __slots__ = ("line",)
    line: Line


class Timer(Pending):
    """What happens at a time, as asyncio's TimerHandle.

    Its kind is "timer" while time has to pass for it, and "due" once its time has come.
    """

    __slots__ = ("time",)
    time: float

    @property
    def key(self) -> str:
        """The same, due or not."""
        return f"{self.owner.label} timer {self.number}"

    def when(self) -> float:
        """The virtual time at which it is due, in seconds."""
        return self.time


class Latency(Timer):
    """A timer after which an arrival is possible: nothing of the program's own."""

    __slots__ = ()

    @property
    def key(self) -> str:
        """Apart from the program's timers, which keep their numbers without it."""
        return f"{self.owner.label} latency {self.number}"


class TaskStep(Pending):
    """The next step of a task, where any task may be next.

    It is queued while its task is still being made, so ``actor`` and ``owner`` come later.
    """

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.kind = "step"
        self.priority = -1.0
        self.actor: Any = None

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
